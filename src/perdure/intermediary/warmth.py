"""Connections to an origin that are kept ready, so that a request after a quiet time needs no dial.

    looked at once a second ──too few lie idle──▶ dialled ──it fails──▶ looked at ever more seldom

What is dialled in advance counts toward the caps, and closes nothing to have room. It ends at its idle limit
as any other does, and is dialled anew. An origin gives a connection that was never used the time for a first
request, not its idle limit, so what is ready serves requests that can be sent again.

RFC 9112 §9.4, §9.5.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from perdure.client.errors import ExchangeError
from perdure.intermediary.origins import OriginServer

LOOK_AGAIN_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 16.0


class Warmth:
    """Of one origin; the loop's sweep calls it.

    Attributes:
        deadline: when it is looked at next.
    """

    __slots__ = ("_count", "_dialling", "_origin", "_pause", "deadline")

    def __init__(self, origin: OriginServer, count: int, now: float) -> None:
        """Keep `count` connections idle, from the next tick on."""
        self._origin = origin
        self._count = count
        self._pause = LOOK_AGAIN_SECONDS
        self._dialling: asyncio.Task[None] | None = None
        self.deadline = now

    def deadline_reached(self, now: float) -> None:
        """Dial what is missing."""
        pool, key = self._origin.pool, self._origin.key
        missing = self._count - len(pool.ledger.idle_entries(key))
        if missing <= 0:
            self.deadline = now + LOOK_AGAIN_SECONDS
            return
        self.deadline = math.inf
        self._dialling = asyncio.get_running_loop().create_task(self._dial(pool.ledger.count(key) + missing))

    async def _dial(self, wanted: int) -> None:
        try:
            there = await self._origin.pool.warm(self._origin.key, wanted)
        except ExchangeError:  # it is told where a request meets it
            there = 0
        self._pause = LOOK_AGAIN_SECONDS if there >= wanted else min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self.deadline = asyncio.get_running_loop().time() + self._pause

    def stop(self) -> None:
        """Dial no more."""
        self.deadline = math.inf
        if self._dialling is not None:
            self._dialling.cancel()
