"""Who gets which connection, and which one ends to make room: RFC 9112 §9.4."""

from __future__ import annotations

import pytest

from perdure.core.pool import Entry, EntryState, Grant, Ledger, PoolSettings, Ticket, TicketState, Use
from perdure.core.reason import Reason
from tests.core.pool_driver import PERSISTS, Driver


@pytest.fixture
def pool() -> Driver:
    return Driver()


def small(per_origin: int, total: int = 100) -> Driver:
    return Driver(PoolSettings(max_per_origin=per_origin, max_total=total))


# --- order of connections --------------------------------------------------------------------


def test_connection_used_last_is_used_first_so_that_surplus_ones_expire(pool: Driver) -> None:
    pool.idle(3)
    assert [pool.used().number for _ in range(3)] == [3, 2, 1]


def test_spread_takes_the_longest_idle_one() -> None:
    pool = Driver(PoolSettings(order="spread"))
    pool.idle(3)
    assert [pool.used().number for _ in range(3)] == [1, 2, 3]


def test_expired_connection_that_is_met_is_closed_with_its_reason_and_the_next_one_is_used(
    pool: Driver,
) -> None:
    older, younger = pool.idle(2)
    younger.idle_deadline = 1.0
    pool.now = 2.0
    assert pool.used() is older
    assert pool.closed == [(younger.number, Reason.IDLE_LIMIT)]


# --- the cap of an origin --------------------------------------------------------------------


def test_requests_beyond_the_cap_wait_and_are_served_first_in_first_out() -> None:
    pool = small(2)
    leased = [pool.fresh(), pool.fresh()]
    waiting = [pool.ticket() for _ in range(3)]
    assert not pool.dials
    for entry in leased:
        pool.release(entry)
    assert pool.granted[-2:] == waiting[:2]
    pool.release(pool.taken(waiting[1]))
    assert pool.granted[-1] is waiting[2]


def test_nobody_overtakes_who_waits() -> None:
    pool = small(1)
    leased = pool.fresh()
    first = pool.ticket()
    second = pool.ticket(fresh=True)
    third = pool.ticket()
    pool.release(leased)
    pool.release(pool.taken(first))
    assert pool.closed == [(1, Reason.PRESSURE)]  # the second wants a fresh one
    assert pool.dials == [second]
    assert third.state is TicketState.WAITING


def test_connection_that_ends_gives_its_place_to_who_waits() -> None:
    pool = small(1)
    leased = pool.fresh()
    waiting = pool.ticket()
    pool.release(leased, Reason.CLOSE_RECEIVED)
    assert pool.closed == [(1, Reason.CLOSE_RECEIVED)]
    assert pool.dials == [waiting]


def test_fresh_connection_at_the_cap_takes_the_place_of_the_longest_idle_one(pool: Driver) -> None:
    pool.idle(8)
    ticket = pool.ticket(fresh=True)
    assert pool.closed == [(1, Reason.PRESSURE)]
    assert pool.dials == [ticket]


def test_only_idle_connections_are_closed_for_a_place(pool: Driver) -> None:
    for _ in range(8):
        pool.fresh()
    pool.ticket(fresh=True)
    assert not pool.closed
    assert not pool.dials


# --- who can use nothing of what there is ----------------------------------------------------


def test_request_that_waits_for_a_proof_does_not_hold_up_one_that_needs_none() -> None:
    pool = small(1)
    (canary,) = pool.idle()
    post = pool.ticket(repeatable=False)
    assert post.state is TicketState.WAITING
    assert pool.used() is canary


def test_connection_that_is_released_goes_past_who_cannot_use_it_to_the_first_who_can() -> None:
    pool = small(1)
    leased = pool.fresh()
    post, first, second = pool.ticket(repeatable=False), pool.ticket(), pool.ticket()
    pool.release(leased)
    assert pool.granted[-1] is first
    assert pool.taken(first) is leased
    pool.release(leased)
    assert pool.taken(second) is leased
    assert post.state is TicketState.WAITING


def test_who_waits_for_a_proof_while_others_use_the_connection_is_dialled_for_at_last() -> None:
    pool = small(1)
    (leased,) = pool.idle()
    post = pool.ticket(repeatable=False)
    while not pool.dials:
        assert pool.used() is leased
        pool.now += 0.009
        pool.release(leased)
        pool.now += 0.001
    assert pool.now == pytest.approx(0.2, abs=0.02)
    assert pool.dials == [post]
    assert pool.closed == [(leased.number, Reason.PRESSURE)]


def test_after_that_nobody_waits_in_vain_for_a_minute() -> None:
    pool = small(1)
    (leased,) = pool.idle()
    first = pool.ticket(repeatable=False)
    for pool.now in (0.04, 0.08, 0.12, 0.16):
        pool.release(pool.used())
    pool.expire(0.2)
    assert pool.dials == [first]
    assert leased.ended is Reason.PRESSURE
    pool.connect(first)
    pool.release(pool.taken(first))
    second = pool.ticket(repeatable=False)
    assert pool.dials == [second]
    pool.connect(second)
    pool.now = 61.0
    pool.release(pool.taken(second))
    assert pool.ticket(repeatable=False).state is TicketState.WAITING
    assert pool.dials == []


# --- the total cap ---------------------------------------------------------------------------


def test_idle_connections_count_and_the_least_recently_used_one_makes_room() -> None:
    pool = small(8, total=3)
    pool.idle(1, "a")
    pool.idle(2, "b")
    pool.fresh("c")
    assert pool.closed == [(1, Reason.PRESSURE)]
    assert pool.ledger.statistics(0.0).connections == 3


def test_connection_that_becomes_idle_elsewhere_makes_room_for_who_waits() -> None:
    pool = small(8, total=2)
    first, _ = pool.fresh("a"), pool.fresh("a")
    waiting = pool.ticket("b")
    assert not pool.dials
    pool.release(first)
    assert pool.closed == [(1, Reason.PRESSURE)]
    assert pool.dials == [waiting]


def test_free_place_goes_to_who_waits_longest_of_all_origins() -> None:
    pool = small(2, total=2)
    leased = [pool.fresh("a"), pool.fresh("a")]
    tickets = [pool.ticket(origin) for origin in ("b", "c", "b")]
    for entry in leased:
        pool.release(entry, Reason.CLOSE_RECEIVED)
    assert pool.dials == tickets[:2]


def test_origin_at_its_own_cap_does_not_hold_up_the_line() -> None:
    pool = small(1, total=2)
    pool.fresh("a")
    other = pool.fresh("b")
    stuck, next_one = pool.ticket("a"), pool.ticket("c")
    pool.release(other, Reason.CLOSE_RECEIVED)
    assert pool.dials == [next_one]
    assert stuck.state is TicketState.WAITING


def test_released_connection_stays_with_its_origin_while_others_have_some() -> None:
    pool = small(8, total=2)
    ours, theirs = pool.fresh("a"), pool.fresh("b")
    pool.ticket("b")
    waiting = pool.ticket("a")
    pool.release(ours)
    assert pool.granted[-1] is waiting
    assert not pool.closed
    assert theirs.state is EntryState.LEASED


def test_origin_that_has_none_at_all_goes_first_if_it_waits_longest() -> None:
    pool = small(8, total=1)
    busy = pool.fresh("a")
    starving = pool.ticket("b")
    pool.ticket("a")
    pool.release(busy)
    assert pool.closed == [(1, Reason.PRESSURE)]
    assert pool.dials == [starving]


def test_new_request_does_not_overtake_the_line_when_an_expired_connection_frees_a_place() -> None:
    pool = small(1, total=2)
    pool.fresh("a")
    (aged,) = pool.idle(1, "b")
    aged.idle_deadline = 5.0
    pool.now = 6.0
    pool.ticket("a")  # at its own cap
    asked = pool.ticket("b")
    assert pool.closed == [(aged.number, Reason.IDLE_LIMIT)]
    assert pool.dials == [asked]


def test_waiting_ticket_that_was_cancelled_leaves_the_line() -> None:
    pool = small(8, total=1)
    busy = pool.fresh("a")
    first, second = pool.ticket("b"), pool.ticket("c")
    pool.ledger.cancel(first, 0.0)
    pool.release(busy)
    assert pool.dials == [second]


def test_idle_connection_elsewhere_makes_room_before_a_canary_is_waited_for() -> None:
    pool = small(8, total=2)
    (canary,) = pool.idle(1, "a")
    (other,) = pool.idle(1, "b")
    asked = pool.ticket("a", repeatable=False)
    assert pool.dials == [asked]
    assert pool.closed == [(other.number, Reason.PRESSURE)]
    assert canary.state is EntryState.IDLE


def test_canary_of_the_same_origin_ripens_under_the_total_cap_too() -> None:
    pool = small(8, total=1)
    pool.idle()
    waiting = pool.ticket(repeatable=False)
    assert not pool.dials
    pool.expire()
    assert pool.now == pytest.approx(0.1)
    assert pool.dials == [waiting]


def test_line_stands_still_while_its_first_waits_for_a_canary() -> None:
    pool = small(8, total=2)
    pool.fresh("a")
    (canary,) = pool.idle(1, "a")
    first, second, third = pool.ticket("a", repeatable=False), pool.ticket("b"), pool.ticket("c")
    pool.ledger.cancel(third, 0.0)
    pool.carry_out()
    assert not pool.dials
    pool.expire()
    assert pool.closed == [(canary.number, Reason.PRESSURE)]
    assert pool.dials == [first]
    assert second.state is TicketState.WAITING


@pytest.mark.parametrize("connections", [100, 1000])
def test_lease_and_release_look_at_no_other_connection(connections: int) -> None:
    """Counted, not timed: hashing an entry is how any pass over the pool would show."""
    hashed = 0

    class Counted:
        def __hash__(self) -> int:
            nonlocal hashed
            hashed += 1
            return 7

    ledger: Ledger[None] = Ledger(PoolSettings(max_per_origin=connections, max_total=connections))
    origin, entries = Counted(), list[Entry[None]]()
    for _ in range(connections):
        answer = ledger.lease(origin, 0.0, True)
        assert not isinstance(answer, Use)
        ledger.dialled(answer.ticket, None, 0.0)
        taken = ledger.take(answer.ticket, 0.0)
        assert taken is not None
        entries.append(taken)
    for entry in entries:
        ledger.release(entry, 0.0, PERSISTS)
    hashed = 0
    answer = ledger.lease(origin, 1.0, True)
    assert isinstance(answer, Use)
    ledger.release(answer.entry, 1.0, PERSISTS)
    assert hashed == 2


def test_grant_is_told_once(pool: Driver) -> None:
    ticket = pool.ticket()
    assert isinstance(ticket, Ticket)
    pool.dials.clear()
    pool.ledger.dialled(ticket, 1, 0.0)
    assert [type(action) for action in pool.ledger.take_actions()] == [Grant]
    assert pool.ledger.take_actions() == ()


@pytest.mark.row("R108")
@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_wait_than_may_and_others_are_refused_at_once(most: int) -> None:
    pool = Driver(PoolSettings(max_per_origin=1, max_waiting=most))
    entry = pool.fresh()
    waiting = [pool.ticket() for _ in range(most)]
    refused = pool.ticket()
    assert pool.refused == [(refused, Reason.QUEUE_FULL)]
    if waiting:
        pool.release(entry)
        assert pool.granted[1:] == waiting[:1]
        assert pool.ledger.statistics(0.0).waiting == most - 1
        pool.ticket()  # there is room again
    assert len(pool.refused) == 1


def test_requests_that_a_dial_under_way_will_serve_do_not_wait_in_the_queue() -> None:
    pool = Driver(PoolSettings(max_per_origin=3, max_waiting=0))
    dialled = [pool.ticket() for _ in range(3)]
    assert pool.dials == dialled
    assert not pool.refused


def test_connection_that_may_not_lie_idle_is_not_handed_to_who_waits_either() -> None:
    pool = small(1)
    entry, waiting = pool.fresh(), pool.ticket()
    pool.ledger.release(entry, pool.now, PERSISTS, hint_timeout=0)
    pool.carry_out()
    assert pool.closed == [(entry.number, Reason.IDLE_HINT)]
    assert pool.dials == [waiting]
