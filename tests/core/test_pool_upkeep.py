"""What happens to connections that nobody asks for: RFC 9112 §9.5."""

from __future__ import annotations

import math

import pytest

from perdure.core.errors import LocalViolation
from perdure.core.pool import EntryState, PoolSettings
from perdure.core.pool_upkeep import ABSENT_SECONDS, LOOK_UP_SECONDS
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver

GONE = Reason.ADDRESS_GONE


@pytest.fixture
def pool() -> Driver:
    return Driver()


def small(per_origin: int, total: int = 100) -> Driver:
    return Driver(PoolSettings(max_per_origin=per_origin, max_total=total))


# --- addresses -------------------------------------------------------------------------------


def test_connections_to_an_address_that_left_are_retired_when_nobody_uses_them(pool: Driver) -> None:
    idle, leased, kept, unknown = (pool.fresh(address=address) for address in ("1", "1", "2", None))
    for entry in (idle, kept, unknown):
        pool.release(entry)
    pool.resolved("2", "3")
    pool.now = ABSENT_SECONDS
    pool.resolved("2", "3")
    assert pool.closed == [(idle.number, GONE)]
    pool.release(leased)
    assert pool.closed == [(idle.number, GONE), (leased.number, GONE)]
    assert {pool.used(), pool.used()} == {kept, unknown}


def test_names_that_answer_with_their_addresses_in_turn_keep_their_connections(pool: Driver) -> None:
    entries = [pool.fresh(address=address) for address in "12"]
    for entry in entries:
        pool.release(entry)
    for turn in range(8):
        pool.resolved("12"[turn % 2])
        pool.now += ABSENT_SECONDS / 2 - 1.0
    assert not pool.closed


def test_two_answers_right_after_each_other_are_one(pool: Driver) -> None:
    pool.release(pool.fresh(address="1"))
    for _ in range(5):
        pool.resolved("2")
        pool.now += ABSENT_SECONDS / 5 - 0.01
    assert not pool.closed


def test_an_empty_answer_says_nothing(pool: Driver) -> None:
    pool.release(pool.fresh(address="1"))
    pool.resolved()
    pool.now = ABSENT_SECONDS
    pool.resolved()
    assert not pool.closed


def test_retired_connection_that_nobody_took_is_closed_and_its_ticket_dialled_for() -> None:
    pool = small(1)
    entry = pool.fresh(address="1")
    first = pool.ticket()
    pool.resolved("2")
    pool.release(entry)
    pool.now = ABSENT_SECONDS
    pool.resolved("2")
    assert pool.closed == [(1, GONE)]
    assert pool.dials == [first]


def test_an_answer_for_an_unknown_origin_says_nothing(pool: Driver) -> None:
    pool.resolved("1", origin="nowhere")
    assert not pool.closed
    assert pool.ledger.look_up_at == math.inf


def test_names_in_use_are_due_once_a_minute_each_and_literal_addresses_never(pool: Driver) -> None:
    for origin in ("a", "b", "literal"):
        pool.release(pool.fresh(origin, address="1"))
    pool.resolved("1", origin="a")
    pool.now = 20.0
    pool.resolved("1", origin="b")
    assert pool.ledger.look_up_at == LOOK_UP_SECONDS
    assert pool.ledger.names_due(59.9) == []
    assert pool.ledger.names_due(60.0) == ["a"]
    assert pool.ledger.look_up_at == 80.0
    assert pool.ledger.names_due(80.0) == ["b"]
    assert pool.ledger.names_due(80.0) == []
    assert pool.ledger.look_up_at == 120.0


def test_a_name_without_connections_is_not_resolved(pool: Driver) -> None:
    pool.release(pool.fresh(address="1"))
    pool.resolved("1")
    pool.expire(55.0)
    assert pool.ledger.names_due(70.0) == []
    assert pool.ledger.look_up_at == math.inf


# --- warming ---------------------------------------------------------------------------------


def test_warm_dials_up_to_the_count_and_closes_nothing_for_it() -> None:
    pool = small(4, total=5)
    pool.idle(3, "b")
    assert [len(pool.warm(wanted)) for wanted in (1, 9, 9)] == [1, 1, 0]
    assert not pool.closed


def test_warming_counts_what_there_is(pool: Driver) -> None:
    leased = pool.fresh()
    pool.idle(1)
    first, second = pool.warm(4)
    assert pool.ledger.count("a") == 2
    pool.connect(first)
    pool.fail(second)
    assert pool.ledger.count("a") == 3
    assert leased.state is EntryState.LEASED
    assert pool.ledger.count("nowhere") == 0


def test_warmed_connection_goes_to_who_waits() -> None:
    pool = small(2)
    pool.fresh()
    (dial,) = pool.warm(2)
    waiting = pool.ticket()
    assert pool.dials == [dial]
    entry = pool.connect(dial)
    assert pool.taken(waiting) is entry


def test_closed_pool_is_not_warmed(pool: Driver) -> None:
    pool.ledger.close(0.0)
    with pytest.raises(LocalViolation, match="closed"):
        pool.warm(3)


def test_origin_that_cannot_be_dialled_is_warmed_by_one_dial_at_a_time(pool: Driver) -> None:
    pool.fail(pool.ticket())
    assert len(pool.warm(5)) == 1
    assert pool.warm(5) == []


# --- the end ---------------------------------------------------------------------------------


def test_closing_ends_idle_and_granted_connections_and_refuses_who_waits() -> None:
    pool = Driver(PoolSettings(max_per_origin=2))
    granted, leased = pool.fresh(), pool.fresh()
    first, second = pool.ticket(), pool.ticket()
    pool.release(granted)
    pool.idle(1, "b")
    dialling = pool.ticket("c")
    pool.ledger.close(0.0)
    pool.carry_out()
    assert sorted(pool.closed) == [(1, Reason.POOL_CLOSED), (3, Reason.POOL_CLOSED)]
    assert {ticket for ticket, _ in pool.refused} == {first, second, dialling}
    assert {reason for _, reason in pool.refused} == {Reason.POOL_CLOSED}
    pool.release(leased)
    pool.connect(dialling)
    assert sorted(number for number, _ in pool.closed) == [1, 2, 3, 4]
    assert set(pool.ledger.statistics(0.0).closes) == {Reason.POOL_CLOSED}
    with pytest.raises(LocalViolation) as raised:
        pool.ask()
    assert raised.value.reason is Reason.POOL_CLOSED
    with pytest.raises(LocalViolation, match="closed"):
        pool.ask(fresh=True)


def test_next_deadline_is_none_while_nothing_is_idle(pool: Driver) -> None:
    assert pool.ledger.next_deadline() is None
    pool.release(entry := pool.fresh())
    assert pool.ledger.next_deadline() == 55.0
    pool.used()
    pool.expire()
    assert pool.ledger.next_deadline() is None
    pool.release(entry)
    assert pool.ledger.next_deadline() == 110.0


def test_idle_entries_are_listed_longest_idle_first_for_drivers_that_must_look(pool: Driver) -> None:
    first, second = pool.idle(2)
    (third,) = pool.idle(1, "b")
    assert pool.ledger.idle_entries() == (first, second, third)
    assert pool.ledger.idle_entries("b") == (third,)
    assert pool.ledger.idle_entries("nowhere") == ()


def test_witnesses_are_the_canary_and_the_connection_that_would_be_used(pool: Driver) -> None:
    assert pool.ledger.witnesses("a") == ()
    first, _, last = pool.idle(3)
    (only,) = pool.idle(1, "b")
    assert pool.ledger.witnesses("a") == (first, last)
    assert pool.ledger.witnesses("b") == (only,)
    pool.used("b")
    assert pool.ledger.witnesses("b") == ()


def test_a_connection_that_was_never_used_is_no_canary(pool: Driver) -> None:
    entries = [pool.connect(ticket) for ticket in pool.warm(2)]
    assert pool.ledger.witnesses("a") == (entries[1],)
    pool.release(pool.used())
    assert pool.ledger.witnesses("a") == (entries[1],)


def test_statistics_do_not_change_afterwards(pool: Driver) -> None:
    before = pool.ledger.statistics(0.0)
    pool.release(pool.fresh(), Reason.CLOSE_RECEIVED)
    after = pool.ledger.statistics(0.0)
    assert (before.requests, before.dialled, dict(before.closes)) == (0, 0, {})
    assert (after.requests, after.dialled, dict(after.closes)) == (1, 1, {Reason.CLOSE_RECEIVED: 1})
    with pytest.raises(TypeError):
        after.closes[Reason.DRAIN] = 1  # type: ignore[index] # it must not work
