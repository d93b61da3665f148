"""Connections with owners: apart from each other, under one cap, of one memory (9112 §9.4)."""

from __future__ import annotations

import pytest

from perdure.core import LocalViolation
from perdure.core.pool import Entry, PoolSettings, Private
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver

ONE, TWO, THREE = Private("a", 1), Private("a", 2), Private("a", 3)


def driver(per_origin: int = 8, total: int = 100) -> Driver:
    return Driver(PoolSettings(max_per_origin=per_origin, max_total=total))


def laid_idle(pool: Driver, key: Private) -> Entry[int]:
    (entry,) = pool.idle(origin=key)
    return entry


def test_owners_never_get_each_others_connections() -> None:
    pool = driver()
    own = laid_idle(pool, ONE)
    pool.ticket(TWO)
    pool.ticket("a")
    assert pool.used(ONE) is own


def test_preamble_parts_connections_as_an_owner_does() -> None:
    pool = driver()
    own = laid_idle(pool, Private("a", 0, b"PROXY TCP4 192.0.2.1 192.0.2.9 1 80\r\n"))
    pool.ticket(Private("a", 0, b"PROXY TCP4 192.0.2.2 192.0.2.9 1 80\r\n"))
    assert pool.used(Private("a", 0, b"PROXY TCP4 192.0.2.1 192.0.2.9 1 80\r\n")) is own


def test_dial_of_one_owner_serves_nobody_else() -> None:
    pool = driver()
    first, second = pool.ticket(ONE), pool.ticket(TWO)
    pool.connect(first)
    assert pool.granted == [first]
    assert pool.taken(first).origin == ONE
    pool.connect(second)
    assert pool.taken(second).origin == TWO


@pytest.mark.row("R108")
def test_cap_of_an_origin_counts_all_owners_and_the_idlest_of_any_makes_room() -> None:
    pool = driver(per_origin=2)
    laid_idle(pool, ONE)
    pool.now = 1.0
    laid_idle(pool, TWO)
    ticket = pool.ticket(THREE)
    assert pool.closed == [(1, Reason.PRESSURE)]
    assert pool.dials == [ticket]


@pytest.mark.parametrize("key", [THREE, "a"])
def test_who_finds_no_room_gets_that_of_the_next_connection_that_lies_idle(key: Private | str) -> None:
    pool = driver(per_origin=2)
    one, two = pool.fresh(ONE), pool.fresh(TWO)
    third = pool.ticket(key)
    assert pool.dials == []
    pool.release(two)
    assert pool.closed == [(2, Reason.PRESSURE)]
    assert pool.dials == [third]
    pool.release(one)
    assert pool.ledger.idle_entries(ONE) == (one,)


def test_place_of_a_connection_that_ends_goes_to_the_owner_who_waits_longest() -> None:
    pool = driver(per_origin=1)
    one = pool.fresh(ONE)
    second, third = pool.ticket(TWO), pool.ticket(THREE)
    pool.release(one, Reason.CLOSE_RECEIVED)
    assert pool.dials == [second]
    pool.fail(second, Reason.CANCELLED)
    assert pool.dials == [third]


def test_dial_that_fails_for_one_owner_tells_all_who_wait_as_long_as_nothing_is_left() -> None:
    pool = driver(per_origin=1)
    first, second, third = pool.ticket(ONE), pool.ticket(TWO), pool.ticket("a")
    pool.fail(first)
    assert pool.refused == [(ticket, Reason.CONNECT_FAILED) for ticket in (first, third, second)]


def test_connection_of_an_owner_that_makes_room_for_his_own_next_one_leaves_nothing_behind() -> None:
    pool = driver(per_origin=1)
    laid_idle(pool, ONE)
    again = pool.ticket(ONE, fresh=True)
    assert pool.closed == [(1, Reason.PRESSURE)]
    pool.connect(again)
    pool.release(pool.taken(again))
    assert pool.ledger.statistics(0.0).idle == 1


def test_owners_who_paused_go_on_as_soon_as_one_of_them_has_a_connection() -> None:
    pool = driver(per_origin=2)
    busy = pool.fresh("a")
    for _ in range(2):  # the second failure in a row makes who waits pause
        pool.fail(pool.ticket(ONE))
    tried, waits = pool.ticket(ONE), pool.ticket(TWO)
    pool.release(busy, Reason.CLOSE_RECEIVED)
    pool.connect(tried)
    assert pool.dials == [waits]


def test_who_gives_up_waiting_holds_up_no_other_owner() -> None:
    pool = driver(per_origin=1)
    one = pool.fresh(ONE)
    second, third = pool.ticket(TWO), pool.ticket(THREE)
    pool.ledger.cancel(second, pool.now)
    pool.release(one, Reason.CLOSE_RECEIVED)
    assert pool.dials == [third]


def test_owners_of_one_origin_do_not_hold_up_another_origin() -> None:
    pool = driver(per_origin=1, total=3)
    pool.fresh(ONE)
    pool.ticket(TWO)
    assert pool.dials == [pool.ticket("b")]


@pytest.mark.row("R110")
def test_what_one_owner_learns_all_know() -> None:
    pool = driver()
    one, two = laid_idle(pool, ONE), laid_idle(pool, TWO)
    pool.now = 10.0
    pool.peer_closes(one)
    pool.expire(10.0)  # 0.9 of 10 s is over already
    assert pool.closed == [(one.number, Reason.PEER_CLOSED), (two.number, Reason.IDLE_LEARNED)]
    assert pool.ledger.statistics(pool.now).learned == {"a": pytest.approx(9.0)}


def test_first_stale_connection_takes_the_siblings_of_other_owners_along() -> None:
    pool = driver()
    one, two = laid_idle(pool, ONE), laid_idle(pool, TWO)
    pool.now = 1.0
    assert pool.used(ONE) is one
    pool.ledger.discard_stale(one, Reason.PEER_CLOSED, pool.now)
    pool.carry_out()
    assert pool.closed == [(one.number, Reason.PEER_CLOSED), (two.number, Reason.SIBLING_STALE)]


def test_address_that_has_left_ends_the_connections_of_every_owner() -> None:
    pool = driver()
    for key in (ONE, TWO):
        pool.release(pool.fresh(key, address="192.0.2.1"))
    for now in (0.0, 40.0, 80.0):
        pool.now = min(now, 50.0)
        pool.resolved("192.0.2.2", origin=ONE)
    assert [reason for _, reason in pool.closed] == [Reason.ADDRESS_GONE] * 2
    assert not pool.ledger.names_due(50.0)  # no connection, no name


def test_name_is_asked_for_once_however_many_owners_there_are() -> None:
    pool = driver()
    for key in (ONE, TWO):
        entry = pool.fresh(key, address="192.0.2.1")
        pool.resolved("192.0.2.1", origin=key)
        assert entry.origin == key
    assert pool.ledger.names_due(61.0) == ["a"]


def test_what_an_owner_leaves_behind_is_closed_and_forgotten() -> None:
    pool = driver()
    laid_idle(pool, ONE)
    busy = pool.fresh(TWO)
    dialled = pool.ticket(TWO)
    pool.ledger.cancel(dialled, pool.now)
    for key in (ONE, TWO, THREE):
        pool.ledger.disown(key, pool.now)
    pool.carry_out()
    assert pool.closed == [(1, Reason.OWNER_GONE)]
    pool.release(busy)
    pool.connect(dialled)
    assert [reason for _, reason in pool.closed] == [Reason.OWNER_GONE] * 3
    assert pool.ledger.statistics(0.0).connections == 0


def test_owner_who_comes_back_meanwhile_is_one_again() -> None:
    pool = driver()
    ticket = pool.ticket(ONE)
    pool.ledger.disown(ONE, pool.now)
    pool.ledger.cancel(ticket, pool.now)
    again = pool.ticket(ONE)
    pool.connect(ticket)
    entry = pool.taken(again)
    pool.release(entry)
    assert pool.used(ONE) is entry


def test_claimed_connection_belongs_to_its_owner_alone_and_keeps_its_place() -> None:
    pool = driver(per_origin=1)
    entry = pool.fresh("a")
    key = pool.ledger.claim(entry, 1)
    assert key == ONE
    assert pool.ledger.claim(entry, 1) == ONE  # once more changes nothing
    pool.release(entry)
    assert pool.used(ONE) is entry
    pool.ticket("a")
    assert pool.dials == []  # the only place is taken
    pool.release(entry)
    assert pool.closed == [(1, Reason.PRESSURE)]


def test_who_waited_before_a_connection_was_claimed_gets_its_place_when_it_ends() -> None:
    pool = driver(per_origin=1)
    entry = pool.fresh("a")
    waits = pool.ticket("a")
    pool.ledger.claim(entry, 1)
    pool.release(entry, Reason.CLOSE_RECEIVED)
    assert pool.dials == [waits]


def test_connections_to_an_origin_are_those_of_all_owners() -> None:
    pool = driver()
    shared, one, two = pool.fresh("a"), pool.fresh(ONE), pool.fresh(TWO)
    assert set(pool.ledger.entries("a")) == {shared, one, two}
    assert list(pool.ledger.entries(ONE)) == [one]
    assert list(pool.ledger.entries("b")) == []


def test_only_a_leased_connection_can_be_claimed() -> None:
    pool = driver()
    (entry,) = pool.idle()
    with pytest.raises(LocalViolation, match="claimed, but not leased"):
        pool.ledger.claim(entry, 1)


def test_waiting_requests_of_all_owners_are_counted_together() -> None:
    pool = Driver(PoolSettings(max_per_origin=1, max_waiting=2))
    pool.fresh(ONE)
    pool.ticket(ONE)
    pool.ticket(TWO)
    refused = pool.ticket(THREE)
    assert pool.refused == [(refused, Reason.QUEUE_FULL)]


def test_who_has_no_connection_does_not_pause_for_the_sake_of_an_outage() -> None:
    """What another owner's dial left room for is dialled at once: there is nothing to wait for."""
    pool = driver(per_origin=2, total=2)
    for _ in range(2):
        pool.ticket("a")
    pool.ticket(ONE)
    pool.ticket(TWO)
    pool.fail(pool.dials[0])
    pool.fail(pool.dials[0])
    late = pool.ticket("a")
    assert late not in pool.dials
    pool.fail(pool.dials[0])
    assert late in pool.dials


def test_nothing_of_an_owner_is_left_in_a_ledger_that_was_closed() -> None:
    pool = driver(per_origin=1)
    granted = pool.fresh(ONE)
    waiting = pool.ticket(ONE)
    pool.release(granted)
    assert pool.granted[-1] is waiting
    pool.ledger.close(pool.now)
    pool.carry_out()
    assert pool.refused == [(waiting, Reason.POOL_CLOSED)]
    assert ONE not in pool.ledger._origins
