"""The connections of one server: who is open, who is idle, who goes when there are too many.

Idle connections lie in the order in which they became idle, so the first is the least recently
used one. Under pressure they go before anybody is refused, a few at a time (nginx does
the same at 15/16 of its limit).

RFC 9112 §9.5.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from perdure.core import Limits, Reason, Terms
from perdure.server.settings import ServerSettings

if TYPE_CHECKING:
    from perdure.server.lifetime import Lifetime

logger = logging.getLogger("perdure.server")

EVICTED_AT_ONCE = 32
"""At most so many idle connections go for one new one (nginx)."""
CANCELLING_SECONDS = 1.0
"""How long a cancelled task may take to end."""


class Registry:
    """What the connections of one server share.

    Attributes:
        settings, limits, terms: of every connection.
        connections: those that are open.
        idle: those of them between two exchanges, the least recently used first.
        ending: how many of them are about to go: they linger, or flush.
        idle_seconds: how long an idle connection is kept.
        opened, requests: totals; `closes` counts the ended connections by Reason.
        draining: True once `drain` was called; no connection outlives its exchange then.
        tasks: what works on exchanges; a shutdown waits for them, as some go on after the response.
    """

    __slots__ = (
        "_all_closed",
        "_pressure_at",
        "closes",
        "connections",
        "draining",
        "ending",
        "idle",
        "idle_seconds",
        "limits",
        "opened",
        "requests",
        "settings",
        "tasks",
        "terms",
    )

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.limits: Limits = settings.limits()
        self.terms: Terms = settings.terms()
        self.connections: set[Lifetime] = set()
        self.idle: dict[Lifetime, None] = {}
        self.idle_seconds = settings.idle_timeout + settings.idle_buffer
        self.tasks: set[asyncio.Task[None]] = set()
        self.ending = 0
        self.opened = 0
        self.requests = 0
        self.closes: Counter[Reason] = Counter()
        self.draining = False
        self._pressure_at = max(1, settings.max_connections * 15 // 16)
        self._all_closed: asyncio.Future[None] | None = None

    def admit(self, connection: Lifetime) -> int:
        """Enter a new connection; make room for it if there are too many.

        Returns:
            Its number, counting from 1.
        """
        self.opened += 1
        self.connections.add(connection)
        number = self.opened
        if len(self.connections) - self.ending > self._pressure_at:
            self._evict(min(EVICTED_AT_ONCE, max(1, len(self.idle) // 8)))
        most = self.settings.max_connections
        staying = len(self.connections) - self.ending
        if staying > most:
            logger.warning("connection %d: refused, %d are open and none is idle", number, staying - 1)
            if self.ending < most // 8 + EVICTED_AT_ONCE:
                connection.end_connection(Reason.PRESSURE)
            else:  # those that are about to go do not count, but there must be an end to their number too
                connection.cut_off(Reason.PRESSURE)
        return number

    def _evict(self, count: int) -> None:
        for connection in list(self.idle)[:count]:
            connection.end_connection(Reason.PRESSURE)

    def remove(self, connection: Lifetime, reason: Reason) -> None:
        """Strike out a connection that is lost."""
        self.connections.discard(connection)
        self.idle.pop(connection, None)
        self.ending -= 1
        self.closes[reason] += 1
        waiting = self._all_closed
        if waiting is not None and not self.connections and not waiting.done():
            waiting.set_result(None)

    async def drain(self) -> None:
        """End every connection in good order, within the settings' times; then wait for the tasks.

        Exchanges under way finish and announce the close; idle connections may send one last
        request within `drain_grace`; after `drain_timeout` what is left is reset and cancelled.

        RFC 9112 §9.6.
        """
        self.draining = True
        self.idle_seconds = self.settings.drain_grace
        for connection in list(self.connections):
            connection.drain()
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.drain_timeout
        timer = loop.call_at(until, self.end_all, Reason.DRAIN_TIMEOUT)
        try:
            while self.connections:
                self._all_closed = loop.create_future()
                await self._all_closed
            await self._finish_tasks(until - loop.time())
        finally:
            timer.cancel()
            self._all_closed = None

    async def _finish_tasks(self, seconds: float) -> None:
        """Wait for what goes on after its response; cancel it when the time is over."""
        own = asyncio.current_task()
        left = {task for task in self.tasks if task is not own and not task.done()}
        if left:
            _, left = await asyncio.wait(left, timeout=max(0.0, seconds))
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=CANCELLING_SECONDS)
        if left:
            logger.error("%d tasks of the application go on although they were cancelled", len(left))

    def end_all(self, reason: Reason) -> None:
        """End every connection and task at once; exchanges under way are cut off."""
        for connection in list(self.connections):
            connection.cut_off(reason)
        own = asyncio.current_task()
        for task in list(self.tasks):
            if task is not own:
                task.cancel()
