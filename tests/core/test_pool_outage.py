"""What becomes of requests to an origin that cannot be dialled: RFC 9112 §9.4."""

from __future__ import annotations

import pytest

from perdure.core.pool import PoolSettings, TicketState
from perdure.core.pool_outage import LONGEST_PAUSE_SECONDS, LONGEST_REST, Outage
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver

TIMEOUT = Reason.CONNECT_TIMEOUT


def small(per_origin: int, total: int = 100, dial_rest: float = 0.0) -> Driver:
    return Driver(PoolSettings(max_per_origin=per_origin, max_total=total, dial_rest=dial_rest))


def test_refusal_of_the_last_dial_is_told_to_all_who_wait_so_that_they_do_not_dial_one_by_one() -> None:
    pool = small(8)
    tickets = [pool.ticket() for _ in range(100)]
    assert pool.dials == tickets[:8]
    error = OSError("refused")
    for ticket in tickets[:8]:
        pool.fail(ticket, TIMEOUT, error)
    assert [ticket for ticket, _ in pool.refused] == tickets
    assert {(ticket.reason, ticket.error) for ticket in tickets} == {(TIMEOUT, error)}
    assert not pool.dials


def test_one_dial_of_many_that_fails_is_no_news_for_those_who_wait() -> None:
    pool = small(2)
    failing, other, waiting = pool.ticket(), pool.ticket(), pool.ticket()
    pool.fail(failing)
    assert [ticket for ticket, _ in pool.refused] == [failing]
    pool.connect(other)
    pool.release(pool.taken(other))
    assert waiting.state is TicketState.GRANTED


def test_dial_that_was_given_up_refuses_nobody_else_and_says_nothing_of_the_origin() -> None:
    pool = small(1)
    given_up, waiting = pool.ticket(), pool.ticket()
    pool.fail(given_up, Reason.CANCELLED)
    assert [ticket for ticket, _ in pool.refused] == [given_up]
    assert pool.dials == [waiting]
    assert pool.warm(2) == []  # at the cap


def test_request_after_a_refusal_dials_at_once_and_those_beside_it_share_its_dial() -> None:
    pool = small(8)
    pool.fail(pool.ticket())
    probing = pool.ticket()
    beside = [pool.ticket() for _ in range(5)]
    assert pool.dials == [probing]
    pool.fail(probing)
    assert [ticket for ticket, _ in pool.refused[1:]] == [probing, *beside]


def test_dial_that_succeeds_ends_the_outage_and_the_others_are_dialled_for() -> None:
    pool = small(8)
    pool.fail(pool.ticket())
    probing = pool.ticket()
    beside = [pool.ticket() for _ in range(5)]
    pool.connect(probing)
    assert pool.granted == [probing]
    assert pool.dials == beside


def test_those_who_wait_beside_live_connections_are_dialled_for_ever_more_seldom() -> None:
    pool = small(3)
    live = pool.fresh()
    first, second = pool.ticket(), pool.ticket()
    waiting = [pool.ticket() for _ in range(6)]
    pool.fail(first)  # one failure may be chance; but another dial is under way
    assert pool.dials == [second]
    pool.fail(second)
    assert pool.dials == []
    begun = []
    for ticket in waiting[:4]:
        pool.expire()
        begun.append(pool.now)
        pool.fail(ticket)
    assert begun == pytest.approx([0.1, 0.3, 0.7, 1.5])
    pool.release(live)
    assert pool.taken(waiting[4]) is live


def test_end_of_the_last_connection_ends_the_pause() -> None:
    pool = small(2)
    live = pool.fresh()
    pool.fail(pool.ticket())
    pool.fail(pool.ticket())
    pool.fail(pool.ticket())
    probing, waiting = pool.ticket(), pool.ticket()
    pool.fail(probing)
    assert pool.dials == []
    pool.release(live, Reason.CLOSE_RECEIVED)
    assert pool.dials == [waiting]


def test_pause_grows_to_its_longest_and_no_further() -> None:
    outage = Outage()
    for _ in range(2000):
        outage.failed(TIMEOUT, None, 0.0, dial_rest=1.0)
    assert outage.pauses_until == LONGEST_PAUSE_SECONDS
    assert outage.rests_until == LONGEST_REST


def test_origin_at_rest_is_not_dialled_and_who_asks_is_refused_at_once() -> None:
    pool = small(8, dial_rest=2.0)
    error = OSError("refused")
    pool.fail(pool.ticket(), TIMEOUT, error)
    pool.now = 1.9
    asked = pool.ticket()
    assert (asked.state, asked.reason, asked.error) == (TicketState.REFUSED, TIMEOUT, error)
    assert pool.ledger.statistics(1.9).waiting == 0
    pool.now = 2.0
    assert pool.dials == []
    probing = pool.ticket()
    assert pool.dials == [probing]
    pool.fail(probing)
    pool.now = 5.9
    assert pool.ticket().state is TicketState.REFUSED
    pool.now = 6.0
    pool.connect(pool.ticket())
    pool.ticket()
    assert len(pool.dials) == 1


def test_origin_at_rest_still_serves_by_the_connections_it_has() -> None:
    pool = small(2, dial_rest=2.0)
    live = pool.fresh()
    pool.fail(pool.ticket())
    waiting = pool.ticket()
    assert waiting.state is TicketState.WAITING
    assert pool.dials == []
    pool.expire()
    assert pool.now == 2.0
    assert pool.dials == [waiting]
    pool.release(live)
    assert pool.taken(waiting) is live


def test_origin_that_cannot_be_dialled_does_not_hold_up_the_line() -> None:
    pool = small(8, total=2)
    live = pool.fresh("dead")
    pool.fail(pool.ticket("dead"))
    busy = pool.fresh("b")
    pool.ticket("dead")
    other = pool.ticket("c")
    pool.release(busy, Reason.CLOSE_RECEIVED)
    (dead,) = pool.dials
    pool.fail(dead)
    assert pool.dials == [other]
    assert live.ended is None


def test_pause_of_an_origin_that_everybody_left_is_forgotten() -> None:
    pool = small(2)
    live = pool.fresh()
    pool.fail(pool.ticket())
    pool.fail(pool.ticket())
    pool.fail(pool.ticket())
    pool.fail(pool.ticket())
    pool.ticket()
    waiting = [pool.ticket() for _ in range(2)]
    pool.fail(pool.dials[0])
    for ticket in waiting:
        pool.ledger.cancel(ticket, pool.now)
    pool.release(live, Reason.CLOSE_RECEIVED)
    while pool.ledger.next_deadline() is not None:
        pool.expire()
    assert pool.dials == []
