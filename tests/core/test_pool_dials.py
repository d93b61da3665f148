"""Dials under way, and tickets that lose what they were granted: late binding leaks no place."""

from __future__ import annotations

import pytest

from perdure.core.pool import EntryState, PoolSettings
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver


@pytest.fixture
def pool() -> Driver:
    return Driver()


def small(per_origin: int, total: int = 100) -> Driver:
    return Driver(PoolSettings(max_per_origin=per_origin, max_total=total))


# --- dials -----------------------------------------------------------------------------------


def test_dialled_connection_goes_to_who_waits_longest() -> None:
    pool = Driver()
    first, second = pool.ticket(), pool.ticket()
    entry = pool.connect(second)
    assert pool.granted == [first]
    assert pool.taken(first) is entry
    pool.connect(first)
    assert pool.granted == [first, second]


def test_released_connection_serves_a_ticket_whose_dial_is_under_way(pool: Driver) -> None:
    released = pool.fresh()
    ticket = pool.ticket()
    pool.release(released)
    assert pool.taken(ticket) is released
    fresh = pool.connect(ticket)
    assert fresh.state is EntryState.IDLE


def test_dial_whose_ticket_was_served_serves_the_next_request_so_that_none_is_dialled_twice(
    pool: Driver,
) -> None:
    released = pool.fresh()
    served = pool.ticket()
    pool.release(released)
    pool.taken(served)
    later = pool.ticket()
    assert pool.dials == [served]
    entry = pool.connect(served)
    assert pool.taken(later) is entry
    assert not entry.reused


def test_failed_dial_refuses_its_own_ticket(pool: Driver) -> None:
    ticket, other = pool.ticket(), pool.ticket()
    pool.fail(ticket, Reason.CONNECT_TIMEOUT)
    assert pool.refused == [(ticket, Reason.CONNECT_TIMEOUT)]
    assert pool.dials == [other]


def test_who_counted_on_a_dial_that_failed_is_dialled_for(pool: Driver) -> None:
    released = pool.fresh()
    served = pool.ticket()
    pool.release(released)
    pool.taken(served)
    later = pool.ticket()
    pool.fail(served)
    assert not pool.refused
    assert pool.dials == [later]


def test_failed_dial_gives_its_place_to_the_line() -> None:
    pool = small(8, total=1)
    failing = pool.ticket("a")
    waiting = pool.ticket("b")
    pool.fail(failing)
    assert pool.dials == [waiting]


def test_dial_of_a_cancelled_ticket_counts_until_it_is_told_of(pool: Driver) -> None:
    ticket = pool.ticket()
    pool.ledger.cancel(ticket, 0.0)
    assert pool.ledger.statistics(0.0).dialling == 1
    entry = pool.connect(ticket)
    assert entry.state is EntryState.IDLE
    assert pool.used() is entry


def test_dial_of_a_cancelled_ticket_is_taken_over_by_who_waits() -> None:
    pool = small(1)
    cancelled, waiting = pool.ticket(), pool.ticket()
    pool.ledger.cancel(cancelled, 0.0)
    entry = pool.connect(cancelled)
    assert pool.taken(waiting) is entry


# --- tickets that lose their connection ------------------------------------------------------


def test_ticket_whose_granted_connection_ends_keeps_its_place_in_the_order() -> None:
    pool = small(2)
    entries = [pool.fresh(), pool.fresh()]
    tickets = [pool.ticket() for _ in range(4)]
    pool.release(entries[0])
    pool.release(entries[1])
    assert pool.granted[-2:] == tickets[:2]
    pool.peer_closes(entries[1])
    pool.peer_closes(entries[0])
    assert pool.dials == [tickets[1], tickets[1]]  # the first counts on the dial under way
    assert [pool.take(ticket) for ticket in tickets[:2]] == [None, None]
    for ticket in tickets[:2]:
        assert pool.connect(tickets[1]) is pool.taken(ticket)


def test_granted_connection_that_grew_too_old_before_it_was_taken_goes_back() -> None:
    pool = small(1)
    pool.idle()
    pool.now = 20.0
    used = pool.used()  # proves twenty seconds when it is answered
    waiting = pool.ticket(repeatable=False)
    pool.release(used)
    pool.now = 45.0
    assert pool.take(waiting) is None
    assert pool.closed == [(1, Reason.PRESSURE)]
    assert pool.dials == [waiting]


def test_granted_connection_past_its_limit_is_closed_and_the_ticket_dialled_for() -> None:
    pool = small(1)
    used = pool.fresh()
    waiting = pool.ticket()
    pool.release(used)
    pool.now = 60.0
    assert pool.take(waiting) is None
    assert pool.closed == [(1, Reason.IDLE_LIMIT)]
    assert pool.dials == [waiting]


def test_what_was_learned_while_a_connection_was_granted_counts_when_it_is_taken() -> None:
    pool = small(2)
    granted, other = pool.fresh(), pool.fresh()
    waiting = pool.ticket()
    pool.release(granted)
    pool.release(other)
    pool.now = 5.0
    pool.peer_closes(other)
    assert pool.take(waiting) is None
    assert pool.closed[-1] == (granted.number, Reason.IDLE_LEARNED)


def test_ticket_that_lost_its_connection_stands_before_its_younger_sibling_in_the_line() -> None:
    pool = small(8, total=2)
    granted, busy = pool.fresh(), pool.fresh()
    first, second, other = pool.ticket(), pool.ticket(), pool.ticket("b")
    pool.release(granted)
    pool.peer_closes(granted)
    assert pool.dials == [first]
    pool.release(busy, Reason.CLOSE_RECEIVED)
    assert pool.dials == [first, second]
    pool.fail(second)
    assert pool.dials == [first, other]
