"""The ledger of the pool, driven by an event loop; callbacks, so that nobody needs a task to ask.

    pool = LoopPool(settings, network, make_wire)
    lease = pool.lease(origin, repeatable, granted, refused)   # granted(entry) may run at once: None
    pool.cancel(lease)                                         # while it waits
    pool.release(entry, reason, hint_timeout, hint_max)        # or discard, discard_stale

`granted(entry)` runs inside `lease` where a connection lies idle: no await, no task, no future.
Otherwise a background task dials, and whichever connection becomes free first is granted. One
deadline in the loop's sweep serves the whole pool, and no timer per connection.

An idle connection whose socket has something to read is no connection to use, though the event
loop has not read it yet: an octet there would become the answer to a question not yet asked
(CVE-2026-48931). It is set aside until the loop has read it, and its owner told the pool.

RFC 9112 §9.2 to §9.5.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic

from perdure.client.errors import ExchangeError
from perdure.client.lease import Granted, Lease, closed, patience, refusal, warmed
from perdure.client.log import log_closed, log_opened
from perdure.client.loop_aside import LoopAside
from perdure.client.loop_dialling import LoopDialler, W
from perdure.client.loop_dials import LoopDials
from perdure.client.names import LoopNames
from perdure.client.pooled_wire import NOT_ENTERED, PooledWire
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import Timeout
from perdure.client.urls import Origin
from perdure.core.errors import LocalViolation
from perdure.core.pool import (
    Action,
    Close,
    Dial,
    Entry,
    EntryState,
    Grant,
    Ledger,
    Private,
    Statistics,
    Ticket,
    TicketState,
    Use,
)
from perdure.core.reason import Reason
from perdure.wire.network import Network
from perdure.wire.sweep import Sweeper
from perdure.wire.tls import TlsContext

logger = logging.getLogger("perdure.client")

__all__ = ["Granted", "Lease", "LoopPool", "PooledWire"]


class LoopPool(Generic[W]):
    """The connections of one client or gateway on one event loop.

    Attributes:
        settings: `ClientSettings`.
        ledger: what decides; read it, never call it.
        deadline: when the ledger has something to expire; looked at by the loop's sweep.
        dialler: what makes the connections.
        leases: of those who wait. looked_at: the entry that is being released, if nothing is unread there.
        now: monotonic seconds. ended: told of each connection that ends, and why.
    """

    def __init__(
        self,
        settings: ClientSettings,
        network: Network,
        factory: Callable[[Origin], W],
        tls: TlsContext | None = None,
    ) -> None:
        """Make an empty pool; it belongs to the loop that leases first.

        Args:
            factory: makes the wire of a connection to an origin.
            tls: the context for https origins; without one they are refused.
        """
        self.settings = settings
        self.ledger: Ledger[W] = Ledger(settings.pool(random.random()))
        self.deadline = math.inf
        self.dialler = LoopDialler(settings, network, factory, tls)
        self.ended: Callable[[Entry[Any], Reason], None] = log_closed
        self.leases: dict[Ticket, Lease] = {}
        self.looked_at: Entry[W] | None = None
        self._names = LoopNames(self.ledger, self.dialler, self._act)
        self._dials = LoopDials(self.dialler, self._enter, self._dial_failed)
        self._aside: LoopAside[W] = LoopAside(self)
        self._wires: set[W] = set()
        self._changed: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: Sweeper
        self.now: Callable[[], float] = network.now

    # What a client or gateway calls.

    def lease(
        self,
        origin: Origin | Private,
        repeatable: bool,
        granted: Granted,
        refused: Callable[[ExchangeError], None],
        fresh: bool = False,
        timeout: Timeout | None = None,
        first: bool = False,
    ) -> Lease | None:
        """Reserve a connection for one request.

        Args:
            repeatable: as `retry.is_repeatable` says.
            granted: called with the entry, perhaps before this returns; `entry.handle` is the wire.
            refused: called with the error instead, perhaps before this returns.
            fresh: only a connection that was just dialled will do: for a repetition.
            timeout: how long to wait for a free connection (`pool`), and for one that has to be made
                (`connect`); the settings' unless said otherwise.
            first: the first request of an intermediary's client (`core.pool_reuse`).

        Returns:
            What `cancel` takes, or None where one of the two was called already.

        RFC 9112 §9.3, §9.4.
        """
        if self._loop is None:
            self._settle_down()
        entry = None if fresh else self.lease_idle(origin, repeatable, first)
        if entry is not None:
            granted(entry)
            return None
        ledger, now = self.ledger, self.now()
        try:
            answer = (
                ledger.lease_fresh(origin, now) if fresh else ledger.lease(origin, now, repeatable, first)
            )
        except LocalViolation as error:
            refused(closed(error))
            return None
        if isinstance(answer, Use):  # it has come to suit this very moment: look at it first
            ledger.lay_back(answer.entry, now)
            return self.lease(origin, repeatable, granted, refused, fresh, timeout, first)
        ticket = answer.ticket
        limit, strict = patience(self.settings.pool_timeout, timeout, isinstance(answer, Dial))
        lease = self.leases[ticket] = Lease(self, ticket, granted, refused, now + limit, strict)
        self._sweeper.add(lease)
        if isinstance(answer, Dial):
            self._dials.begin(ticket)
        self._act()
        return lease if ticket in self.leases else None

    def lease_idle(self, origin: Origin | Private, repeatable: bool, first: bool = False) -> Entry[W] | None:
        """Reserve a connection that lies idle; None, and nothing is reserved, if none suits or others wait.

        Args and sections as of `lease`.
        """
        ledger, now = self.ledger, self.now()
        while True:
            latest = ledger.lease_latest(origin, now) if repeatable else None
            entry = latest or ledger.lease_idle(origin, now, repeatable, first)
            if entry is None:
                return None
            if not entry.reused or not entry.handle.readable():
                if not latest and (actions := ledger.take_actions()):  # the next deadline is no earlier one
                    self._carry_out(actions)
                return entry
            self._aside.keep(entry)

    async def warm(self, origin: Origin, count: int) -> int:
        """Dial until the origin has `count` connections, as far as the caps allow without closing any.

        Returns:
            How many there are afterwards, idle and in use.

        Raises:
            ExchangeError: there is none, because dialling failed or the pool is closed.
        """
        if self._loop is None:
            self._settle_down()
        try:
            tickets = self.ledger.warm(origin, count, self.now())
        except LocalViolation as error:
            raise closed(error) from error
        for ticket in tickets:
            self._dials.begin(ticket)
        self._act()
        await self._dials.wait(origin)
        return warmed(tickets, self.ledger.count(origin))

    def cancel(self, lease: Lease) -> None:
        """Give up waiting; neither callback is called any more. Harmless if one was."""
        if self._forget(lease.ticket) is not None:
            self.ledger.cancel(lease.ticket, self.now())
            self._act()

    def refuse(self, lease: Lease, error: ExchangeError) -> None:
        """Give up waiting and call `refused`."""
        if self._forget(lease.ticket) is not None:
            self.ledger.cancel(lease.ticket, self.now())
            lease.refused(error)
            self._act()

    def release(
        self, entry: Entry[W], reason: Reason, hint_timeout: int | None = None, hint_max: int | None = None
    ) -> None:
        """End a lease whose response was received to its end; see `Ledger.release`."""
        handle = entry.handle
        plain = not (self.leases or handle.lost or handle.end_received_already)
        if plain and self.ledger.lay_latest(entry, self.now(), reason, hint_timeout, hint_max):
            return
        if handle.spent() and reason.persists:  # it ended behind its response: nobody tells us again
            reason = Reason.PEER_CLOSED
        elif self.leases and reason.persists:
            if handle.readable():  # not for who waits, unread
                self._aside.release_later(entry, reason, hint_timeout, hint_max)
                return
            self.looked_at = entry
        self.ledger.release(entry, self.now(), reason, hint_timeout, hint_max)
        self._act()
        self.looked_at = None

    def discard(self, entry: Entry[W], reason: Reason) -> None:
        """Close a connection in any state and learn nothing from it; see `Ledger.discard`."""
        self.ledger.discard(entry, reason, self.now())
        self._act()

    def discard_stale(self, entry: Entry[W], reason: Reason) -> None:
        """Close a reused connection that turned out to be gone; see `Ledger.discard_stale`."""
        self.ledger.discard_stale(entry, reason, self.now())
        self._act()

    def lay_back(self, entry: Entry[W]) -> None:
        """Undo a lease of which nothing was sent."""
        self.ledger.lay_back(entry, self.now())
        self._act()

    def claim(self, entry: Entry[W], owner: Hashable) -> Private:
        """Give a leased connection to one owner for good; see `Ledger.claim`."""
        return self.ledger.claim(entry, owner)

    def disown(self, key: Private) -> None:
        """Close what an owner leaves behind; see `Ledger.disown`."""
        self.ledger.disown(key, self.now())
        self._act()

    def discard_later(self, entry: Entry[W], reason: Reason) -> None:
        """As `discard`, for finalizers: they may interrupt anything, in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.discard, entry, reason)

    def peer_closed(self, entry: Entry[W], reason: Reason) -> None:
        """Close a connection that the peer ended while no exchange was on it; learn from it."""
        if entry is NOT_ENTERED:  # `_enter` will see for itself
            return
        if reason is Reason.SURPLUS_OCTETS or entry in self._aside.over:
            self.discard(entry, reason)
            return
        if entry.state is EntryState.LEASED:  # set aside, or about to be used
            self.discard_stale(entry, reason)
            return
        self.ledger.peer_closed(entry, self.now(), reason)
        self._act()

    def wire_gone(self, wire: W) -> None:
        """Forget a wire that is lost: every `wire_lost` of a pooled wire ends with this."""
        self._wires.discard(wire)
        if not self._wires and self._loop is not None:
            self._sweeper.remove(self)
            self._sweeper.remove(self._names)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def statistics(self) -> Statistics:
        """Count what there is and what was."""
        return self.ledger.statistics(self.now())

    async def aclose(self, grace: float = 1.0) -> None:
        """Close every connection, those in use too; refuse who waits; stop dialling.

        Args:
            grace: seconds for TLS to say goodbye; then connections are reset.
        """
        now = self.now()
        self.ledger.close(now)
        self._act()
        for wire in list(self._wires):
            self.ledger.discard(wire.entry, Reason.POOL_CLOSED, now)
        self._act()
        self._names.cancel()
        await self._dials.cancel()
        if self._loop is not None:
            self._sweeper.remove(self)
            self._sweeper.remove(self._names)
        await self._wires_gone(grace)

    def _settle_down(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._sweeper = Sweeper.of(self._loop)
        self.now = self._loop.time  # the same clock, a third of the cost

    async def _wires_gone(self, grace: float) -> None:
        """Wait until every transport is gone; none lives on into a loop that is closed."""
        aborted = asyncio.get_running_loop().call_later(grace, self._abort_all)
        try:
            while self._wires:
                self._changed = asyncio.get_running_loop().create_future()
                await self._changed
        finally:
            aborted.cancel()

    def _abort_all(self) -> None:
        for wire in list(self._wires):
            wire.abort()

    # The ledger's actions.

    def deadline_reached(self, now: float) -> None:
        """Close what has lain idle long enough. Called by the sweep."""
        self.ledger.expire(now)
        self._act()

    def _act(self) -> None:
        """Carry out what the ledger wants, until it wants nothing; then note its next deadline."""
        if actions := self.ledger.take_actions():
            self._carry_out(actions)
        deadline = self.ledger.next_deadline()
        self.deadline = math.inf if deadline is None else deadline

    def _carry_out(self, actions: Sequence[Action[W]]) -> None:
        while actions:
            for action in actions:
                if type(action) is Grant:
                    self._grant(action.ticket)
                elif isinstance(action, Close):
                    self.ended(action.entry, action.reason)
                    action.entry.handle.ended_by_pool(action.reason)
                elif isinstance(action, Dial):
                    self._dials.begin(action.ticket)
                else:
                    self._refused(action.ticket)
            actions = self.ledger.take_actions()

    def _grant(self, ticket: Ticket) -> None:
        if ticket.state is not TicketState.GRANTED:
            return
        entry = self.ledger.take(ticket, self.now())
        if entry is None:
            return
        lease = self._forget(ticket)
        if lease is None:  # nobody waits: a connection made in advance
            self.ledger.discard(entry, Reason.CANCELLED, self.now())
            return
        try:
            lease.granted(entry)
        except Exception:  # one caller's fault must not cost the others their turn
            logger.exception("%s: a caller failed as it got its connection", ticket.origin)
            self.ledger.discard(entry, Reason.LOCAL_FAULT, self.now())

    def _refused(self, ticket: Ticket) -> None:
        lease = self._forget(ticket)
        if lease is not None:
            lease.refused(refusal(ticket))

    def _forget(self, ticket: Ticket) -> Lease | None:
        lease = self.leases.pop(ticket, None)
        if lease is not None:
            self._sweeper.remove(lease)
        return lease

    # Dialling.

    def _dial_failed(self, ticket: Ticket, error: ExchangeError) -> None:
        self.ledger.dial_failed(ticket, self.now(), error.reason, error)
        self._act()

    def _enter(self, ticket: Ticket, wire: W, seconds: float) -> None:
        now = self.now()
        self._wires.add(wire)
        round_trip = wire.round_trip_seconds()
        rtt = seconds if round_trip is None else round_trip
        wire.entry = self.ledger.dialled(ticket, wire, now, rtt, wire.peer_address)
        log_opened(wire.entry)
        self._sweeper.add(self)
        if wire.resolved:
            self._names.resolved(ticket.origin, wire.resolved, now)
            self._sweeper.add(self._names)
        self._act()
        if wire.lost:
            self.wire_gone(wire)
        if wire.entry.state is EntryState.IDLE and wire.spent():
            self.peer_closed(wire.entry, Reason.PEER_CLOSED)
