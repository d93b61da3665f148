"""A request that waits for a connection."""

from __future__ import annotations

import math

import pytest

from perdure.client.errors import ConnectTimeout, ExchangeError, PoolTimeout
from perdure.client.lease import LOOK_AGAIN_SECONDS, Lease
from perdure.core.pool import Entry, Need, Ticket


class Refusals:
    """A pool that writes down whom it refuses."""

    def __init__(self) -> None:
        self.errors: list[ExchangeError] = []

    def refuse(self, lease: Lease, error: ExchangeError) -> None:
        self.errors.append(error)


def waiting(pool: Refusals, dials: int, strict: bool) -> Lease:
    def granted(entry: Entry[object]) -> None:
        raise AssertionError("nothing is granted here")

    ticket = Ticket(1, "origin", Need.ANY)
    ticket.dials = dials
    return Lease(pool, ticket, granted, pool.errors.append, 5.0, strict)


def test_a_dial_that_became_another_s_leaves_a_deadline_behind() -> None:
    pool = Refusals()
    lease = waiting(pool, dials=1, strict=False)
    lease.deadline_reached(5.0)
    assert not pool.errors, "the dial has a time limit of its own"
    assert lease.deadline == 5.0 + LOOK_AGAIN_SECONDS
    lease.ticket.dials = 0
    lease.deadline_reached(lease.deadline)
    assert [type(error) for error in pool.errors] == [PoolTimeout]
    assert lease.deadline == math.inf


@pytest.mark.parametrize(("dials", "kind"), [(0, PoolTimeout), (1, ConnectTimeout)])
def test_a_limit_of_the_caller_s_own_ends_the_wait(dials: int, kind: type[ExchangeError]) -> None:
    pool = Refusals()
    waiting(pool, dials, strict=True).deadline_reached(5.0)
    assert [type(error) for error in pool.errors] == [kind]
