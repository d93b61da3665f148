"""A driver of a pool that only counts, and what must be true of the ledger after every step.

The model knows nothing of how the ledger chooses. It notes what the driver sees (who holds which
connection, which dials are under way, when the peer was seen to leave a connection open). What
happens to it is in `test_pool_machine`.
"""

from __future__ import annotations

from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

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
    Private,
    Ticket,
    TicketState,
    Use,
)
from perdure.core.pool_entries import Reuse
from perdure.core.pool_reuse import NEEDS
from perdure.core.reason import Reason

ORIGINS = st.sampled_from(["a", "b", "c"])
Key = str | Private
OWNED: list[Private] = [Private("a", 1), Private("a", 2, b"PROXY UNKNOWN\r\n")]
KEYS: list[Key] = ["a", "b", "c", *OWNED]
MODES: list[Reuse] = ["never", "safe", "aggressive", "always"]
SECONDS = st.sampled_from([0.0, 0.001, 0.04, 0.06, 0.11, 0.5, 2.0, 9.0, 31.0, 56.0, 300.0])
PICK = st.integers(0, 1 << 16)
REFUSED = {Reason.CONNECT_FAILED, Reason.POOL_CLOSED, Reason.CANCELLED, Reason.QUEUE_FULL}
OUR_LIMITS = {Reason.IDLE_LIMIT, Reason.IDLE_HINT, Reason.IDLE_LEARNED, Reason.MAX_AGE}


class Model(RuleBasedStateMachine):
    """A driver with three origins, some owners, small caps and no manners."""

    @initialize(
        per_origin=st.integers(1, 3),
        total=st.integers(1, 5),
        order=st.sampled_from(["lifo", "spread"]),
        most=st.sampled_from([None, 0, 1, 3]),
        reuse=st.sampled_from(MODES),
    )
    def start(self, per_origin: int, total: int, order: str, most: int | None, reuse: Reuse) -> None:
        self.settings = PoolSettings(
            max_per_origin=per_origin,
            max_total=total,
            max_age=400.0,
            max_requests=7,
            max_waiting=most,
            reuse=reuse,
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
            assert action.ticket.reason in REFUSED
            self.tickets.remove(action.ticket)

    def learned(self, entry: Entry[object]) -> float:
        limit = self.ledger.statistics(self.now).learned.get(str(entry.origin), inf)
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

    def check_no_overtaking(self, origin: Key, need: Need) -> None:
        """Who is served at once overtakes only those who need more than he."""
        waiting = [t for t in self.tickets if t.origin == origin and t.state is TicketState.WAITING]
        assert not [other for other in waiting if other.need in (Need.ANY, need)]

    def lease(self, origin: Key, kind: str) -> None:
        if kind == "fresh":
            need = Need.FRESH
            answer = self.ledger.lease_fresh(origin, self.now)
        else:
            need = Need.ANY if kind == "any" else NEEDS[self.settings.reuse][kind == "first"]
            answer = self.ledger.lease(origin, self.now, kind == "any", kind == "first")
        if isinstance(answer, Use):
            self.check_no_overtaking(origin, need)
            assert answer.entry.origin == origin, "the connection of another"
            self.got(answer.entry, need)
        else:
            assert answer.ticket.need is need
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
                for other in self.ledger.idle_entries(entry.origin)
                if other.uses and other not in self.ended
            ]
            assert idle + margin < max(shown + canaries)

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
        for key in KEYS:
            waiting = [t for t in self.tickets if t.origin == key and t.state is TicketState.WAITING]
            if len(waiting) > len([t for t in self.dials if t.origin == key]):
                peers = [entry for entry in self.live() if str(entry.origin) == str(key)]
                dials = [t for t in self.dials if str(t.origin) == str(key)]
                at_cap = len(peers) + len(dials) >= self.settings.max_per_origin
                assert at_cap or full
                assert not (at_cap and [entry for entry in idle if str(entry.origin) == str(key)])
                assert at_cap or not idle

    @invariant()
    def no_more_wait_than_may(self) -> None:
        """Who lost his connection or his dial waits again, however many do: twice the places at most."""
        most = self.settings.max_waiting
        if most is None:
            return
        for origin in "abc":
            waiting = [t for t in self.tickets if str(t.origin) == origin and t.state is TicketState.WAITING]
            assert len(waiting) <= most + 2 * self.settings.max_per_origin
