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
    from perdure.server.connection import InboundConnection

logger = logging.getLogger("perdure.server")

EVICTED_AT_ONCE = 32
"""At most so many idle connections go for one new one (nginx)."""


class Registry:
    """What the connections of one server share.

    Attributes:
        settings, limits, terms: of every connection.
        connections: those that are open.
        idle: those of them between two exchanges, the least recently used first.
        opened, requests: totals; `closes` counts the ended connections by Reason.
        draining: True once `drain` was called; no connection outlives its exchange then.
    """

    __slots__ = (
        "_all_closed",
        "_pressure_at",
        "closes",
        "connections",
        "draining",
        "idle",
        "limits",
        "opened",
        "requests",
        "settings",
        "terms",
    )

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.limits: Limits = settings.limits()
        self.terms: Terms = settings.terms()
        self.connections: set[InboundConnection] = set()
        self.idle: dict[InboundConnection, None] = {}
        self.opened = 0
        self.requests = 0
        self.closes: Counter[Reason] = Counter()
        self.draining = False
        self._pressure_at = max(1, settings.max_connections * 15 // 16)
        self._all_closed: asyncio.Future[None] | None = None

    def admit(self, connection: InboundConnection) -> int:
        """Enter a new connection; make room for it if there are too many.

        Returns:
            Its number, counting from 1.
        """
        self.opened += 1
        self.connections.add(connection)
        if len(self.connections) > self._pressure_at:
            self._evict(min(EVICTED_AT_ONCE, max(1, len(self.idle) // 8)))
        if len(self.connections) > self.settings.max_connections:
            logger.warning(
                "connection %d: refused, %d are open and none is idle", self.opened, len(self.connections) - 1
            )
            connection.end_connection(Reason.PRESSURE)
        return self.opened

    def _evict(self, count: int) -> None:
        for connection in list(self.idle)[:count]:
            connection.end_connection(Reason.PRESSURE)

    def remove(self, connection: InboundConnection, reason: Reason) -> None:
        """Strike out a connection that is lost."""
        self.connections.discard(connection)
        self.idle.pop(connection, None)
        self.closes[reason] += 1
        if self._all_closed is not None and not self.connections and not self._all_closed.done():
            self._all_closed.set_result(None)

    async def drain(self) -> None:
        """End every connection in good order, within the settings' times.

        Exchanges under way finish and announce the close; idle connections may send one last
        request within `drain_grace`; after `drain_timeout` what is left is reset.

        RFC 9112 §9.6.
        """
        self.draining = True
        for connection in list(self.connections):
            connection.drain()
        if not self.connections:
            return
        loop = asyncio.get_running_loop()
        self._all_closed = loop.create_future()
        timer = loop.call_later(self.settings.drain_timeout, self.end_all, Reason.DRAIN_TIMEOUT)
        try:
            await self._all_closed
        finally:
            timer.cancel()

    def end_all(self, reason: Reason) -> None:
        """End every connection at once; exchanges under way are cut off."""
        for connection in list(self.connections):
            connection.cut_off(reason)
