"""The ledger of the pool, driven by threads.

One lock, around the ledger alone: nobody waits, dials, sends or closes while holding it. A thread
that wants a connection dials it itself, unless one in use may come back before; one that waits
sleeps on a bell, and whoever sees a `Grant`, `Dial` or `Refuse` for its ticket rings it.

An exchange that is forgotten ends wherever the garbage collector finds it, within this lock too. So
`discard` never waits: it lays the connection down, and whoever has the lock ends it before he takes
the ledger's actions, or looks for it once he has let go.

A thread that sleeps between requests reads nothing, so `IdleConnections` looks after those that lie
idle, and every connection is asked whether it is readable before it is used again.
After a fork the child forgets the parent's connections without a word to the peers.

RFC 9112 §9.2 to §9.5.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

from perdure.client.bell import Bell
from perdure.client.blocking_dialling import BlockingDialler, beside
from perdure.client.blocking_handle import BlockingHandle
from perdure.client.blocking_idle import Actions, Handled, IdleConnections
from perdure.client.errors import ClientClosed, ConnectTimeout, ExchangeError, PoolTimeout
from perdure.client.lease import refusal, warmed
from perdure.client.log import log_closed, log_opened
from perdure.client.names import BlockingNames
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import Timeout
from perdure.client.urls import Origin
from perdure.core.client_connection import ClientConnection
from perdure.core.errors import LocalViolation
from perdure.core.pool import Close, Dial, Entry, EntryState, Ledger, Statistics, Ticket, TicketState, Use
from perdure.core.reason import Reason
from perdure.wire.address import Address
from perdure.wire.blocking import StreamNetwork, StreamWire
from perdure.wire.idle import IdleWatch
from perdure.wire.tls import TlsContext


class BlockingPool:
    """The connections of one client; safe to use from every thread.

    Attributes:
        settings: `ClientSettings`. dialler: what makes the connections.
        now: monotonic seconds. ended: told of each connection that ends, and why.
    """

    def __init__(
        self,
        settings: ClientSettings,
        network: StreamNetwork,
        make_connection: Callable[[], ClientConnection],
        tls: TlsContext | None = None,
    ) -> None:
        self.settings = settings
        self.dialler = BlockingDialler(settings, network, tls)
        self.now = network.now
        self._make_connection = make_connection
        self._watch = IdleWatch()
        self.ended: Callable[[Entry[Any], Reason], None] = log_closed
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._ledger: Ledger[BlockingHandle] = Ledger(self.settings.pool(random.random()))
        self._idle = IdleConnections(self._ledger, self._watch, self._spent)
        self._bells: dict[Ticket, Bell] = {}
        self._dials: Counter[Ticket] = Counter()
        self._handles: set[BlockingHandle] = set()
        self._later: deque[tuple[Handled, Reason]] = deque()
        self._names = BlockingNames(self.dialler, self._resolved)
        self._due = math.inf  # the deadline of the ledger that those who sleep know of

    # What a client calls.

    def lease(self, origin: Origin, repeatable: bool, fresh: bool, timeout: Timeout | None) -> Handled:
        """Reserve a connection, dialling or waiting as it needs.

        Args: as of `LoopPool.lease`.

        Raises:
            ConnectError, PoolTimeout, ClientClosed: nothing was sent.

        RFC 9112 §9.3, §9.4.
        """
        self._discard_later_ones()
        while True:
            now = self.now()
            ticket: Ticket | None = None
            entry: Handled | None = None
            try:
                with self._lock:
                    if not repeatable:
                        self._idle.look_at_witnesses(origin, now)
                    answer = self._asked(origin, now, repeatable, fresh)
                    if isinstance(answer, Use):
                        entry = answer.entry
                        self._idle.unwatch(entry)
                    else:
                        ticket = answer.ticket
                        self._bells[ticket] = Bell()
                        if isinstance(answer, Dial):
                            self._dials[ticket] += 1
                    actions = self._take_actions()
                    names = self._ledger.names_due(now) if now >= self._ledger.look_up_at else ()
            except ClientClosed:
                self._attend()
                raise
            self._carry_out(actions)
            if names:
                self._names.look_up(names)
            if entry is None:
                assert ticket is not None
                return self._wait(ticket, timeout)
            if not entry.reused or not entry.handle.wire.readable():
                return entry
            reason = entry.handle.why_readable(now)
            if reason is None:
                return entry
            self.peer_ended(entry, reason)

    def warm(self, origin: Origin, count: int) -> int:
        """Dial until the origin has `count` connections; as `LoopPool.warm`, but for dials of others."""
        try:
            with self._lock:
                tickets = self._ledger.warm(origin, count, self.now())
                actions = self._take_actions()
        except LocalViolation as violation:
            self._attend()
            raise ClientClosed(str(violation), violation.reason) from violation
        self._carry_out(actions)
        for thread in [beside(self._dial, ticket, None) for ticket in tickets]:
            thread.join()
        with self._lock:
            there = self._ledger.count(origin)
        self._attend()
        return warmed(tickets, there)

    def release(
        self, entry: Handled, reason: Reason, hint_timeout: int | None = None, hint_max: int | None = None
    ) -> None:
        """End a lease whose response was received to its end; see `Ledger.release`."""
        now = self.now()
        with self._lock:
            self._ledger.release(entry, now, reason, hint_timeout, hint_max)
            self._ledger.expire(now)
            if entry.state is EntryState.IDLE:
                self._idle.watch(entry)
            actions = self._take_actions()
        self._carry_out(actions)

    def discard(self, entry: Handled, reason: Reason) -> None:
        """Close a connection in any state and learn nothing from it; see `Ledger.discard`.

        It is done at once, or as soon as whoever holds the lock lets go: this waits for nobody.
        """
        self._later.append((entry, reason))
        self._attend()

    def discard_stale(self, entry: Handled, reason: Reason) -> None:
        """Close a reused connection that turned out to be gone; see `Ledger.discard_stale`."""
        with self._deciding():
            self._ledger.discard_stale(entry, reason, self.now())

    def discard_later(self, entry: Handled, reason: Reason) -> None:
        """As `discard`, which may interrupt anything here."""
        self.discard(entry, reason)

    def peer_ended(self, entry: Handled, reason: Reason) -> None:
        """Close a leased connection that the peer had ended while it lay idle."""
        (self.discard if reason is Reason.SURPLUS_OCTETS else self.discard_stale)(entry, reason)

    def statistics(self) -> Statistics:
        """Count what there is and what was."""
        self._discard_later_ones()
        now = self.now()
        with self._lock:
            self._ledger.expire(now)
            actions = self._take_actions()
            counted = self._ledger.statistics(now)
        self._carry_out(actions)
        return counted

    def close(self) -> None:
        """Close idle connections, and others once their exchange is over; refuse who waits."""
        self._discard_later_ones()
        self._watch.close()
        with self._deciding():
            self._ledger.close(self.now())

    def forget_after_fork(self) -> None:
        """In the child: give the parent's connections up without a word, and begin anew."""
        for handle in self._handles:
            handle.wire.detach()
        self._begin()

    # Waiting and dialling.

    def _asked(self, origin: Origin, now: float, repeatable: bool, fresh: bool) -> Any:
        try:
            self._ledger.expire(now)
            if fresh:
                return self._ledger.lease_fresh(origin, now)
            return self._ledger.lease(origin, now, repeatable)
        except LocalViolation as violation:
            raise ClientClosed(str(violation), violation.reason) from violation

    def _wait(self, ticket: Ticket, timeout: Timeout | None) -> Handled:
        """Dial, or sleep, until the ticket is granted or refused."""
        limit = self.settings.pool_timeout
        if timeout is not None and timeout.pool is not None:
            limit = timeout.pool
        deadline = self.now() + limit
        bell = self._bells[ticket]
        try:
            while True:
                bell.clear()
                self._take_a_dial(ticket, None if timeout is None else timeout.connect)
                entry = self._taken(ticket)
                if entry is not None:
                    return entry
                if ticket.state is TicketState.REFUSED:
                    raise refusal(ticket)
                if not self._dials[ticket] and not self._sleep(bell, math.inf if ticket.dials else deadline):
                    raise PoolTimeout(f"{ticket.origin}: no connection became free in time")
        finally:
            self._give_up(ticket)

    def _sleep(self, bell: Bell, deadline: float) -> bool:
        """Sleep until the bell rings or the ledger has something to expire; False: out of time."""
        with self._lock:
            self._due = due = self._next_deadline()
        self._attend()
        if bell.wait(max(0.0, min(min(deadline, due) - self.now(), threading.TIMEOUT_MAX))):
            return True
        if deadline <= due:
            return False
        with self._deciding():
            self._ledger.expire(max(due, self.now()))
        return True

    def _next_deadline(self) -> float:
        deadline = self._ledger.next_deadline()
        return math.inf if deadline is None else deadline

    def _take_a_dial(self, ticket: Ticket, timeout: float | None) -> None:
        """Dial if the ledger wants it: here, or beside, where a connection in use may come back before."""
        with self._lock:
            wanted = self._dials[ticket] > 0
            self._dials[ticket] -= wanted
            in_use = self._ledger.leased(ticket.origin)
        self._attend()
        if wanted and in_use:
            beside(self._dial, ticket, timeout)
        elif wanted:
            self._dial(ticket, timeout)

    def _taken(self, ticket: Ticket) -> Handled | None:
        with self._deciding():
            if ticket.state is not TicketState.GRANTED:
                return None
            entry = self._ledger.take(ticket, self.now())
            if entry is not None:
                self._idle.unwatch(entry)
            else:
                self._idle.watch_all(ticket.origin)
        return entry

    def _give_up(self, ticket: Ticket) -> None:
        now = self.now()
        with self._deciding():
            self._bells.pop(ticket, None)
            for _ in range(self._dials.pop(ticket, 0)):
                self._ledger.dial_failed(ticket, now, Reason.CANCELLED)
            self._ledger.cancel(ticket, now)
            self._idle.watch_all(ticket.origin)

    def _dial(self, ticket: Ticket, timeout: float | None) -> None:
        """Dial for a ticket; the ledger knows then what came of it."""
        began = self.now()
        try:
            wire = self.dialler.dial(ticket.origin, timeout)
        except ExchangeError as error:
            # Less patience than is usual says nothing of the origin, and must not refuse the others.
            hasty = isinstance(error, ConnectTimeout) and self.now() - began < self.settings.connect_timeout
            self._dial_failed(ticket, Reason.CANCELLED if hasty else error.reason, error)
        except BaseException:
            self._dial_failed(ticket, Reason.CANCELLED)
            raise
        else:
            self._enter(ticket, wire, began)
        finally:
            self._ring(ticket)  # its connection may be another's: it looks again how long to sleep

    def _dial_failed(self, ticket: Ticket, reason: Reason, error: ExchangeError | None = None) -> None:
        with self._deciding():
            self._ledger.dial_failed(ticket, self.now(), reason, error)

    def _enter(self, ticket: Ticket, wire: StreamWire, began: float) -> None:
        handle = BlockingHandle(wire, self._make_connection())
        now = self.now()
        with self._deciding():
            round_trip = wire.round_trip_seconds()
            rtt = now - began if round_trip is None else round_trip
            handle.entry = self._ledger.dialled(ticket, handle, now, rtt, wire.peer_address)
            self._handles.add(handle)
            if wire.resolved:
                self._ledger.resolved(ticket.origin, wire.resolved, now)
            log_opened(handle.entry)
            if handle.entry.state is EntryState.IDLE:
                self._idle.watch(handle.entry)

    def _resolved(self, origin: Origin, addresses: Collection[Address]) -> None:
        with self._deciding():
            self._ledger.resolved(origin, addresses, self.now())

    # The ledger's actions.

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[None]:
        """Hold the lock; afterwards carry out what the ledger wants."""
        with self._lock:
            yield
            actions = self._take_actions()
        self._carry_out(actions)

    def _take_actions(self) -> Actions:
        """Under the lock: end what was laid down, take the actions, and note who has to dial."""
        while self._later:
            entry, reason = self._later.popleft()
            self._ledger.discard(entry, reason, self.now())
        actions = self._ledger.take_actions()
        for action in actions:
            if isinstance(action, Close):
                self._handles.discard(action.entry.handle)
                self._idle.unwatch(action.entry)
            elif isinstance(action, Dial):
                self._dials[action.ticket] += 1
        if self._bells and self._next_deadline() < self._due:  # wake them: they sleep too long
            self._due = self._next_deadline()
            for bell in self._bells.values():
                bell.ring()
        return actions

    def _carry_out(self, actions: Actions) -> None:
        """Without the lock: close, and ring who has to dial or may go on."""
        for action in actions:
            if isinstance(action, Close):
                self.ended(action.entry, action.reason)
                action.entry.handle.wire.close()
                continue
            self._ring(action.ticket)
        self._attend()

    def _ring(self, ticket: Ticket) -> None:
        if (bell := self._bells.get(ticket)) is not None:
            bell.ring()

    def _spent(self, wire: StreamWire) -> None:
        """The watch found something on an idle connection."""
        now = self.now()
        with self._deciding():
            handle = next((found for found in self._handles if found.wire is wire), None)
            if handle is None or handle.entry.state is not EntryState.IDLE:
                return  # who leases it sees for himself
            self._idle.look_at(handle.entry, now)

    def _discard_later_ones(self) -> None:
        if self._later:
            with self._deciding():
                pass

    def _attend(self) -> None:
        """Without the lock, or in a finalizer anywhere: discard what was laid down, if nobody is in the way.

        Whoever holds the lock attends to it when he lets go. The watch has a lock of its own, which its
        thread may hold right here; then it is left to that thread.
        """
        while self._later:
            if self._watch.busy:
                self._watch.call(self._discard_later_ones)
                return
            if not self._lock.acquire(blocking=False):
                return
            try:
                actions = self._take_actions()
            finally:
                self._lock.release()
            self._carry_out(actions)
