"""A driver without a network: it carries out what a ledger decides, on a virtual clock.

Handles are numbers, dialling succeeds when a test says so, and closing is only written down.
"""

from __future__ import annotations

from collections.abc import Hashable

from perdure.core.pool import (
    Close,
    Dial,
    Entry,
    Grant,
    Ledger,
    PoolSettings,
    Refuse,
    Ticket,
    Use,
)
from perdure.core.reason import Reason

PERSISTS = Reason.PERSISTS_11


class Driver:
    """A ledger, its clock, and what it asked for.

    Attributes:
        now: seconds; tests move it.
        dials: tickets to be dialled for, in order; `granted`, `refused`: tickets, in order.
        closed: (number of the connection, reason), in order.
    """

    def __init__(self, settings: PoolSettings | None = None) -> None:
        self.ledger: Ledger[int] = Ledger(settings or PoolSettings())
        self.now = 0.0
        self.handles = 0
        self.dials: list[Ticket] = []
        self.granted: list[Ticket] = []
        self.refused: list[tuple[Ticket, Reason | None]] = []
        self.closed: list[tuple[int, Reason]] = []

    def carry_out(self) -> None:
        for action in self.ledger.take_actions():
            if isinstance(action, Close):
                assert action.entry.ended is action.reason
                self.closed.append((action.entry.number, action.reason))
            elif isinstance(action, Dial):
                self.dials.append(action.ticket)
            elif isinstance(action, Grant):
                self.granted.append(action.ticket)
            else:
                assert isinstance(action, Refuse)
                self.refused.append((action.ticket, action.ticket.reason))

    def ask(
        self, origin: Hashable = "a", repeatable: bool = True, fresh: bool = False, first: bool = False
    ) -> Entry[int] | Ticket:
        """Lease: the entry of a Use; or the ticket, of which `dials` tells whether to dial."""
        ledger = self.ledger
        if fresh:
            answer = ledger.lease_fresh(origin, self.now)
        else:
            answer = ledger.lease(origin, self.now, repeatable, first)
        if isinstance(answer, Use):
            self.carry_out()
            return answer.entry
        if isinstance(answer, Dial):
            self.dials.append(answer.ticket)
        self.carry_out()
        return answer.ticket

    def ticket(
        self, origin: Hashable = "a", repeatable: bool = True, fresh: bool = False, first: bool = False
    ) -> Ticket:
        """Lease where no connection can be used at once."""
        asked = self.ask(origin, repeatable, fresh, first)
        assert isinstance(asked, Ticket)
        return asked

    def used(self, origin: Hashable = "a", repeatable: bool = True, first: bool = False) -> Entry[int]:
        """Lease where a connection can be used at once."""
        asked = self.ask(origin, repeatable, first=first)
        assert isinstance(asked, Entry)
        return asked

    def connect(self, ticket: Ticket, rtt: float | None = None, address: str | None = None) -> Entry[int]:
        """Let the dial of a ticket succeed."""
        self.dials.remove(ticket)
        self.handles += 1
        entry = self.ledger.dialled(ticket, self.handles, self.now, rtt, address)
        self.carry_out()
        return entry

    def fail(self, ticket: Ticket, reason: Reason = Reason.CONNECT_FAILED, error: object = None) -> None:
        self.dials.remove(ticket)
        self.ledger.dial_failed(ticket, self.now, reason, error)
        self.carry_out()

    def warm(self, count: int, origin: Hashable = "a") -> list[Ticket]:
        """Ask for so many connections; the dials that this costs."""
        tickets = list(self.ledger.warm(origin, count, self.now))
        self.dials += tickets
        self.carry_out()
        return tickets

    def resolved(self, *addresses: str, origin: Hashable = "a") -> None:
        self.ledger.resolved(origin, addresses, self.now)
        self.carry_out()

    def take(self, ticket: Ticket) -> Entry[int] | None:
        entry = self.ledger.take(ticket, self.now)
        self.carry_out()
        return entry

    def taken(self, ticket: Ticket) -> Entry[int]:
        """Take what must be there."""
        entry = self.take(ticket)
        assert entry is not None
        return entry

    def fresh(
        self,
        origin: Hashable = "a",
        repeatable: bool = True,
        rtt: float | None = None,
        address: str | None = None,
    ) -> Entry[int]:
        """Lease where only a dial helps, and let it succeed at once."""
        ticket = self.ticket(origin, repeatable)
        self.connect(ticket, rtt, address)
        return self.taken(ticket)

    def release(
        self,
        entry: Entry[int],
        reason: Reason = PERSISTS,
        timeout: int | None = None,
        maximum: int | None = None,
        rtt: float | None = None,
    ) -> None:
        self.ledger.release(entry, self.now, reason, timeout, maximum, rtt)
        self.carry_out()

    def idle(self, count: int = 1, origin: Hashable = "a") -> list[Entry[int]]:
        """Dial so many connections, use each once, and lay them idle in the order of their numbers."""
        entries = [self.fresh(origin) for _ in range(count)]
        for entry in entries:
            self.release(entry)
        return entries

    def peer_closes(self, entry: Entry[int], reason: Reason = Reason.PEER_CLOSED) -> None:
        self.ledger.peer_closed(entry, self.now, reason)
        self.carry_out()

    def expire(self, now: float | None = None) -> None:
        """Move the clock and expire; without a time, to the next deadline."""
        deadline = self.ledger.next_deadline()
        assert deadline is not None
        self.now = deadline if now is None else now
        self.ledger.expire(self.now)
        self.carry_out()
