"""What happens to the origins of a gateway while nobody asks: rests end, shares grow, checks are made.

RFC 9110 §3.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from perdure.intermediary.checks import Check
from perdure.intermediary.origins import OriginServer
from perdure.wire.sweep import Sweeper


class Upkeep:
    """Of one gateway; it belongs to the event loop on which `look_after` was called first."""

    def __init__(self, agent: bytes) -> None:
        """Look after nobody yet.

        Args:
            agent: our name in the User-Agent of checks.
        """
        self._agent = agent
        self._checks: dict[OriginServer, Check | None] = {}
        self._sweeper: Sweeper | None = None

    def look_after(self, origins: Collection[OriginServer]) -> None:
        """Look after these from now on, and no more after others."""
        loop = asyncio.get_running_loop()
        sweeper = self._sweeper = Sweeper.of(loop)
        for gone in [origin for origin in self._checks if origin not in origins]:
            self._leave(gone)
        for origin in origins:
            if origin not in self._checks:
                sweeper.add(origin.health)
                check = self._checks[origin] = self._make_check(origin, loop.time())
                if check is not None:
                    sweeper.add(check)

    def end(self) -> None:
        """Look after nobody any more."""
        for origin in list(self._checks):
            self._leave(origin)

    def _make_check(self, origin: OriginServer, now: float) -> Check | None:
        settings = origin.health.settings
        return Check(origin, settings, self._agent, now) if settings.health_path is not None else None

    def _leave(self, origin: OriginServer) -> None:
        assert self._sweeper is not None
        self._sweeper.remove(origin.health)
        check = self._checks.pop(origin)
        if check is not None:
            self._sweeper.remove(check)
            check.stop()
