"""Names of origins are resolved anew while connections to them live, so that these end when DNS moves on.

Every dial to a name says what it resolves to; between dials each name in use is looked up once a
minute, one after the other and beside the traffic: no request waits for a resolver, and no resolver
sees a storm. When, and which connections that ends, is the ledger's business (`Ledger.resolved`).

RFC 9112 §9.5, RFC 8305 §3.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Protocol

from perdure.core.pool import Ledger
from perdure.wire.address import Address


class LoopResolver(Protocol):
    """What looks up the name of an origin on an event loop."""

    async def resolve(self, origin: Any) -> Collection[Address]:
        """Its addresses; nothing where it has no name, or there was no answer."""


class LoopNames:
    """The names of one pool on an event loop; the loop's sweep calls it.

    Attributes:
        deadline: when a name is due.
    """

    def __init__(self, ledger: Ledger[Any], resolver: LoopResolver, act: Callable[[], None]) -> None:
        """Look nothing up yet. `act` carries out what the ledger wants afterwards."""
        self.deadline = math.inf
        self._ledger = ledger
        self._resolver = resolver
        self._act = act
        self._looking: asyncio.Task[None] | None = None

    def resolved(self, origin: Hashable, addresses: Collection[Address], now: float) -> None:
        """Note what a dial has found out."""
        if addresses:
            self._ledger.resolved(origin, addresses, now)
            self.deadline = self._ledger.look_up_at

    def deadline_reached(self, now: float) -> None:
        """Look up what is due, unless the last round is not over."""
        if self._looking is not None:
            self.deadline = now + 1.0
            return
        names = self._ledger.names_due(now)
        self.deadline = self._ledger.look_up_at
        if names:
            self._looking = asyncio.get_running_loop().create_task(self._look_up(names))
            self._looking.add_done_callback(self._looked)

    def cancel(self) -> None:
        """Look up no more."""
        self.deadline = math.inf
        if self._looking is not None:
            self._looking.cancel()

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None

    async def _look_up(self, names: Sequence[Any]) -> None:
        for origin in names:
            addresses = await self._resolver.resolve(origin)
            self.resolved(origin, addresses, asyncio.get_running_loop().time())
            self._act()


class BlockingResolver(Protocol):
    """What looks up the name of an origin and blocks meanwhile."""

    def resolve(self, origin: Any) -> Collection[Address]:
        """Its addresses; nothing where it has no name, or there was no answer."""


class BlockingNames:
    """The names of one pool of threads: each round of look-ups has a thread of its own.

    Attributes:
        thread: of the round under way, or of the last one; None before the first.
    """

    def __init__(
        self, resolver: BlockingResolver, resolved: Callable[[Any, Collection[Address]], None]
    ) -> None:
        """Look nothing up yet. `resolved` tells the ledger, under the pool's lock."""
        self.thread: threading.Thread | None = None
        self._resolver = resolver
        self._resolved = resolved

    def look_up(self, names: Sequence[Any]) -> None:
        """Begin a round."""
        self.thread = threading.Thread(target=self._look_up, args=(names,), name="perdure-names", daemon=True)
        self.thread.start()

    def _look_up(self, names: Sequence[Any]) -> None:
        for origin in names:
            addresses = self._resolver.resolve(origin)
            if addresses:
                self._resolved(origin, addresses)
