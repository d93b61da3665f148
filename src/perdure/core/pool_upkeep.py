"""What happens to the connections of a pool while no request asks: their ends, their renewal, the count.

A driver calls these when a peer, a clock, a resolver or a user says something.

RFC 9112 §9.5.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Hashable, Sequence
from types import MappingProxyType
from typing import Final

from perdure.core.pool_assignment import Assignment
from perdure.core.pool_entries import (
    ANY,
    CLOSED,
    IDLE,
    LEASED,
    Action,
    Entry,
    Handle,
    PoolSettings,
    Statistics,
    Ticket,
    TicketState,
)
from perdure.core.pool_origin import Origin, misuse
from perdure.core.reason import Reason

LOOK_UP_SECONDS: Final = 60.0
"""A name in use is resolved so often: the usual time to live of names that move, and no storm."""
ABSENT_SECONDS: Final = 30.0
"""Between the two answers from which an address must be missing."""


class Upkeep(Assignment[Handle]):
    """The part of the ledger that no request calls.

    Attributes:
        look_up_at: when `names_due` has something to name; infinite while there is no name.
    """

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        self.look_up_at = math.inf

    def peer_closed(self, entry: Entry[Handle], now: float, reason: Reason = Reason.PEER_CLOSED) -> None:
        """Close an idle connection that the peer closed, and learn its idle time.

        Tell it promptly: an idle connection is counted as proof of its age while it lives. A
        driver that does not watch them all the time, or whose event loop was held up, looks at
        the origin's `witnesses` before a lease that is not repeatable. A leased entry is left
        to its exchange.

        Args:
            reason: PEER_CLOSED, PEER_RESET, or IDLE_408 for an unasked 408 response.
        """
        if entry.state is LEASED or entry.state is CLOSED:
            return
        home = self._origins[entry.origin]
        self._close(home, entry, reason)
        if entry.uses:  # before the first request another timer of the server runs
            self._learn(home, now - entry.idle_since, now, witnessed=True)
        self._settle(home, now)

    def resolved(self, origin: Hashable, addresses: Collection[Hashable], now: float) -> None:
        """Note what the name of an origin resolves to, and retire what it has left (ADDRESS_GONE).

        An address has left once it is missing from two answers, ABSENT_SECONDS apart at least: many
        names answer with a few of their addresses in turn. Leased connections end when they are
        released. From now on `names_due` asks for the name from time to time.

        Args:
            addresses: as those given to `dialled`; none at all is no answer.

        RFC 9112 §9.5.
        """
        home = self._origins.get(origin)
        if home is None or not addresses:
            return
        family = list(self._family(home))
        family[0].looked_up_at = now
        self.look_up_at = min(self.look_up_at, now + LOOK_UP_SECONDS)
        for relative in family:
            self._note_addresses(relative, addresses, now)
        for relative in family:
            self._settle(relative, now)

    def _note_addresses(self, home: Origin[Handle], addresses: Collection[Hashable], now: float) -> None:
        for entry in [entry for entry in home.entries if entry.address is not None]:
            if entry.address in addresses:
                entry.absent_since = math.inf
            elif entry.absent_since == math.inf:
                entry.absent_since = now
            elif now - entry.absent_since >= ABSENT_SECONDS:
                self._retire(home, entry)

    def _retire(self, home: Origin[Handle], entry: Entry[Handle]) -> None:
        if entry.state is LEASED:
            entry.doom = Reason.ADDRESS_GONE
        else:
            self._close(home, entry, Reason.ADDRESS_GONE)

    def names_due(self, now: float) -> list[Hashable]:
        """List the origins whose names ought to be resolved anew. Call it at `look_up_at`.

        Each is named once in LOOK_UP_SECONDS, whatever becomes of it, and only while it has
        connections. Origins for which `resolved` was never called have no name.
        """
        known = [home for home in self._origins.values() if home.looked_up_at > -math.inf]
        homes = [home for home in known if home.crowd]
        due = [home for home in homes if now - home.looked_up_at >= LOOK_UP_SECONDS]
        for home in due:
            home.looked_up_at = now
        self.look_up_at = min((home.looked_up_at for home in homes), default=math.inf) + LOOK_UP_SECONDS
        return [home.key for home in due]

    def warm(self, origin: Hashable, count: int, now: float) -> Sequence[Ticket]:
        """Dial until the origin has `count` connections, as far as the caps allow without closing any.

        Returns:
            The tickets to dial for, as if each had been a `Dial`; they want nothing themselves. The
            connections become idle, or somebody's who waits.

        Raises:
            LocalViolation: the ledger is closed; nothing changed.
        """
        if self._closed:
            raise misuse("the pool is closed", Reason.POOL_CLOSED)
        home = self._open(origin)
        tickets: list[Ticket] = []
        others = home.crowd - home.count
        wanted = min(count, self.settings.max_per_origin - others)
        while home.count < wanted and self._connections + self._dialling < self.settings.max_total:
            if not home.outage.admits(home.dials, now):
                break
            ticket = self._new_ticket(origin, ANY)
            ticket.state = TicketState.CANCELLED
            self._begin_dial(home, ticket)
            tickets.append(ticket)
        self._settle(home, now)
        return tickets

    def entries(self, origin: Hashable) -> Collection[Entry[Handle]]:
        """List the connections to an origin, idle and leased, in no order; those with owners too."""
        home = self._origins.get(origin)
        if home is None:
            return ()
        relatives = [home] if home.head is not None else self._family(home)
        return [entry for relative in relatives for entry in relative.entries]

    def count(self, origin: Hashable) -> int:
        """How many connections there are to an origin, idle and leased."""
        home = self._origins.get(origin)
        return len(home.entries) if home is not None else 0

    def leased(self, origin: Hashable) -> int:
        """How many connections to an origin are in use, or granted."""
        home = self._origins.get(origin)
        return len(home.entries) - len(home.idle) if home is not None else 0

    def expire(self, now: float) -> None:
        """Close every idle connection whose time has come, and end pauses. Call it at `next_deadline`."""
        while self._timers and self._timers[0][0] <= now:
            at, _, entry = heapq.heappop(self._timers)
            if at != entry.scheduled:
                continue
            entry.scheduled = math.inf
            if entry.state is not IDLE:
                continue
            home = self._origins[entry.origin]
            if now >= entry.idle_deadline:
                self._end_idle(home, entry, now)
            else:
                self._schedule(entry, entry.idle_deadline)
            self._settle(home, now)
        if self._pauses:
            self._resume(now)

    def next_deadline(self) -> float | None:
        """Say when `expire` has something to do at the earliest; None: nothing is idle or pauses.

        It may be earlier than needed, never later.
        """
        if not self._pauses:
            return self._timers[0][0] if self._timers else None
        pause = self._pauses[0][0]
        return min(self._timers[0][0], pause) if self._timers else pause

    def close(self, now: float) -> None:
        """Close idle connections, refuse tickets (POOL_CLOSED); leased ones end when released."""
        self._closed = True
        for entry in [*self._idle, *self._granted.values()]:
            self._close(self._origins[entry.origin], entry, Reason.POOL_CLOSED)
        for home in list(self._origins.values()):
            self._refuse_all(home, Reason.POOL_CLOSED)
            if home.head is not None and home.is_empty:
                self._rest(home)

    def take_actions(self) -> Sequence[Action[Handle]]:
        """Hand over what is to be done, in order, and forget it."""
        actions = self._actions
        if not actions:
            return ()
        self._actions = []
        return actions

    def idle_entries(self, origin: Hashable = None) -> tuple[Entry[Handle], ...]:
        """List the idle connections of one origin, or of all (None), the longest idle first."""
        if origin is None:
            return tuple(self._idle)
        home = self._origins.get(origin)
        return tuple(home.idle) if home is not None else ()

    def witnesses(self, origin: Hashable) -> Sequence[Entry[Handle]]:
        """List the idle connections that a lease which is not repeatable relies on: one, two or none.

        They are the one that it would use, and the canary, whose age counts as proof while it lives.
        """
        home = self._origins.get(origin)
        return home.witnesses() if home is not None and home.idle else ()

    def statistics(self, now: float) -> Statistics:
        """Count what there is and what was. O(origins)."""
        homes = self._origins.values()
        heads = [home for home in homes if home.head is None]
        limits = ((home.key, home.learning.limit(now)) for home in heads)
        ages = ((home.key, home.proven(now)) for home in heads)
        return Statistics(
            connections=self._connections,
            idle=len(self._idle),
            leased=self._connections - len(self._idle),
            dialling=self._dialling,
            waiting=sum(len(home.seekers) + len(home.waiting) for home in homes),
            requests=self._requests,
            reused=self._reused,
            dialled=self._dialled,
            closes=MappingProxyType(dict(self._closes)),
            learned=MappingProxyType({key: limit for key, limit in limits if limit < math.inf}),
            proven=MappingProxyType({key: age for key, age in ages if age > 0}),
        )
