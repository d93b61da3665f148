"""How far below a limit a request keeps that may not be repeated (9112 §9.5)."""

from __future__ import annotations

import pytest

from perdure.core.pool import EntryState, PoolSettings, Ticket
from perdure.core.reason import Reason
from tests.core.pool_driver import Driver


@pytest.fixture
def pool() -> Driver:
    return Driver()


@pytest.mark.parametrize(("exchange", "oldest"), [(0.0, 29.95), (0.04, 29.92), (0.1, 29.8), (3.0, 29.8)])
def test_margin_is_two_exchanges_where_these_are_slower_than_the_dial(
    pool: Driver, exchange: float, oldest: float
) -> None:
    """A dial that is answered nearby says nothing of the way to who ends idle connections."""
    pool.idle()
    pool.now = 30.0
    entry = pool.used()
    pool.now += exchange
    pool.release(entry)
    idle_since = pool.now
    pool.now = idle_since + oldest + 0.001
    assert isinstance(pool.ask(repeatable=False), Ticket)
    pool.now = idle_since + oldest - 0.001
    assert pool.used(repeatable=False) is entry


def test_slow_exchange_is_forgotten_by_quicker_ones(pool: Driver) -> None:
    (entry,) = pool.idle()
    for seconds in (0.1, *[0.001] * 40):
        assert pool.used() is entry
        pool.now += seconds
        pool.release(entry)
    pool.now += 30.0
    pool.release(pool.used())
    pool.now += 29.94
    assert pool.used(repeatable=False) is entry


@pytest.mark.row("R88")
def test_408_for_a_request_that_may_not_be_repeated_proves_nothing_and_is_learned(pool: Driver) -> None:
    pool.idle()
    pool.now = 5.0
    pool.release(pool.used(), Reason.IDLE_408)
    assert pool.closed == [(1, Reason.IDLE_408)]
    assert pool.ledger.statistics(pool.now).learned == {"a": pytest.approx(4.5)}
    assert not pool.ledger.statistics(pool.now).proven


@pytest.mark.row("R148", "R179")
def test_after_a_sudden_end_a_promise_is_believed_no_more_but_what_is_proven_is(pool: Driver) -> None:
    pool.release(broken := pool.fresh(), timeout=5)
    pool.now = 0.05
    pool.peer_closes(broken)
    pool.now = 10.0
    pool.release(entry := pool.fresh(), timeout=5)
    pool.now = 12.0
    assert pool.fresh(repeatable=False) is not entry, "another one ended at once"
    pool.release(pool.used(), timeout=5)
    pool.now = 13.9
    assert pool.used(repeatable=False) is entry, "it lay for two seconds before"


# --- pools that are kept busy ---


def test_requests_that_may_be_repeated_leave_a_canary_alone_that_somebody_waits_for(pool: Driver) -> None:
    canary, *leased = [pool.fresh() for _ in range(8)]
    careful, plain = pool.ticket(repeatable=False), pool.ticket()
    pool.release(canary)
    assert canary.state is EntryState.IDLE, "somebody could use it"
    pool.now = 0.3
    pool.release(leased[0])
    assert pool.taken(careful) is leased[0]
    pool.expire()
    assert pool.now == pytest.approx(0.4)
    assert pool.taken(plain) is canary
    assert not pool.closed
    assert not pool.dials
    pool.release(canary)
    assert pool.ledger.statistics(0.4).proven == {"a": pytest.approx(0.4)}


def test_sole_connection_is_left_alone_by_nobody() -> None:
    pool = Driver(PoolSettings(max_per_origin=1))
    pool.idle()
    pool.ticket(repeatable=False)
    assert pool.used().state is EntryState.LEASED
