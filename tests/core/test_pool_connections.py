"""The connections of a pool: their deadlines, and what is forgotten. RFC 9112 §9.5."""

from __future__ import annotations

import pytest

from perdure.core.pool import PoolSettings
from perdure.core.pool_connections import REMEMBERED_ORIGINS
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver


@pytest.fixture
def pool() -> Driver:
    return Driver()


def small(per_origin: int, total: int = 100) -> Driver:
    return Driver(PoolSettings(max_per_origin=per_origin, max_total=total))


def test_origins_without_connections_are_forgotten_at_last() -> None:
    pool = Driver()
    for number in range(REMEMBERED_ORIGINS + 10):
        entry = pool.fresh(f"{number}")
        pool.release(entry)
        pool.now += 2.0
        pool.peer_closes(entry)
        pool.now -= 2.0
    learned = pool.ledger.statistics(0.0).learned
    assert len(learned) == REMEMBERED_ORIGINS
    assert "9" not in learned
    assert "10" in learned


def come_and_go(pool: Driver, origins: int) -> None:
    for number in range(origins):
        pool.release(pool.fresh(f"{number}"), Reason.CLOSE_RECEIVED)


def test_origin_with_a_dial_under_way_is_not_forgotten() -> None:
    pool = small(1)
    pool.idle()
    ticket = pool.ticket(fresh=True)  # closes the only connection, so that nothing but the dial is left
    come_and_go(pool, REMEMBERED_ORIGINS + 1)
    entry = pool.connect(ticket)
    assert pool.taken(ticket) is entry


def test_origin_whose_last_connection_made_room_for_another_is_forgotten_too() -> None:
    pool = small(1, total=1)
    pool.now = 0.0
    pool.idle(1, "evicted")
    pool.now = 7.0
    pool.release(pool.used("evicted"))
    assert "evicted" in pool.ledger.statistics(7.0).proven
    come_and_go(pool, REMEMBERED_ORIGINS + 1)
    assert "evicted" not in pool.ledger.statistics(7.0).proven


def test_deadlines_of_connections_that_ended_do_not_pile_up(pool: Driver) -> None:
    for _ in range(2000):
        pool.release(entry := pool.fresh())
        pool.ledger.discard(entry, Reason.SURPLUS_OCTETS, pool.now)
        pool.carry_out()
        pool.now += 0.001
    kept = pool.idle(2)
    looks = 0
    while pool.ledger.next_deadline() is not None:
        pool.expire()
        looks += 1
    assert looks < 100
    assert [number for number, _ in pool.closed[-2:]] == [entry.number for entry in kept]
