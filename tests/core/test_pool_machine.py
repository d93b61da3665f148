"""What holds whatever happens to a pool: random stories against a model that only counts.

The model knows nothing of how the ledger chooses. It notes what the driver sees (who holds which
connection, which dials are under way, when the peer was seen to leave a connection open) and
says after every step what must be true of it.
"""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perdure.core.pool import (
    Action,
    Close,
    Dial,
    Entry,
    EntryState,
    Grant,
    Ledger,
    Need,
    PoolSettings,
    Ticket,
    TicketState,
    Use,
)
from perdure.core.pool_upkeep import ABSENT_SECONDS
from perdure.core.reason import Reason

ORIGINS = st.sampled_from(["a", "b", "c"])
SECONDS = st.sampled_from([0.0, 0.001, 0.04, 0.06, 0.11, 0.5, 2.0, 9.0, 31.0, 56.0, 300.0])
PICK = st.integers(0, 1 << 16)
OUR_LIMITS = {Reason.IDLE_LIMIT, Reason.IDLE_HINT, Reason.IDLE_LEARNED, Reason.MAX_AGE}


class Pool(RuleBasedStateMachine):
    """A driver with three origins, small caps and no manners."""

    @initialize(
        per_origin=st.integers(1, 3), total=st.integers(1, 5), order=st.sampled_from(["lifo", "spread"])
    )
    def start(self, per_origin: int, total: int, order: str) -> None:
        self.settings = PoolSettings(
            max_per_origin=per_origin,
            max_total=total,
            max_age=400.0,
            max_requests=7,
            order="spread" if order == "spread" else "lifo",
        )
        self.ledger: Ledger[object] = Ledger(self.settings)
        self.now = 0.0
        self.leased: list[Entry[object]] = []
        self.dials: list[Ticket] = []
        self.tickets: list[Ticket] = []  # waiting or granted
        self.granted: list[Ticket] = []
        self.all: list[Entry[object]] = []
        self.ended: dict[Entry[object], Reason] = {}
        self.lay_open: dict[str, list[tuple[float, float]]] = {"a": [], "b": [], "c": []}  # (at, age)
        self.closes: dict[str, list[tuple[float, float]]] = {"a": [], "b": [], "c": []}
        self.failing = {"a": 0, "b": 0, "c": 0}
        self.requests = self.reused = self.dialled = 0
        self.shut = False

    # --- the driver ------------------------------------------------------------------------

    def carry_out(self) -> None:
        for action in self.ledger.take_actions():
            self.carry_out_one(action)

    def carry_out_one(self, action: Action[object]) -> None:
        if isinstance(action, Close):
            assert action.entry not in self.ended, "closed twice"
            assert action.entry.ended is action.reason
            if action.reason in OUR_LIMITS and action.entry not in self.leased:
                assert action.entry.idle_deadline <= self.now or self.learned(action.entry) <= 0
            self.ended[action.entry] = action.reason
        elif isinstance(action, Dial):
            self.dials.append(action.ticket)
        elif isinstance(action, Grant):
            self.check_order(action.ticket)
            self.granted.append(action.ticket)
        else:
            assert action.ticket.reason in {Reason.CONNECT_FAILED, Reason.POOL_CLOSED, Reason.CANCELLED}
            self.tickets.remove(action.ticket)

    def learned(self, entry: Entry[object]) -> float:
        limit = self.ledger.statistics(self.now).learned.get(entry.origin, inf)
        return limit - entry.rtt

    def check_order(self, ticket: Ticket) -> None:
        """Nobody older who could have used the same connection still waits."""
        if ticket.state is not TicketState.GRANTED:
            return  # it was granted and lost the connection in the same step
        older = [
            other
            for other in self.tickets
            if other.origin == ticket.origin
            and other.number < ticket.number
            and other.state is TicketState.WAITING
        ]
        assert not [other for other in older if other.need in (Need.ANY, ticket.need)]
        if ticket.need is Need.FRESH:
            assert not older

    def check_no_overtaking(self, origin: str, need: Need) -> None:
        """Who is served at once overtakes only those who need more than he."""
        waiting = [t for t in self.tickets if t.origin == origin and t.state is TicketState.WAITING]
        assert not [other for other in waiting if other.need in (Need.ANY, need)]

    def lease(self, origin: str, need: Need) -> None:
        if need is Need.FRESH:
            answer = self.ledger.lease_fresh(origin, self.now)
        else:
            answer = self.ledger.lease(origin, self.now, need is Need.ANY)
        if isinstance(answer, Use):
            self.check_no_overtaking(origin, need)
            self.got(answer.entry, need)
        else:
            self.tickets.append(answer.ticket)
            if isinstance(answer, Dial):
                self.dials.append(answer.ticket)
        self.carry_out()

    def got(self, entry: Entry[object], need: Need) -> None:
        assert entry not in self.leased, "leased twice"
        assert entry not in self.ended, "leased after its end"
        self.requests += 1
        self.reused += entry.reused
        self.leased.append(entry)
        if entry.reused:
            self.check_age(entry, need)

    def check_age(self, entry: Entry[object], need: Need) -> None:
        """The limits, said once more without the ledger's shortcuts."""
        idle, origin = entry.idle_seconds, str(entry.origin)
        assert need is not Need.FRESH
        assert idle < self.settings.idle_timeout
        assert idle < self.learned(entry)
        if entry.hint_timeout is not None:
            assert idle < entry.hint_timeout - max(1.0, entry.rtt)
        if need is Need.ANY:
            return
        margin = max(0.05, 2 * entry.rtt)
        recent = [age for at, age in self.closes[origin] if self.now - at < 600]
        assert idle + margin < 0.9 * min(recent, default=inf)
        if entry.hint_timeout is None:
            shown = [age for at, age in self.lay_open[origin] if self.now - at < 600]
            canaries = [
                self.now - other.idle_since
                for other in self.ledger.idle_entries(origin)
                if other.uses and other not in self.ended
            ]
            assert idle + margin < max(shown + canaries)

    # --- what may happen -------------------------------------------------------------------

    @precondition(lambda self: not self.shut)
    @rule(origin=ORIGINS, need=st.sampled_from(Need))
    def ask(self, origin: str, need: Need) -> None:
        self.lease(origin, need)

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
        begun = [ticket for ticket in self.dials if ticket.origin == origin]
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
        if not reason.persists or timeout in (0, 1) or maximum == 0 or entry.uses >= 7 or self.shut:
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
    @rule(origin=ORIGINS, count=st.integers(0, 4))
    def warm(self, origin: str, count: int) -> None:
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

    # --- what must be true -----------------------------------------------------------------

    def live(self) -> list[Entry[object]]:
        return [entry for entry in self.all if entry not in self.ended]

    @invariant()
    def caps_hold_with_idle_ones_and_dials_counted(self) -> None:
        live = [str(entry.origin) for entry in self.live()] + [str(ticket.origin) for ticket in self.dials]
        assert len(live) <= self.settings.max_total
        assert all(live.count(origin) <= self.settings.max_per_origin for origin in "abc")

    @invariant()
    def statistics_are_what_the_driver_saw(self) -> None:
        seen = self.ledger.statistics(self.now)
        granted = [ticket for ticket in self.tickets if ticket.state is TicketState.GRANTED]
        assert seen.connections == len(self.live())
        assert seen.leased == len(self.leased) + len(granted)
        assert seen.idle == seen.connections - seen.leased == len(self.ledger.idle_entries())
        assert seen.dialling == len(self.dials)
        assert seen.waiting == len(self.tickets) - len(granted)
        assert (seen.requests, seen.reused, seen.dialled) == (self.requests, self.reused, self.dialled)
        assert sum(seen.closes.values()) == len(self.ended)
        for reason, count in seen.closes.items():
            assert count == list(self.ended.values()).count(reason)

    @invariant()
    def every_connection_is_in_one_hand(self) -> None:
        for entry in self.all:
            if entry in self.ended:
                assert entry.state is EntryState.CLOSED
                assert entry not in self.leased
            else:
                assert (entry.state is EntryState.LEASED) == (entry in self.leased)

    @invariant()
    def nobody_waits_without_a_cause(self) -> None:
        """Unless a canary is left to ripen, whoever waits has a dial coming or the caps are full."""
        if any(ticket.need is Need.PROVEN for ticket in self.tickets) or any(self.failing.values()):
            return
        idle = self.ledger.idle_entries()
        full = len(self.live()) + len(self.dials) >= self.settings.max_total
        for origin in "abc":
            waiting = [t for t in self.tickets if t.origin == origin and t.state is TicketState.WAITING]
            dials = [t for t in self.dials if t.origin == origin]
            own = [entry for entry in self.live() if entry.origin == origin]
            if len(waiting) > len(dials):
                at_cap = len(own) + len(dials) >= self.settings.max_per_origin
                assert at_cap or full
                assert not (at_cap and self.ledger.idle_entries(origin))
                assert at_cap or not idle

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
        assert self.ledger.next_deadline() is None
        assert len(self.ended) == len(self.all)


TestPool = pytest.mark.row("R110", "R111", "R183")(Pool.TestCase)
TestPool.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
