"""The connections of one server: who is open, who is idle, who goes when there are too many.

Idle connections lie in the order in which they became idle, so the first is the least recently
used one. Under pressure they go before anybody is refused, a few at a time (nginx does
the same at 15/16 of its limit).

RFC 9112 §9.5.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from perdure.core import Limits, Reason, Role, ServerConnection, Terms
from perdure.server.access_log import AccessLog, NotedConnection, host_of, open_access_log
from perdure.server.settings import ServerSettings
from perdure.wire.descriptors import RESERVED_DESCRIPTORS
from perdure.wire.seldom import Seldom, how_often

if TYPE_CHECKING:
    from perdure.server.lifetime import Lifetime

logger = logging.getLogger("perdure.server")

EVICTED_AT_ONCE = 32
"""At most so many idle connections go for one new one (nginx)."""
HEARING_SECONDS = 0.25
"""How long a task may take to end by itself after it was told that its client is gone: Django's handler
cancels the view then, and leaves it running where it is cancelled first."""
CANCELLING_SECONDS = 1.0
"""How long a cancelled task may take to end."""


class Registry:
    """What the connections of one server share.

    Attributes:
        settings, limits, terms, role: of every connection.
        connections: those that are open.
        idle: those of them between two exchanges, the least recently used first.
        parting: those that were idle and have been told the end, the first one first.
        ending: how many of them are about to go: they linger, or flush.
        idle_seconds: how long an idle connection is kept.
        most: connections at once.
        access_log: None where none is kept.
        numbers: those of the connections, from 1; a successor in the same process goes on with them.
        opened, requests: totals; `closes` counts the ended connections by Reason.
        draining: True once `drain` was called; no connection outlives its exchange then.
        ended: told of each connection that ends, and why.
        tasks: what works on exchanges; a shutdown waits for them, as some go on after the response.
    """

    __slots__ = (
        "_all_closed",
        "_by_address",
        "_drained_at",
        "_refusals",
        "access_log",
        "closes",
        "connections",
        "draining",
        "ended",
        "ending",
        "idle",
        "idle_seconds",
        "limits",
        "most",
        "numbers",
        "opened",
        "parting",
        "requests",
        "role",
        "settings",
        "tasks",
        "terms",
    )

    def __init__(self, settings: ServerSettings, role: Role = Role.SERVER) -> None:
        self.settings = settings
        self.role = role
        self.limits: Limits = settings.limits()
        self.terms: Terms = settings.terms()
        self.connections: set[Lifetime] = set()
        self.idle: dict[Lifetime, None] = {}
        self.parting: dict[Lifetime, None] = {}
        self.idle_seconds = settings.idle_timeout + settings.idle_buffer
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended: Callable[[Lifetime, Reason], None] = _nobody
        self.ending = 0
        self.numbers = itertools.count(1)
        self.opened = 0
        self.requests = 0
        self.closes: Counter[Reason] = Counter()
        self.draining = False
        self._drained_at = math.inf
        self._refusals = Seldom()
        self.access_log: AccessLog | None = open_access_log(settings.access_log, settings.access_log_file)
        self.most = settings.max_connections
        self._by_address: Counter[str] | None = None if settings.max_per_address is None else Counter()
        self._all_closed: asyncio.Future[None] | None = None

    def new_protocol(self) -> ServerConnection:
        """The sans-I/O connection of a new connection; one that takes notes where a log is kept."""
        kind = ServerConnection if self.access_log is None else NotedConnection
        return kind(self.limits, self.terms, self.role)

    def admit(self, connection: Lifetime) -> int:
        """Enter a new connection; make room for it if there are too many.

        Returns:
            Its number, the next of `numbers`.
        """
        self.opened += 1
        self.connections.add(connection)
        number = next(self.numbers)
        most = self.most
        crowded = self._by_address is not None and self._is_one_too_many(connection, self._by_address)
        if len(self.connections) - self.ending > max(1, most * 15 // 16):
            self._evict(min(EVICTED_AT_ONCE, max(1, len(self.idle) // 8)))
        if len(self.connections) > most and self.parting:
            # Their descriptors are needed now: those who have been told the end need not confirm it.
            parting = next(iter(self.parting))
            del self.parting[parting]  # it is gone in a later turn; the next one that comes needs another
            parting.hurry()
        staying = len(self.connections) - self.ending
        if staying > most:
            self._tell_refusal(connection, number, f"{staying - 1} are open and none is idle")
            if self.ending < most // 8 + EVICTED_AT_ONCE:
                connection.end_connection(Reason.PRESSURE)
            else:  # those that are about to go do not count, but there must be an end to their number too
                connection.cut_off(Reason.PRESSURE)
        elif crowded:
            self._tell_refusal(connection, number, "too many are open from its address")
            connection.end_connection(Reason.PRESSURE)
        return number

    def _tell_refusal(self, connection: Lifetime, number: int, why: str) -> None:
        """Log it, once a minute: those who are refused come again."""
        if times := self._refusals.note("refusal", connection.now()):
            logger.warning("connection %d: refused, %s%s", number, why, how_often(times))

    def _is_one_too_many(self, connection: Lifetime, by_address: Counter[str]) -> bool:
        """Count a connection for its address; True if the address has more than it may."""
        host = host_of(connection.peer_address)
        by_address[host] += 1
        return by_address[host] > (self.settings.max_per_address or 0)

    def adopt(self, other: Registry) -> None:
        """Go on with the settings and the access log of a registry that has not been used.

        Connections that are open keep the sizes and terms with which they began.
        """
        self.settings, self.limits, self.terms = other.settings, other.limits, other.terms
        self.most = other.most
        if not self.draining:
            self.idle_seconds = other.idle_seconds
        self._by_address = None
        if other.settings.max_per_address is not None:
            self._by_address = Counter(host_of(connection.peer_address) for connection in self.connections)
        log, self.access_log = self.access_log, other.access_log
        other.access_log = None
        if log is not None:
            log.close()

    def fit_descriptors(self, limit: int | None) -> None:
        """Keep the number of connections below that of descriptors, so that idle ones go in time.

        Without it the next connection could not be accepted, nor a file opened.
        """
        if limit is not None and self.most > limit - RESERVED_DESCRIPTORS:
            self.most = max(1, limit - RESERVED_DESCRIPTORS)
            logger.info(
                "at most %d connections, not %d: this process may have %d descriptors",
                self.most,
                self.settings.max_connections,
                limit,
            )

    def _evict(self, count: int) -> None:
        for connection in list(self.idle)[:count]:
            connection.end_idle(Reason.PRESSURE)

    def remove(self, connection: Lifetime, reason: Reason) -> None:
        """Strike out a connection that is lost."""
        self.connections.discard(connection)
        self.idle.pop(connection, None)
        self.parting.pop(connection, None)
        self.ending -= 1
        by_address = self._by_address
        if by_address is not None:
            host = host_of(connection.peer_address)
            by_address[host] -= 1
            if by_address[host] <= 0:
                del by_address[host]
        self.closes[reason] += 1
        self.ended(connection, reason)
        waiting = self._all_closed
        if waiting is not None and not self.connections and not waiting.done():
            waiting.set_result(None)

    def begin_drain(self) -> None:
        """From now on each connection ends in good order: those that are open, and those that come yet.

        Exchanges under way finish and announce the close; idle connections may send one last
        request within `drain_grace`; after `drain_timeout` what is left is reset and cancelled.
        Once more changes nothing.

        RFC 9112 §9.6.
        """
        if self.draining:
            return
        self.draining = True
        self.idle_seconds = self.settings.drain_grace
        self._drained_at = asyncio.get_running_loop().time() + self.settings.drain_timeout
        for connection in list(self.connections):
            connection.drain()

    async def drain(self) -> None:
        """Begin to drain, and wait for the end of every connection; then for the tasks."""
        self.begin_drain()
        loop = asyncio.get_running_loop()
        until = self._drained_at
        timer = loop.call_at(until, self._cut_off_all, Reason.DRAIN_TIMEOUT)
        try:
            while self.connections:
                self._all_closed = loop.create_future()
                await self._all_closed
            await self._finish_tasks(max(HEARING_SECONDS, until - loop.time()))
        finally:
            timer.cancel()
            self._all_closed = None

    async def _finish_tasks(self, seconds: float) -> None:
        """Wait for what goes on after its response; cancel it when the time is over."""
        own = asyncio.current_task()
        left = {task for task in self.tasks if task is not own and not task.done()}
        if left:
            _, left = await asyncio.wait(left, timeout=seconds)
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=CANCELLING_SECONDS)
        if left:
            logger.error("%d tasks of the application go on although they were cancelled", len(left))

    def end_all(self, reason: Reason) -> None:
        """End every connection and task at once; exchanges under way are cut off."""
        self._cut_off_all(reason)
        own = asyncio.current_task()
        for task in list(self.tasks):
            if task is not own:
                task.cancel()

    def _cut_off_all(self, reason: Reason) -> None:
        for connection in list(self.connections):
            connection.cut_off(reason)


def _nobody(connection: Lifetime, reason: Reason) -> None:
    """Nobody wants to be told of a connection's end."""
