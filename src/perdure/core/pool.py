"""The ledger of a pool: which connection a request uses, and when a connection ends.

Rule: **the lease is the reservation.** No connection is ever between two hands, because one
call both chooses and marks it. The ledger decides and the driver acts: `now` is an argument,
there is no clock, lock or socket inside, and the driver's connection (`Entry.handle`) is never
touched. A driver calls a method under its lock, takes `take_actions()` under the same lock,
lets go, and only then closes, dials and wakes:

    answer = ledger.lease(origin, now, repeatable)      Use(entry) | Dial(ticket) | Wait(ticket)
    actions = ledger.take_actions()                     Close, Dial, Grant, Refuse: for anybody

    Use:   entry is leased.
    Dial:  dial; tell `dialled` or `dial_failed`; then wait as below. The connection goes to who
           waits longest for the origin; the ticket may be served by another one meanwhile.
    Wait:  wait for Grant(ticket) or Refuse(ticket) among anybody's actions; on Grant call
           `take(ticket, now)`: the entry, or None (it ended or aged meanwhile: wait on).
           A Dial(ticket) may also come: carry it out and wait on.

Every lease ends with one `release`, `lay_back`, `discard` or `discard_stale`; every ticket that
is given up with `cancel`. Every connection leaves with one `Close` and its Reason. Methods may be
called twice for a connection that is already closed: the second call does nothing.

RFC 9112 §9.3 to §9.5.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Hashable, Sequence

from perdure.core.pool_assignment import Assignment
from perdure.core.pool_entries import (
    ANY,
    CLOSED,
    FRESH,
    IDLE,
    LEASED,
    PROVEN,
    Action,
    Answer,
    Close,
    Dial,
    Entry,
    EntryState,
    Grant,
    Handle,
    Need,
    PoolSettings,
    Refuse,
    Statistics,
    Ticket,
    TicketState,
    Use,
    Wait,
)
from perdure.core.pool_origin import age_deadline, misuse
from perdure.core.reason import Reason

__all__ = [
    "Ledger", "PoolSettings", "Statistics", "Entry", "EntryState", "Ticket", "TicketState", "Need",
    "Answer", "Use", "Dial", "Wait", "Action", "Grant", "Refuse", "Close",
]  # fmt: skip


class Ledger(Assignment[Handle]):
    """The connections of one pool, by origin. Not locked: the driver's lock is around it."""

    def lease(self, origin: Hashable, now: float, repeatable: bool) -> Answer[Handle]:
        """Reserve a connection for one request.

        Args:
            origin: any hashable; scheme, host, port and whatever else parts connections.
            now: monotonic seconds.
            repeatable: `retry.is_repeatable` of the request. If False, only a connection is used
                whose idle time plus a margin is below its limit and what is proven or hinted.

        Returns:
            Use: the connection is leased. Dial: dial for the ticket. Wait: the caps are reached.

        Raises:
            LocalViolation: the ledger is closed; nothing changed.
        """
        if self._closed:
            raise misuse("the pool is closed", Reason.POOL_CLOSED)
        entry = self.lease_idle(origin, now, repeatable)
        return self._queue(origin, ANY if repeatable else PROVEN, now) if entry is None else Use(entry)

    def lease_idle(self, origin: Hashable, now: float, repeatable: bool) -> Entry[Handle] | None:
        """Do what `lease` does first, and no more: None if no idle connection suits, or others wait."""
        home = self._origins.get(origin)
        if home is None or home.waiting or self._closed:
            return None
        entry = self._pick(home, ANY if repeatable else PROVEN, now)
        if entry is not None:
            del home.idle[entry]
            del self._idle[entry]
            self._hand_out(entry, now)
        return entry

    def lease_fresh(self, origin: Hashable, now: float) -> Answer[Handle]:
        """Reserve a connection that was just dialled: for the one repetition of a request.

        Returns:
            Dial or Wait, never Use. Raises as `lease` does.

        RFC 9110 §9.2.2.
        """
        if self._closed:
            raise misuse("the pool is closed", Reason.POOL_CLOSED)
        return self._queue(origin, FRESH, now)

    def take(self, ticket: Ticket, now: float) -> Entry[Handle] | None:
        """Take the connection that was granted.

        Returns:
            The entry, leased; None while there is none (it was closed or grew too old between
            the grant and now, and the ticket waits again at its old place): wait for the next Grant.

        Raises:
            LocalViolation: the ticket was taken, refused or cancelled before.
        """
        if ticket.state is TicketState.WAITING:
            return None
        entry = self._granted.pop(ticket, None)
        if entry is None:
            raise misuse(f"{ticket!r} holds no grant")
        home = self._origins[entry.origin]
        if entry.reused and not home.still_suits(entry, ticket.need, now):
            self._put_back(home, ticket)
            self._lay_back(home, entry, now)
            self._settle(home, now)
            return None
        entry.ticket = None
        ticket.state = TicketState.TAKEN
        self._hand_out(entry, now)
        return entry

    def dialled(
        self,
        ticket: Ticket,
        handle: Handle,
        now: float,
        rtt: float | None = None,
        address: Hashable = None,
    ) -> Entry[Handle]:
        """Enter a connection that was dialled for the ticket.

        It is granted to who waits longest for the origin (mostly the ticket itself: look for its
        Grant, or call `take`), or becomes idle, or is closed if the ledger is.

        Args:
            ticket: of the Dial; it may have been served or cancelled meanwhile.
            handle: the driver's connection.
            now: monotonic seconds.
            rtt: round-trip time in seconds, such as the time the TCP handshake took.
            address: what was dialled, for `retire`.

        Returns:
            The new entry, so that the driver knows which one `handle` is.

        Raises:
            LocalViolation: no dial is under way for the ticket; nothing changed.
        """
        home = self._end_dial(ticket)
        self._dialled += 1
        self._connections += 1
        entry = Entry(self._dialled, home.key, handle, now)
        entry.address = address
        entry.rtt = rtt or 0.0
        entry.age_deadline = age_deadline(self.settings, entry.number, now)
        home.entries.add(entry)
        seeker = next(iter(home.seekers), None)
        if self._closed:
            self._close(home, entry, Reason.POOL_CLOSED)
        elif seeker is not None:
            self._grant(home, seeker, entry)
        else:
            self._lay_idle(home, entry, now)
        self._settle(home, now)
        return entry

    def dial_failed(self, ticket: Ticket, now: float, reason: Reason = Reason.CONNECT_FAILED) -> None:
        """Give back the place of a dial that failed, timed out or was given up.

        If the ticket still waits, it is refused with `reason`; others that counted on this dial
        get a Dial of their own.

        Raises:
            LocalViolation: no dial is under way for the ticket; nothing changed.
        """
        home = self._end_dial(ticket)
        if ticket.state is TicketState.WAITING:
            self._refuse(home, ticket, reason)
        self._part_seekers(home)
        self._settle(home, now)

    def cancel(self, ticket: Ticket, now: float) -> None:
        """Give up a ticket in any state; a granted connection goes to the next one.

        A dial under way stays counted until `dialled` (its connection becomes another's, or
        idle) or `dial_failed` tells of it. Does nothing if the ticket was taken or refused.
        """
        if ticket.state is not TicketState.WAITING and ticket.state is not TicketState.GRANTED:
            return
        home = self._origins[ticket.origin]
        ticket.state = TicketState.CANCELLED
        home.seekers.pop(ticket, None)
        home.waiting.pop(ticket, None)
        entry = self._granted.pop(ticket, None)
        if entry is not None:
            self._lay_back(home, entry, now)
        self._settle(home, now)

    def release(
        self,
        entry: Entry[Handle],
        now: float,
        reason: Reason,
        hint_timeout: int | None = None,
        hint_max: int | None = None,
        rtt: float | None = None,
    ) -> None:
        """End a lease whose response was received to its end.

        Proves that the connection survived the idle time before it. Persists: handed to who waits
        or laid idle, unless a limit or hint ends it. Otherwise closed with `reason`.

        Args:
            entry: leased.
            now: monotonic seconds.
            reason: of `persistence.decide`.
            hint_timeout: seconds of the response's Keep-Alive field; None keeps the last one.
            hint_max: requests of the same; None counts the last one down.
            rtt: round-trip time in seconds if measured.

        Raises:
            LocalViolation: the entry is idle or granted, so somebody else may have it.
        """
        if entry.state is not LEASED:
            if entry.state is CLOSED:
                return
            raise misuse(f"{entry!r} is released, but not leased")
        home = self._origins[entry.origin]
        if entry.uses > 1:
            home.learning.saw_survival(entry.idle_seconds, now)
        if rtt is not None:
            entry.rtt = rtt
        if hint_timeout is not None:
            entry.hint_timeout = hint_timeout
        if hint_max is not None:
            entry.hint_max = hint_max
        elif entry.hint_max is not None:
            entry.hint_max -= 1
        entry.idle_since = now
        ending = self._ending(entry, reason)
        if ending is None:
            self._lay_idle(home, entry, now)
        else:
            self._close(home, entry, ending)
        if home.waiting or home.seekers or self._line:
            self._settle(home, now)

    def discard(self, entry: Entry[Handle], reason: Reason, now: float) -> None:
        """Close a connection in any state and learn nothing from it.

        For an exchange that failed or was abandoned, octets on an idle connection, and the like.
        The ticket of a granted one waits again at its old place.
        """
        if entry.state is not CLOSED:
            home = self._origins[entry.origin]
            self._close(home, entry, reason)
            self._settle(home, now)

    def discard_stale(self, entry: Entry[Handle], reason: Reason, now: float) -> None:
        """Close a leased, reused connection on which the peer ended before any response octet.

        Learns the idle time it had, as of an idle close, and closes the idle siblings that lay as
        long or longer (Reason.SIBLING_STALE).

        Args:
            entry: leased and reused; a fresh one is merely closed.
            reason: PEER_CLOSED, PEER_RESET or IDLE_408.
            now: monotonic seconds.

        RFC 9112 §9.3.1, RFC 9110 §15.5.9.
        """
        if entry.state is not LEASED:
            if entry.state is CLOSED:
                return
            raise misuse(f"{entry!r} went stale, but is not leased")
        home = self._origins[entry.origin]
        self._close(home, entry, reason)
        if entry.uses > 1:
            self._learn(home, entry.idle_seconds, now)
        for sibling in list(home.idle) if entry.reused else ():
            if now - sibling.idle_since >= entry.idle_seconds:
                self._close(home, sibling, Reason.SIBLING_STALE)
        self._settle(home, now)

    def peer_closed(self, entry: Entry[Handle], now: float, reason: Reason = Reason.PEER_CLOSED) -> None:
        """Close an idle connection that the peer closed, and learn its idle time.

        Tell it promptly: an idle connection is counted as proof of its age while it lives. A
        driver that does not watch them all the time, or whose event loop was held up, looks at
        the origin's `idle_entries` before a lease that is not repeatable. A leased entry is left
        to its exchange.

        Args:
            reason: PEER_CLOSED, PEER_RESET, or IDLE_408 for an unasked 408 response.
        """
        if entry.state is LEASED or entry.state is CLOSED:
            return
        home = self._origins[entry.origin]
        self._close(home, entry, reason)
        if entry.uses:  # before the first request another timer of the server runs
            self._learn(home, now - entry.idle_since, now)
        self._settle(home, now)

    def retire(self, origin: Hashable, addresses: Collection[Hashable], now: float) -> None:
        """Close the connections to addresses that the origin has no more (Reason.ADDRESS_GONE).

        Leased ones end when they are released.
        """
        home = self._origins.get(origin)
        if home is None:
            return
        for entry in [entry for entry in home.entries if entry.address in addresses]:
            if entry.state is LEASED:
                entry.doom = Reason.ADDRESS_GONE
            else:
                self._close(home, entry, Reason.ADDRESS_GONE)
        self._settle(home, now)

    def warm(self, origin: Hashable, count: int, now: float) -> None:
        """Dial until the origin has `count` connections, as far as the caps allow without closing any.

        The Dials come as actions; their tickets want nothing.
        """
        home = self._open(origin)
        wanted = 0 if self._closed else min(count, self.settings.max_per_origin)
        while home.count < wanted and self._connections + self._dialling < self.settings.max_total:
            ticket = self._new_ticket(origin, ANY)
            ticket.state = TicketState.CANCELLED
            self._begin_dial(home, ticket)
            self._actions.append(Dial(ticket))
        self._settle(home, now)

    def expire(self, now: float) -> None:
        """Close every idle connection whose time has come. Call it at `next_deadline`."""
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

    def next_deadline(self) -> float | None:
        """Say when `expire` has something to do at the earliest; None: nothing is idle.

        It may be earlier than needed, never later.
        """
        return self._timers[0][0] if self._timers else None

    def close(self, now: float) -> None:
        """Close idle connections, refuse tickets (POOL_CLOSED); leased ones end when released."""
        self._closed = True
        for entry in [*self._idle, *self._granted.values()]:
            self._close(self._origins[entry.origin], entry, Reason.POOL_CLOSED)
        for home in list(self._origins.values()):
            for ticket in [*home.seekers, *home.waiting]:
                self._refuse(home, ticket, Reason.POOL_CLOSED)

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

    def statistics(self, now: float) -> Statistics:
        """Count what there is and what was. O(origins)."""
        return self._count(now)
