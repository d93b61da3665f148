"""What holds whatever happens to a pool: random stories against a model that only counts.

The model knows nothing of how the ledger chooses. It notes what the driver sees (who holds which
connection, which dials are under way, when the peer was seen to leave a connection open) and
says after every step what must be true of it (`pool_model`).
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from perdure.core.pool import Entry, Private, TicketState
from perdure.core.pool_upkeep import ABSENT_SECONDS
from perdure.core.reason import Reason
from tests.core.pool_model import KEYS, ORIGINS, OWNED, PICK, SECONDS, Key, Model


class Pool(Model):
    """What may happen."""

    @precondition(lambda self: not self.shut)
    @rule(origin=st.sampled_from(KEYS), kind=st.sampled_from(["any", "first", "later", "fresh"]))
    def ask(self, origin: Key, kind: str) -> None:
        self.lease(origin, kind)

    @precondition(lambda self: self.leased)
    @rule(pick=PICK, owner=st.integers(1, 2))
    def claim(self, pick: int, owner: int) -> None:
        entry = self.leased[pick % len(self.leased)]
        before = entry.origin
        key = self.ledger.claim(entry, owner)
        assert entry.origin == key == (before if isinstance(before, Private) else Private(before, owner))
        self.carry_out()

    @rule(key=st.sampled_from(OWNED))
    def owner_goes(self, key: Private) -> None:
        self.ledger.disown(key, self.now)
        assert not self.ledger.idle_entries(key)
        assert all(entry.doom for entry in self.leased if entry.origin == key)
        self.carry_out()

    @precondition(lambda self: self.dials)
    @rule(pick=PICK, rtt=st.sampled_from([None, 0.01, 0.06]), address=st.sampled_from([None, "1", "2"]))
    def dial_succeeds(self, pick: int, rtt: float | None, address: str | None) -> None:
        ticket = self.dials.pop(pick % len(self.dials))
        self.all.append(self.ledger.dialled(ticket, object(), self.now, rtt, address))
        self.failing[str(ticket.origin)] = 0
        self.dialled += 1
        self.carry_out()

    @precondition(lambda self: self.dials)
    @rule(pick=PICK, reason=st.sampled_from([Reason.CONNECT_FAILED] * 3 + [Reason.CANCELLED]))
    def dial_fails(self, pick: int, reason: Reason) -> None:
        ticket = self.dials.pop(pick % len(self.dials))
        self.ledger.dial_failed(ticket, self.now, reason, error=ticket)
        if reason is Reason.CONNECT_FAILED:
            self.failing[str(ticket.origin)] += 1
        self.carry_out()
        self.check_outage(str(ticket.origin))

    def check_outage(self, origin: str) -> None:
        """Nobody waits for what will not come; a dead origin is not hammered."""
        if not self.failing[origin]:
            return
        begun = [ticket for ticket in self.dials if str(ticket.origin) == origin]  # of any owner: one peer
        own = [entry for entry in self.live() if entry.origin == origin]
        waiting = [t for t in self.tickets if t.origin == origin and t.state is TicketState.WAITING]
        full = len(self.live()) + len(self.dials) >= self.settings.max_total
        assert own or begun or not waiting or full

    @precondition(lambda self: self.granted)
    @rule(pick=PICK)
    def wake(self, pick: int) -> None:
        ticket = self.granted.pop(pick % len(self.granted))
        if ticket not in self.tickets:
            return  # it was cancelled, taken or refused after an earlier Grant
        entry = self.ledger.take(ticket, self.now)
        if entry is not None:
            self.tickets.remove(ticket)
            assert entry.origin == ticket.origin, "the connection of another"
            self.got(entry, ticket.need)
        self.carry_out()

    @precondition(lambda self: self.tickets)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        ticket = self.tickets.pop(pick % len(self.tickets))
        self.ledger.cancel(ticket, self.now)
        self.carry_out()
        self.ledger.cancel(ticket, self.now)
        assert not self.ledger.take_actions()

    @precondition(lambda self: self.leased)
    @rule(
        pick=PICK,
        reason=st.sampled_from([Reason.PERSISTS_11] * 4 + [Reason.CLOSE_RECEIVED]),
        timeout=st.sampled_from([None] * 6 + [0, 1, 5, 900]),
        maximum=st.sampled_from([None] * 6 + [0, 1, 2]),
    )
    def finish(self, pick: int, reason: Reason, timeout: int | None, maximum: int | None) -> None:
        entry = self.leased.pop(pick % len(self.leased))
        if entry.uses > 1:
            self.note_survival(str(entry.origin), entry.idle_seconds)
        self.ledger.release(entry, self.now, reason, timeout, maximum)
        if (
            not reason.persists
            or entry.doom
            or timeout in (0, 1)
            or maximum == 0
            or entry.uses >= 7
            or self.shut
        ):
            assert entry.ended is not None
        self.carry_out()

    @precondition(lambda self: self.leased)
    @rule(pick=PICK, stale=st.booleans())
    def break_off(self, pick: int, stale: bool) -> None:
        entry = self.leased.pop(pick % len(self.leased))
        if stale:
            self.ledger.discard_stale(entry, Reason.PEER_RESET, self.now)
            if entry.uses > 1:
                self.closes[str(entry.origin)].append((self.now, entry.idle_seconds))
        else:
            self.ledger.discard(entry, Reason.READ_TIMEOUT, self.now)
        assert entry.ended in {Reason.PEER_RESET, Reason.READ_TIMEOUT}
        self.carry_out()

    def resting(self) -> list[Entry[object]]:
        return [entry for entry in self.all if entry not in self.ended and entry not in self.leased]

    @precondition(lambda self: self.resting())
    @rule(pick=PICK, surplus=st.booleans())
    def peer_stirs(self, pick: int, surplus: bool) -> None:
        resting = self.resting()
        entry = resting[pick % len(resting)]
        if surplus:
            self.ledger.discard(entry, Reason.SURPLUS_OCTETS, self.now)
        else:
            if entry.uses:
                age = self.now - entry.idle_since
                self.closes[str(entry.origin)].append((self.now, age))
                self.lay_open[str(entry.origin)].append((self.now, age))
            self.ledger.peer_closed(entry, self.now)
        assert entry.ended in {Reason.SURPLUS_OCTETS, Reason.PEER_CLOSED}
        self.carry_out()

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        """The driver wakes at every deadline, as it should."""
        until = self.now + seconds
        while (deadline := self.ledger.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.note_open()
            self.ledger.expire(self.now)
            self.carry_out()
            later = self.ledger.next_deadline()
            assert later is None or later > deadline
        self.now = until
        self.note_open()

    @rule(seconds=SECONDS)
    def driver_is_held_up(self, seconds: float) -> None:
        """Time passes and nobody tells the ledger."""
        self.now += seconds
        self.note_open()

    def note_survival(self, origin: str, age: float) -> None:
        """A use renews what was proven before, up to half as much again as its own age."""
        shown = max((known for at, known in self.lay_open[origin] if self.now - at < 600), default=0.0)
        self.lay_open[origin].append((self.now, max(age, min(shown, 1.5 * age))))

    def note_open(self) -> None:
        for entry in self.ledger.idle_entries():
            if entry.uses:
                self.lay_open[str(entry.origin)].append((self.now, self.now - entry.idle_since))

    @rule(origin=ORIGINS, left=st.sampled_from(["1", "2"]))
    def name_is_resolved(self, origin: str, left: str) -> None:
        """Twice, far enough apart that the other address has left."""
        for _ in range(2):
            self.ledger.resolved(origin, {left}, self.now)
            self.carry_out()
            self.time_passes(ABSENT_SECONDS)
        self.ledger.resolved(origin, {left}, self.now)
        assert not [e for e in self.ledger.idle_entries(origin) if e.address not in (left, None)]
        self.carry_out()

    @precondition(lambda self: not self.shut)
    @rule(origin=st.sampled_from(KEYS), count=st.integers(0, 4))
    def warm(self, origin: Key, count: int) -> None:
        before = self.ledger.statistics(self.now).connections
        self.dials += self.ledger.warm(origin, count, self.now)
        assert self.ledger.statistics(self.now).connections == before, "warming closes nothing"
        self.carry_out()

    @precondition(lambda self: len(self.all) > 8)
    @rule()
    def shut_down(self) -> None:
        self.shut = True
        self.ledger.close(self.now)
        self.carry_out()
        assert not self.tickets

    def teardown(self) -> None:
        """When everybody lets go, nothing is left: no slot leaks."""
        if not hasattr(self, "ledger"):
            return
        while self.dials:
            self.dial_succeeds(0, None, None)
        while self.leased:
            self.finish(0, Reason.PERSISTS_11, None, None)
        while self.tickets:
            self.cancel(0)
            while self.dials:
                self.dial_succeeds(0, None, None)
        self.time_passes(1000.0)
        seen = self.ledger.statistics(self.now)
        assert (seen.connections, seen.dialling, seen.waiting) == (0, 0, 0)
        assert not [key for key in self.ledger._origins if isinstance(key, Private)], (
            "an owner's memory leaks"
        )
        assert self.ledger.next_deadline() is None
        assert len(self.ended) == len(self.all)


TestPool = pytest.mark.slow(pytest.mark.row("R110", "R111", "R183")(Pool.TestCase))
TestPool.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
