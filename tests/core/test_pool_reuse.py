"""What a request may use that cannot be sent again, by mode (9110 §9.2.2)."""

from __future__ import annotations

from typing import get_args

import pytest

from perdure.core.pool import Entry, PoolSettings, Private
from perdure.core.pool_entries import Reuse
from perdure.core.pool_reuse import NEEDS
from tests.core.pool_driver import Driver


def test_every_mode_has_its_row() -> None:
    assert set(NEEDS) == set(get_args(Reuse))


@pytest.mark.row("R148", "R149")
@pytest.mark.parametrize(
    ("mode", "first", "proven", "reused"),
    [
        ("never", True, True, False),
        ("never", False, True, True),
        ("never", False, False, False),
        ("safe", True, True, False),
        ("safe", False, True, True),
        ("safe", False, False, False),
        ("aggressive", True, True, True),
        ("aggressive", True, False, False),
        ("aggressive", False, True, True),
        ("always", True, False, True),
        ("always", False, False, True),
    ],
)
def test_request_that_may_not_be_repeated_takes_what_its_mode_trusts(
    mode: Reuse, first: bool, proven: bool, reused: bool
) -> None:
    pool = Driver(PoolSettings(reuse=mode))
    pool.idle(2)
    if proven:  # the older one has shown that connections live longer than the younger one lay
        pool.now = 5.0
        pool.release(pool.used())
    pool.now += 1.0
    asked = pool.ask(repeatable=False, first=first)
    assert isinstance(asked, Entry) is reused
    assert isinstance(pool.ask(repeatable=True, first=first), Entry)  # who may ask again minds nothing


@pytest.mark.row("R110")
def test_limits_hold_in_every_mode() -> None:
    pool = Driver(PoolSettings(reuse="always", idle_timeout=5.0))
    pool.idle()
    pool.now = 5.0
    pool.ticket(repeatable=False)


def test_first_request_in_safe_mode_waits_for_a_dial_and_not_for_somebody_elses_connection() -> None:
    pool = Driver(PoolSettings(reuse="safe", max_per_origin=1))
    entry = pool.fresh()
    careful = pool.ticket(repeatable=False, first=True)
    pool.release(entry)
    assert pool.granted[1:] == []
    assert pool.dials == [careful]  # the idle one made room


def test_client_of_its_own_in_never_mode_finds_its_connection_again() -> None:
    pool = Driver(PoolSettings(reuse="never"))
    key = Private("a", 1)
    (entry,) = pool.idle(origin=key)
    assert pool.used(key) is entry
    pool.ticket(Private("a", 2))
