"""The ledger as its drivers see it: RFC 9112 §9.3 to §9.5."""

from __future__ import annotations

import pytest

from perdure.core.errors import LocalViolation
from perdure.core.pool import EntryState, PoolSettings, TicketState
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver


@pytest.fixture
def pool() -> Driver:
    return Driver()


def test_lease_reserves_so_two_requests_never_share_a_connection(pool: Driver) -> None:
    pool.idle(2)
    assert pool.used() is not pool.used()


def test_connection_is_used_again_and_says_how(pool: Driver) -> None:
    first = pool.fresh()
    assert (first.reused, first.uses, first.idle_seconds) == (False, 1, 0.0)
    pool.now = 1.0
    pool.release(first)
    pool.now = 4.0
    assert pool.used() is first
    assert (first.reused, first.uses, first.idle_seconds) == (True, 2, 3.0)


@pytest.mark.row("R90", "R110")
def test_origin_eof_on_idle_connection_is_discarded_without_polling(pool: Driver) -> None:
    (entry,) = pool.idle()
    pool.peer_closes(entry)
    assert pool.closed == [(1, Reason.PEER_CLOSED)]
    assert pool.fresh().number == 2


@pytest.mark.row("R88", "R90")
def test_408_on_an_idle_connection_is_an_idle_close_and_teaches_the_limit(pool: Driver) -> None:
    (entry,) = pool.idle()
    pool.now = 10.0
    pool.peer_closes(entry, Reason.IDLE_408)
    assert pool.closed == [(1, Reason.IDLE_408)]
    assert pool.ledger.statistics(10.0).learned == {"a": pytest.approx(9.0)}


@pytest.mark.row("R90")
def test_octets_on_an_idle_connection_end_it_and_teach_nothing(pool: Driver) -> None:
    (entry,) = pool.idle()
    pool.now = 10.0
    pool.ledger.discard(entry, Reason.SURPLUS_OCTETS, 10.0)
    pool.carry_out()
    assert pool.closed == [(1, Reason.SURPLUS_OCTETS)]
    assert not pool.ledger.statistics(10.0).learned


def test_eof_on_a_leased_connection_is_left_to_its_exchange(pool: Driver) -> None:
    entry = pool.fresh()
    pool.peer_closes(entry)
    assert entry.state is EntryState.LEASED
    assert not pool.closed


def test_connection_is_closed_once_however_often_it_is_told(pool: Driver) -> None:
    (entry,) = pool.idle()
    pool.peer_closes(entry)
    pool.peer_closes(entry)
    pool.ledger.discard(entry, Reason.READ_TIMEOUT, 0.0)
    pool.ledger.discard_stale(entry, Reason.PEER_RESET, 0.0)
    pool.release(entry)
    assert pool.closed == [(1, Reason.PEER_CLOSED)]


@pytest.mark.parametrize("reason", [Reason.CLOSE_RECEIVED, Reason.HTTP_10, Reason.CLOSE_DELIMITED])
@pytest.mark.row("R182")
def test_connection_that_does_not_persist_is_closed_with_the_reason_of_its_exchange(
    pool: Driver, reason: Reason
) -> None:
    pool.release(pool.fresh(), reason)
    assert pool.closed == [(1, reason)]


def test_greatest_number_of_requests_ends_a_connection() -> None:
    pool = Driver(PoolSettings(max_requests=2))
    pool.release(pool.fresh())
    pool.release(pool.used())
    assert pool.closed == [(1, Reason.MAX_REQUESTS)]


def test_hint_of_requests_is_counted_down_and_the_latest_one_counts(pool: Driver) -> None:
    pool.release(pool.fresh(), maximum=1)
    pool.release(pool.used(), maximum=2)
    pool.release(pool.used())
    assert not pool.closed
    pool.release(pool.used())
    assert pool.closed == [(1, Reason.HINT_MAX)]


def test_hint_of_no_more_requests_ends_the_connection_with_its_exchange(pool: Driver) -> None:
    pool.release(pool.fresh(), maximum=0)
    assert pool.closed == [(1, Reason.HINT_MAX)]


# --- stale connections -----------------------------------------------------------------------


@pytest.mark.row("R111", "R150")
def test_stale_connection_takes_siblings_along_that_lay_as_long_and_the_repetition_is_fresh(
    pool: Driver,
) -> None:
    older, stale, younger = pool.idle(3)
    pool.now = 5.0
    pool.release(pool.used())  # the third
    pool.now = 8.0
    pool.release(pool.used())
    pool.now = 10.0
    younger.idle_deadline = 0.0  # out of the way, so that the second is met
    assert pool.used() is stale
    pool.now = 10.5
    pool.ledger.discard_stale(stale, Reason.PEER_RESET, pool.now)
    pool.carry_out()
    assert pool.closed[1:] == [(stale.number, Reason.PEER_RESET), (older.number, Reason.SIBLING_STALE)]
    repetition = pool.ticket(fresh=True)
    assert pool.dials == [repetition]
    assert pool.ledger.statistics(10.5).learned == {"a": pytest.approx(9.0)}


@pytest.mark.row("R150")
def test_repetition_never_uses_a_connection_that_lay_idle(pool: Driver) -> None:
    pool.idle(2)
    repetition = pool.ticket(fresh=True)
    released = pool.used()
    pool.release(released)
    assert repetition.state is TicketState.WAITING
    fresh = pool.connect(repetition)
    assert pool.taken(repetition) is fresh


def test_younger_sibling_of_a_stale_connection_stays(pool: Driver) -> None:
    stale, younger = pool.idle(2)
    pool.now = 10.0
    pool.release(pool.used())
    pool.now = 10.1
    busy = pool.used()
    assert busy is younger
    assert pool.used() is stale
    pool.release(busy)
    pool.ledger.discard_stale(stale, Reason.PEER_CLOSED, pool.now)
    pool.carry_out()
    assert pool.closed == [(stale.number, Reason.PEER_CLOSED)]


def test_fresh_connection_that_ends_without_answer_says_nothing_of_idle_ones(pool: Driver) -> None:
    pool.idle()
    pool.now = 3.0
    used = pool.used()
    fresh = pool.fresh()
    pool.release(used)
    pool.now = 4.0
    pool.ledger.discard_stale(fresh, Reason.PEER_RESET, 4.0)
    pool.carry_out()
    assert pool.closed == [(fresh.number, Reason.PEER_RESET)]
    assert not pool.ledger.statistics(4.0).learned


# --- tickets ---------------------------------------------------------------------------------


def test_cancelled_while_dialling_leaks_no_place() -> None:
    pool = Driver(PoolSettings(max_per_origin=1))
    ticket = pool.ticket()
    pool.ledger.cancel(ticket, 0.0)
    pool.fail(ticket, Reason.CANCELLED)
    assert not pool.refused
    assert pool.fresh().number == 1


def test_cancelled_after_the_grant_hands_the_connection_on_as_idle_as_it_was() -> None:
    pool = Driver(PoolSettings(max_per_origin=1))
    leased = pool.fresh()
    first, second = pool.ticket(), pool.ticket()
    pool.release(leased)
    pool.now = 2.0
    pool.ledger.cancel(first, 2.0)
    pool.carry_out()
    assert pool.taken(second) is leased
    assert leased.idle_seconds == 2.0


def test_cancelled_after_the_grant_and_nobody_waiting_leaves_the_connection_idle() -> None:
    pool = Driver(PoolSettings(max_per_origin=1))
    leased = pool.fresh()
    ticket = pool.ticket()
    pool.release(leased)
    pool.ledger.cancel(ticket, 1.0)
    pool.expire()
    assert pool.now == 55.0
    assert pool.closed == [(1, Reason.IDLE_LIMIT)]


def test_ticket_that_was_taken_cannot_be_cancelled_or_taken_again(pool: Driver) -> None:
    ticket = pool.ticket()
    pool.connect(ticket)
    entry = pool.taken(ticket)
    pool.ledger.cancel(ticket, 0.0)
    assert entry.state is EntryState.LEASED
    with pytest.raises(LocalViolation, match="holds no grant"):
        pool.take(ticket)


def test_ticket_that_still_waits_has_nothing_to_take(pool: Driver) -> None:
    assert pool.take(pool.ticket()) is None


# --- misuse ----------------------------------------------------------------------------------


def test_connection_released_twice_is_a_fault_of_the_driver(pool: Driver) -> None:
    (entry,) = pool.idle()
    with pytest.raises(LocalViolation, match="released, but not leased"):
        pool.release(entry)
    with pytest.raises(LocalViolation, match="went stale, but is not leased"):
        pool.ledger.discard_stale(entry, Reason.PEER_RESET, 0.0)


def test_dial_is_told_of_once(pool: Driver) -> None:
    ticket = pool.ticket()
    pool.connect(ticket)
    with pytest.raises(LocalViolation, match="no dial under way"):
        pool.ledger.dialled(ticket, 2, 0.0)
    with pytest.raises(LocalViolation, match="no dial under way"):
        pool.ledger.dial_failed(ticket, 0.0)


def test_a_lease_that_is_undone_leaves_the_connection_as_idle_as_it_was(pool: Driver) -> None:
    entry = pool.fresh()
    pool.release(entry, timeout=30, maximum=2)
    pool.now = 10.0
    assert pool.used() is entry
    waiting = pool.ledger.statistics(10.0)
    pool.ledger.lay_back(entry, pool.now)
    assert (entry.state, entry.uses, entry.idle_since, entry.hint_max) == (EntryState.IDLE, 1, 0.0, 2)
    after = pool.ledger.statistics(10.0)
    assert (after.requests, after.reused) == (waiting.requests - 1, waiting.reused - 1)
    with pytest.raises(LocalViolation, match="not leased"):
        pool.ledger.lay_back(entry, pool.now)


def test_a_lease_that_is_undone_as_the_pool_closes_ends_the_connection(pool: Driver) -> None:
    pool.idle()
    entry = pool.used()
    pool.ledger.close(pool.now)
    for _ in range(2):  # the second does nothing
        pool.ledger.lay_back(entry, pool.now)
        pool.carry_out()
    assert pool.closed == [(1, Reason.POOL_CLOSED)]
