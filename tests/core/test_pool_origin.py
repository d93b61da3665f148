"""How long a connection may lie idle, and which request may use it: RFC 9112 §9.5, C.2.2."""

from __future__ import annotations

from itertools import pairwise

import pytest

from perdure.core.pool import Entry, EntryState, PoolSettings, Ticket
from perdure.core.pool_origin import age_deadline
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver

IDLE_LIMIT, IDLE_HINT, IDLE_LEARNED = Reason.IDLE_LIMIT, Reason.IDLE_HINT, Reason.IDLE_LEARNED


@pytest.fixture
def pool() -> Driver:
    return Driver()


def learn(pool: Driver, idle_seconds: float, origin: str = "a") -> None:
    """Let the peer close a connection that lay idle so long."""
    entry = pool.fresh(origin)
    pool.release(entry)
    pool.now += idle_seconds
    pool.peer_closes(entry)


# --- the idle limit --------------------------------------------------------------------------


@pytest.mark.row("R179")
@pytest.mark.parametrize(
    ("hint", "rtt", "limit", "reason"),
    [
        (None, None, 55.0, IDLE_LIMIT),
        (2, None, 1.0, IDLE_HINT),
        (20, 0.4, 19.0, IDLE_HINT),
        (20, 3.0, 17.0, IDLE_HINT),
        (56, None, 55.0, IDLE_LIMIT),
        (900, None, 55.0, IDLE_LIMIT),
    ],
)
def test_hint_is_honoured_less_a_second_or_a_round_trip(
    pool: Driver, hint: int | None, rtt: float | None, limit: float, reason: Reason
) -> None:
    entry = pool.fresh()
    pool.release(entry, timeout=hint, rtt=rtt)
    pool.expire(limit - 0.001)
    assert not pool.closed
    pool.expire(limit)
    assert pool.closed == [(entry.number, reason)]


@pytest.mark.row("R179")
@pytest.mark.parametrize("hint", [0, 1])
def test_hint_that_leaves_nothing_ends_the_connection_with_its_exchange(pool: Driver, hint: int) -> None:
    pool.release(pool.fresh(), timeout=hint)
    assert pool.closed == [(1, IDLE_HINT)]


def test_hint_is_honoured_for_ten_minutes_at_most() -> None:
    pool = Driver(PoolSettings(idle_timeout=5000.0, max_age=None))
    pool.release(pool.fresh(), timeout=4000)
    pool.expire(599.0)
    assert pool.closed == [(1, IDLE_HINT)]


def test_hint_holds_for_later_responses_that_give_none(pool: Driver) -> None:
    pool.release(pool.fresh(), timeout=5)
    pool.now = 3.0
    pool.release(pool.used())
    pool.expire(7.0)
    assert pool.closed == [(1, IDLE_HINT)]


def test_learned_limit_is_nine_tenths_of_the_age_at_which_the_peer_closed(pool: Driver) -> None:
    learn(pool, 10.0)
    assert pool.ledger.statistics(pool.now).learned == {"a": pytest.approx(9.0)}
    entry = pool.fresh()
    pool.release(entry, rtt=0.5)
    assert entry.idle_deadline == pytest.approx(pool.now + 8.5)  # a request must arrive before that
    pool.expire()
    assert pool.closed[-1] == (2, IDLE_LEARNED)


def test_learned_limit_is_of_one_origin(pool: Driver) -> None:
    learn(pool, 10.0, "a")
    entry = pool.fresh("b")
    pool.release(entry)
    assert entry.idle_deadline == pool.now + 55.0


def test_what_is_learned_holds_for_connections_that_already_lie_idle(pool: Driver) -> None:
    first, second = pool.idle(2)
    pool.now = 10.0
    pool.peer_closes(first)
    assert second.idle_deadline == pytest.approx(9.0)
    pool.expire()
    pool.expire(60.0)
    assert pool.closed == [(1, Reason.PEER_CLOSED), (2, IDLE_LEARNED)]


def test_origin_whose_limit_is_below_a_round_trip_keeps_nothing_idle(pool: Driver) -> None:
    learn(pool, 0.2)
    pool.now += 2.0
    learn(pool, 0.2)
    pool.release(pool.fresh(), rtt=0.5)
    assert pool.closed[-1] == (3, IDLE_LEARNED)


def test_one_close_right_after_a_response_does_not_end_persistence(pool: Driver) -> None:
    learn(pool, 0.002)
    pool.release(pool.fresh(), rtt=0.01)
    assert (2, IDLE_LEARNED) not in pool.closed


def test_close_before_the_first_request_teaches_nothing(pool: Driver) -> None:
    """Another timer of the server runs there."""
    entry = pool.connect(pool.warm(1)[0])
    pool.now = 5.0
    pool.peer_closes(entry)
    assert not pool.ledger.statistics(5.0).learned


def test_gateway_keeps_idle_connections_shorter_until_something_is_learned() -> None:
    pool = Driver(PoolSettings(unlearned_idle_timeout=15.0))
    plain, hinted = pool.fresh("a"), pool.fresh("b")
    pool.release(plain)
    pool.release(hinted, timeout=40)
    assert (plain.idle_deadline, hinted.idle_deadline) == (15.0, 39.0)
    learn(pool, 14.0, "c")
    pool.release(entry := pool.fresh("c"))
    assert entry.idle_deadline == pytest.approx(14.0 + 12.6)


def test_greatest_age_ends_an_idle_connection_before_its_idle_limit(pool: Driver) -> None:
    entry = pool.fresh()
    pool.now = entry.age_deadline - 10.0
    pool.release(entry)
    pool.expire(entry.age_deadline)
    assert pool.closed == [(1, Reason.MAX_AGE)]


def test_greatest_age_reached_in_use_ends_the_connection_with_its_exchange(pool: Driver) -> None:
    entry = pool.fresh()
    pool.now = entry.age_deadline
    pool.release(entry)
    assert pool.closed == [(1, Reason.MAX_AGE)]


def test_ages_are_spread_evenly_within_the_jitter() -> None:
    settings = PoolSettings(max_age=600.0, age_jitter=0.1)
    ages = sorted(age_deadline(settings, number, 0.0) for number in range(1, 21))
    assert 540.0 <= ages[0] < ages[-1] <= 660.0
    assert max(b - a for a, b in pairwise(ages)) < 120 / 10
    assert age_deadline(PoolSettings(max_age=600.0, age_phase=0.5), 1, 0.0) != ages[0]
    assert age_deadline(PoolSettings(max_age=None), 1, 0.0) == float("inf")


# --- requests that may not be repeated -------------------------------------------------------


def test_first_request_that_may_not_be_repeated_is_dialled_for_and_the_idle_one_stays(
    pool: Driver,
) -> None:
    (canary,) = pool.idle()
    pool.now = 0.001
    asked = pool.ask(repeatable=False)
    assert isinstance(asked, Ticket)
    assert pool.dials == [asked]
    assert canary.state is EntryState.IDLE


@pytest.mark.row("R111", "R148")
@pytest.mark.parametrize(("gap", "dials"), [(0.001, 3), (0.15, 2), (5.0, 2)])
def test_extra_dials_are_paid_once_because_the_older_connection_proves_its_age(
    pool: Driver, gap: float, dials: int
) -> None:
    for _ in range(20):
        asked = pool.ask(repeatable=False)
        if isinstance(asked, Ticket):
            pool.connect(asked)
            asked = pool.taken(asked)
        pool.now += 0.06
        pool.release(asked)
        pool.now += gap
    assert pool.ledger.statistics(pool.now).dialled == dials


def test_use_that_was_answered_proves_the_idle_time_before_it(pool: Driver) -> None:
    pool.idle()
    pool.now = 30.0
    pool.release(pool.used(repeatable=True))
    assert pool.ledger.statistics(30.0).proven == {"a": 30.0}
    pool.now = 59.9
    assert pool.used(repeatable=False).number == 1


def test_margin_is_two_round_trips_and_at_least_fifty_milliseconds(pool: Driver) -> None:
    pool.idle()
    pool.now = 30.0
    pool.release(pool.used(), rtt=0.2)
    pool.now = 59.61
    assert isinstance(pool.ask(repeatable=False), Ticket)
    pool.now = 59.5
    assert pool.used(repeatable=False).idle_seconds == 29.5


def test_connection_that_was_never_used_proves_nothing_and_serves_only_what_may_be_repeated(
    pool: Driver,
) -> None:
    for ticket in pool.warm(2):
        pool.connect(ticket)
    pool.now = 20.0
    assert not pool.ledger.statistics(20.0).proven
    assert isinstance(pool.ask(repeatable=False), Ticket)
    assert pool.used(repeatable=True).reused


def warmed(pool: Driver) -> Entry[int]:
    """An idle connection that was never used."""
    count = pool.ledger.statistics(pool.now).connections
    return pool.connect(pool.warm(count + 1)[0])


def test_proof_from_used_connections_does_not_stand_for_one_that_was_never_used(pool: Driver) -> None:
    pool.idle()
    pool.now = 10.0
    warmed(pool)
    pool.now = 20.0
    assert isinstance(pool.ask(repeatable=False), Ticket)


def test_first_use_of_an_idle_connection_proves_nothing_and_its_failure_teaches_nothing(
    pool: Driver,
) -> None:
    entries = [warmed(pool), warmed(pool)]
    pool.now = 20.0
    pool.release(pool.used())
    pool.used()
    failed = pool.used()
    assert failed in entries
    pool.ledger.discard_stale(failed, Reason.PEER_RESET, 20.0)
    assert not pool.ledger.statistics(20.0).proven
    assert not pool.ledger.statistics(20.0).learned


@pytest.mark.row("R179")
def test_hint_stands_for_proof(pool: Driver) -> None:
    pool.release(pool.fresh(), timeout=5)
    pool.now = 3.9
    assert pool.used(repeatable=False).number == 1


@pytest.mark.row("R179")
def test_request_that_may_not_be_repeated_keeps_its_margin_from_the_hint(pool: Driver) -> None:
    pool.release(pool.fresh(), timeout=5)
    pool.now = 3.96
    assert isinstance(pool.ask(repeatable=False), Ticket)


def test_canary_of_another_server_does_not_outweigh_a_close_that_was_seen(pool: Driver) -> None:
    """Two servers behind one name: one closes at 5 s, the other much later."""
    one, other, third = pool.idle(3)
    pool.now = 30.0
    pool.release(pool.used())  # the third: 30 s are proven
    pool.now = 35.0
    assert pool.used() is third
    pool.release(third)
    pool.now = 40.0
    pool.peer_closes(third)
    assert not pool.ledger.statistics(pool.now).learned  # it was outlived, and seen once
    pool.release(pool.used())
    pool.now = 44.46
    assert isinstance(pool.ask(repeatable=False), Ticket)
    assert pool.used(repeatable=True) in (one, other)


def test_end_by_our_own_limit_proves_the_age_it_had(pool: Driver) -> None:
    pool.idle()
    pool.expire(55.0)
    assert pool.ledger.statistics(55.0).proven == {"a": 55.0}


def test_driver_that_comes_late_proves_nothing(pool: Driver) -> None:
    pool.idle()
    pool.expire(70.0)
    assert pool.closed == [(1, IDLE_LIMIT)]
    assert not pool.ledger.statistics(70.0).proven


# --- full pools of requests that may not be repeated -----------------------------------------


def full(pool: Driver) -> tuple[Entry[int], list[Entry[int]]]:
    """All eight places taken: one connection just released, seven leased."""
    entries = [pool.fresh() for _ in range(8)]
    pool.release(entries[0])
    return entries[0], entries[1:]


def test_canary_ripens_before_it_is_closed_for_a_dial(pool: Driver) -> None:
    canary, _ = full(pool)
    waiting = pool.ticket(repeatable=False)
    assert not pool.dials
    pool.expire()
    assert pool.now == pytest.approx(0.1)
    assert pool.closed == [(canary.number, Reason.PRESSURE)]
    assert pool.dials == [waiting]
    assert pool.ledger.statistics(pool.now).proven == {"a": pytest.approx(0.1)}


def test_younger_connection_is_closed_while_the_canary_ripens(pool: Driver) -> None:
    canary, leased = full(pool)
    first = pool.ticket(repeatable=False)
    pool.now = 0.02
    pool.release(leased[0])
    assert pool.closed == [(leased[0].number, Reason.PRESSURE)]
    assert pool.dials == [first]
    assert canary.state is EntryState.IDLE


def test_once_the_canary_has_proven_a_margin_connections_are_handed_on(pool: Driver) -> None:
    _, leased = full(pool)
    waiting = pool.ticket(repeatable=False)
    pool.now = 0.21
    pool.release(leased[0])
    assert pool.taken(waiting) is leased[0]
    assert not pool.closed


def test_after_that_nobody_waits_for_a_canary(pool: Driver) -> None:
    first, *leased = [pool.fresh() for _ in range(8)]
    pool.now = 0.1
    pool.release(first)
    pool.ticket(repeatable=False)
    pool.expire()
    pool.connect(pool.dials[0])
    for entry in leased:
        pool.release(entry)
        assert pool.used(repeatable=False) is entry
    assert len(pool.closed) == 1


def test_canary_is_not_waited_for_again_where_the_gaps_outgrow_what_it_could_prove(pool: Driver) -> None:
    pool.idle()
    pool.now = 0.31
    pool.release(pool.used())  # 0.31 s are proven
    entries = [pool.used(), *(pool.fresh() for _ in range(7))]
    pool.release(entries[0])
    entries[0].rtt = 0.1  # the margin is 0.2 s
    pool.now = 0.45
    asked = pool.ticket(repeatable=False)
    assert pool.dials == [asked]


def test_canary_that_cannot_ripen_is_not_waited_for(pool: Driver) -> None:
    learn(pool, 0.05)
    entries = [pool.fresh() for _ in range(8)]
    pool.release(entries[0])
    asked = pool.ticket(repeatable=False)
    assert pool.dials == [asked]


def test_canary_is_not_waited_for_where_the_peer_was_once_seen_to_close_before(pool: Driver) -> None:
    pool.idle()
    pool.now = 3.0
    pool.release(pool.used())  # three seconds are proven, so one close at 0.05 s is no limit
    pool.now = 3.05
    pool.peer_closes(pool.ledger.idle_entries()[0])
    assert not pool.ledger.statistics(pool.now).learned
    entries = [pool.fresh() for _ in range(8)]
    pool.release(entries[0])
    asked = pool.ticket(repeatable=False)
    assert pool.dials == [asked]


def test_spread_order_leaves_what_may_not_be_repeated_the_shortest_idle_one() -> None:
    pool = Driver(PoolSettings(order="spread"))
    first, second, third = (pool.fresh() for _ in range(3))
    for entry in (first, second, third):
        pool.release(entry)
        pool.now += 1.0
    assert pool.used(repeatable=False) is third
    assert pool.used(repeatable=True) is first
