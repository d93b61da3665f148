"""What happens to the origins of a gateway while nobody asks: rests end, shares grow, checks are made,
connections are kept ready.

RFC 9110 §3.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from perdure.intermediary.checks import Check
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.warmth import Warmth
from perdure.wire.sweep import Sweeper


class Upkeep:
    """Of one gateway; it belongs to the event loop on which `look_after` was called first."""

    def __init__(self, agent: bytes) -> None:
        """Look after nobody yet.

        Args:
            agent: our name in the User-Agent of checks.
        """
        self._agent = agent
        self._chores: dict[OriginServer, list[Check | Warmth]] = {}
        self._sweeper: Sweeper | None = None

    def look_after(self, origins: Collection[OriginServer]) -> None:
        """Look after these from now on, and no more after others."""
        loop = asyncio.get_running_loop()
        sweeper = self._sweeper = Sweeper.of(loop)
        for gone in [origin for origin in self._chores if origin not in origins]:
            self._leave(gone)
        for origin in origins:
            if origin not in self._chores:
                sweeper.add(origin.health)
                self._chores[origin] = self._make_chores(origin, loop.time())
                for chore in self._chores[origin]:
                    sweeper.add(chore)

    def end(self) -> None:
        """Look after nobody any more."""
        for origin in list(self._chores):
            self._leave(origin)

    def _make_chores(self, origin: OriginServer, now: float) -> list[Check | Warmth]:
        chores: list[Check | Warmth] = []
        settings = origin.health.settings
        if settings.health_path is not None:
            chores.append(Check(origin, settings, self._agent, now))
        if origin.settings.min_idle:
            chores.append(Warmth(origin, origin.settings.min_idle, now))
        return chores

    def _leave(self, origin: OriginServer) -> None:
        assert self._sweeper is not None
        self._sweeper.remove(origin.health)
        for chore in self._chores.pop(origin):
            self._sweeper.remove(chore)
            chore.stop()
