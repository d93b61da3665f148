"""The short ways of a ledger come to the same as the general ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core.pool import Dial, Entry, EntryState, Ledger, PoolSettings, Wait
from perdure.core.reason import Reason

PERSISTS = Reason.PERSISTS_11
SETTINGS = [
    PoolSettings(max_per_origin=2),
    PoolSettings(max_per_origin=3, max_age=20.0, max_requests=4, unlearned_idle_timeout=6.0),
    PoolSettings(max_per_origin=2, order="spread", max_age=50.0),
]


class Twin:
    """One ledger; its connections are numbers."""

    def __init__(self, settings: PoolSettings, short: bool) -> None:
        self.ledger: Ledger[int] = Ledger(settings)
        self.short = short
        self.leased: list[Entry[int]] = []
        self.actions: list[str] = []

    def lease(self, now: float, repeatable: bool) -> None:
        entry = self.ledger.lease_latest("a", now) if self.short and repeatable else None
        entry = entry or self.ledger.lease_idle("a", now, repeatable)
        if entry is None:
            answer = self.ledger.lease("a", now, repeatable)
            if not isinstance(answer, Dial):
                self.ledger.cancel(answer.ticket, now)  # type: ignore[union-attr]  # nothing else lies idle
                return
            self.ledger.dialled(answer.ticket, 0, now)
            entry = self.ledger.take(answer.ticket, now)
            assert entry is not None
        self.leased.append(entry)

    def release(self, pick: int, now: float, reason: Reason, hints: tuple[int | None, int | None]) -> None:
        if self.leased:
            entry = self.leased.pop(pick % len(self.leased))
            if not (self.short and self.ledger.lay_latest(entry, now, reason, *hints)):
                self.ledger.release(entry, now, reason, *hints)

    def seen(self, now: float) -> list[Any]:
        """All that can be told of it."""
        self.actions += map(repr, self.ledger.take_actions())
        entries = [*self.ledger.idle_entries(), *self.leased]
        names = [name for name in Entry.__slots__ if name not in ("handle", "ticket")]
        return [
            self.actions,
            self.ledger.statistics(now),
            [[getattr(entry, name) for name in names] for entry in entries],
        ]


REASONS = st.sampled_from([PERSISTS, PERSISTS, PERSISTS, Reason.PERSISTS_10, Reason.CLOSE_RECEIVED])
HINTS = st.sampled_from([(None, None), (None, None), (5, None), (5, 3), (None, 2), (60, None)])
STEPS = st.one_of(
    st.tuples(st.just("lease"), st.sampled_from([True, True, False])),
    st.tuples(st.just("release"), st.integers(0, 3), REASONS, HINTS),
    st.tuples(st.just("wait"), st.sampled_from([0.001, 0.03, 0.1, 1.0, 5.0, 30.0])),
    st.tuples(st.just("closed")),
)


@given(st.sampled_from(SETTINGS), st.lists(STEPS, max_size=40))
def test_whatever_happens_a_ledger_driven_by_the_short_ways_is_the_other_ones_twin(
    settings: PoolSettings, steps: list[tuple[Any, ...]]
) -> None:
    twins = Twin(settings, True), Twin(settings, False)
    now = 100.0
    for step in steps:
        if step[0] == "wait":
            now += step[1]
        for twin in twins:
            if step[0] == "lease":
                twin.lease(now, step[1])
            elif step[0] == "release":
                twin.release(step[1], now, *step[2:])
            elif step[0] == "closed" and (idle := twin.ledger.idle_entries()):
                twin.ledger.peer_closed(idle[0], now, Reason.PEER_CLOSED)
            elif step[0] == "wait":
                twin.ledger.expire(now)
        assert twins[0].seen(now) == twins[1].seen(now)


def used(ledger: Ledger[int], times: int = 2) -> Entry[int]:
    """A connection that lies idle after so many requests."""
    answer = ledger.lease("a", 0.0, True)
    assert isinstance(answer, Dial)
    entry = ledger.dialled(answer.ticket, 0, 0.0)
    assert ledger.take(answer.ticket, 0.0) is entry
    for _ in range(times - 1):
        ledger.release(entry, 0.0, PERSISTS)
        assert ledger.lease_latest("a", 0.0) is entry
    ledger.release(entry, 0.0, PERSISTS)
    return entry


def test_the_latest_is_reserved_and_laid_back_without_a_deadline_or_an_action() -> None:
    ledger: Ledger[int] = Ledger(PoolSettings())
    entry = used(ledger)
    ledger.take_actions()
    deadline = ledger.next_deadline()
    assert ledger.lease_latest("a", 1.0) is entry
    assert (entry.state, entry.idle_seconds, entry.uses, entry.reused) == (EntryState.LEASED, 1.0, 3, True)
    assert ledger.lease_latest("a", 1.0) is None
    assert ledger.lay_latest(entry, 2.0, PERSISTS, None, None)
    assert (entry.state, entry.idle_since) == (EntryState.IDLE, 2.0)
    assert (list(ledger.take_actions()), ledger.next_deadline()) == ([], deadline)


@pytest.mark.parametrize(
    ("reason", "hints"),
    [
        (Reason.CLOSE_RECEIVED, (None, None)),
        (Reason.IDLE_408, (None, None)),
        (PERSISTS, (5, None)),
        (PERSISTS, (None, 5)),
    ],
)
def test_what_changes_something_is_left_to_release(
    reason: Reason, hints: tuple[int | None, int | None]
) -> None:
    ledger: Ledger[int] = Ledger(PoolSettings())
    entry = used(ledger)
    ledger.lease_latest("a", 1.0)
    assert not ledger.lay_latest(entry, 2.0, reason, *hints)
    assert (entry.state, entry.idle_since) == (EntryState.LEASED, 0.0)


def test_one_past_its_deadline_is_left_to_the_general_way() -> None:
    ledger: Ledger[int] = Ledger(PoolSettings(idle_timeout=5.0))
    entry = used(ledger)
    assert ledger.lease_latest("a", 5.0) is None
    assert ledger.idle_entries() == (entry,)


def test_one_that_is_held_back_to_prove_something_is_left_to_the_general_way() -> None:
    """Otherwise requests that may be repeated keep it young, and each that may not costs a dial."""
    ledger: Ledger[int] = Ledger(PoolSettings(max_per_origin=2))
    canary, other = ledger.lease("a", 0.0, True), ledger.lease("a", 0.0, True)
    assert isinstance(canary, Dial)
    assert isinstance(other, Dial)
    for dial in (canary, other):
        ledger.dialled(dial.ticket, 0, 0.0)
    entry = ledger.take(canary.ticket, 0.0)
    assert entry is not None
    ledger.take(other.ticket, 0.0)
    ledger.release(entry, 1.0, PERSISTS)
    assert isinstance(ledger.lease("a", 1.0, False), Wait)
    assert ledger.lease_latest("a", 1.05) is ledger.lease_idle("a", 1.05, True) is None
    assert ledger.lease_latest("a", 1.4) is entry


def test_one_that_somebody_waits_for_is_left_to_release() -> None:
    ledger: Ledger[int] = Ledger(PoolSettings(max_per_origin=1))
    entry = used(ledger)
    ledger.lease_latest("a", 1.0)
    ledger.lease("a", 1.0, True)
    assert not ledger.lay_latest(entry, 2.0, PERSISTS, None, None)


def test_a_closed_ledger_and_a_closed_connection_are_left_to_the_general_way() -> None:
    ledger: Ledger[int] = Ledger(PoolSettings())
    entry = used(ledger)
    ledger.lease_latest("a", 1.0)
    ledger.close(1.0)
    assert not ledger.lay_latest(entry, 2.0, PERSISTS, None, None)
    assert ledger.lease_latest("a", 2.0) is None
    ledger.discard(entry, Reason.POOL_CLOSED, 2.0)
    assert not ledger.lay_latest(entry, 2.0, PERSISTS, None, None)
