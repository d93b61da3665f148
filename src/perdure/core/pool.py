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

from collections.abc import Hashable
from typing import Final

from perdure.core.pool_busy import Busy
from perdure.core.pool_entries import (
    ANY,
    CLOSED,
    FRESH,
    LEASED,
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
    Private,
    Refuse,
    Statistics,
    Ticket,
    TicketState,
    Use,
    Wait,
)
from perdure.core.pool_origin import Origin, age_deadline, misuse
from perdure.core.pool_reuse import NEEDS
from perdure.core.reason import Reason

IDLE_408: Final = Reason.IDLE_408  # a member of an Enum costs 0.16 µs to look up, every release

__all__ = [
    "Ledger", "PoolSettings", "Statistics", "Entry", "EntryState", "Ticket", "TicketState", "Need",
    "Private", "Answer", "Use", "Dial", "Wait", "Action", "Grant", "Refuse", "Close",
]  # fmt: skip


class Ledger(Busy[Handle]):
    """The connections of one pool, by origin. Not locked: the driver's lock is around it."""

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        self._careful = NEEDS[settings.reuse]

    def lease(self, origin: Hashable, now: float, repeatable: bool, first: bool = False) -> Answer[Handle]:
        """Reserve a connection for one request.

        Args:
            origin: any hashable; scheme, host, port and whatever else parts connections.
            now: monotonic seconds.
            repeatable: `retry.is_repeatable` of the request. If False, only a connection is used
                whose idle time plus a margin is below its limit and what is proven or hinted; or as
                `PoolSettings.reuse` says (`pool_reuse`).
            first: an intermediary's client makes its first request on its own connection.

        Returns:
            Use: the connection is leased. Dial: dial for the ticket. Wait: the caps are reached.

        Raises:
            LocalViolation: the ledger is closed; nothing changed.
        """
        if self._closed:
            raise misuse("the pool is closed", Reason.POOL_CLOSED)
        entry = self.lease_idle(origin, now, repeatable, first)
        if entry is not None:
            return Use(entry)
        return self._queue(origin, ANY if repeatable else self._careful[first], now)

    def lease_idle(
        self, origin: Hashable, now: float, repeatable: bool, first: bool = False
    ) -> Entry[Handle] | None:
        """Do what `lease` does first, and no more: None if no idle connection suits."""
        home = self._origins.get(origin)
        if home is None or self._closed:
            return None
        # Whoever waits while a connection lies idle cannot use it: nobody is overtaken who could.
        entry = self._pick(home, ANY if repeatable else self._careful[first], now)
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
        # Released at this very moment, it suits as it did then.
        if entry.reused and now > entry.idle_since and not home.still_suits(entry, ticket.need, now):
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
            rtt: round-trip time in seconds, as the TCP handshake showed it.
            address: what was dialled, for `resolved`.

        Returns:
            The new entry, so that the driver knows which one `handle` is.

        Raises:
            LocalViolation: no dial is under way for the ticket; nothing changed.
        """
        home = self._end_dial(ticket)
        recovered = home.outage.failures
        if recovered:
            home.outage.succeeded()
        self._dialled += 1
        self._connections += 1
        entry = Entry(self._dialled, home.key, handle, now)
        entry.address = address
        entry.rtt = rtt or 0.0
        entry.age_deadline = age_deadline(self.settings, entry.number, now)
        home.entries.add(entry)
        if home.head is not None:
            home.head.claimed += 1
        seeker = next(iter(home.seekers), None)
        if self._closed:
            self._close(home, entry, Reason.POOL_CLOSED)
        elif seeker is not None:
            self._grant(home, seeker, entry)
        elif home.disowned:
            self._close(home, entry, Reason.OWNER_GONE)
        else:
            self._lay_idle(home, entry, now)
        self._settle(home, now)
        if recovered and (home.head is not None or home.members):  # they paused as well
            for relative in list(self._family(home)):
                self._settle(relative, now)
        return entry

    def dial_failed(
        self, ticket: Ticket, now: float, reason: Reason = Reason.CONNECT_FAILED, error: object = None
    ) -> None:
        """Give back the place of a dial that failed, timed out or was given up.

        If the ticket still waits, it is refused with `reason`. If no connection of the origin and no
        dial is left, so are all that wait for it; otherwise those who counted on this dial get one of
        their own, unless dials to the origin keep failing (`pool_outage`).

        Args:
            reason: CANCELLED or POOL_CLOSED where the driver gave it up: that says nothing of the
                origin, and refuses nobody else.
            error: kept as `error` of every ticket that is refused for it.

        Raises:
            LocalViolation: no dial is under way for the ticket; nothing changed.
        """
        home = self._end_dial(ticket)
        given_up = reason is Reason.CANCELLED or reason is Reason.POOL_CLOSED
        if not given_up:
            home.outage.failed(reason, error, now, self.settings.dial_rest)
        ticket.reason, ticket.error = reason, error
        if ticket.state is TicketState.WAITING:
            self._refuse(home, ticket, reason, error)
        self._part_seekers(home)
        if not given_up and not home.count:
            self._refuse_all(home, reason, error)
            if home.head is not None and not home.crowd:
                self._refuse_family(home.head, reason, error)
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
        home.waiting.remove(ticket)
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
            reason: of `retry.reason_of_end`; IDLE_408 is learned from as `discard_stale` does.
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
        if reason is IDLE_408 and entry.uses > 1:
            self.discard_stale(entry, reason, now)
            return
        home = self._origins[entry.origin]
        if entry.uses > 1:
            home.learning.saw_survival(entry.idle_seconds, now)
        home.saw_exchange(now - entry.idle_since - entry.idle_seconds)
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
            if home.waiting.count and self._hand_on(home, entry, now):
                return
            self._lay_idle(home, entry, now)
        else:
            self._close(home, entry, ending)
        if home.waiting.count or home.seekers or self._line or self._hungry:
            self._settle(home, now)

    def lay_back(self, entry: Entry[Handle], now: float) -> None:
        """Undo a lease of which nothing was sent: its connection is as idle as it was.

        Raises as `release` does.
        """
        if entry.state is CLOSED:
            return
        if entry.state is not LEASED:
            raise misuse(f"{entry!r} is laid back, but not leased")
        home = self._origins[entry.origin]
        entry.uses -= 1
        self._requests -= 1
        self._reused -= entry.reused
        ending = self._ending(entry, Reason.PERSISTS_11)
        if ending is None:
            self._lay_idle(home, entry, now)
        else:
            self._close(home, entry, ending)
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
            self._learn(home, entry.idle_seconds, now, witnessed=False)
        if entry.reused:
            self._flush(home, entry.idle_seconds, now)
        self._settle(home, now)

    def _flush(self, home: Origin[Handle], idle_seconds: float, now: float) -> None:
        for relative in list(self._family(home)):
            for sibling in list(relative.idle):
                if now - sibling.idle_since >= idle_seconds:
                    self._close(relative, sibling, Reason.SIBLING_STALE)
