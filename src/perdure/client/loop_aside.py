"""Connections whose socket holds something that the event loop has not read: kept away from everybody.

    leased from idle, readable ──▶ aside ──read: nothing of concern──▶ idle again
    released, readable         ──▶ aside ──read: nothing of concern──▶ released: to who waits
                                     └──read: an end, or surplus octets──▶ closed by its owner

An octet there would become the answer to a question not yet asked (CVE-2026-48931).

RFC 9112 §9.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from perdure.client.pooled_wire import PooledWire
from perdure.core.pool import Entry, EntryState
from perdure.core.reason import Reason

W = TypeVar("W", bound=PooledWire)
TURNS_TO_READ = 3
"""Turns of the loop after which a readable socket was surely read (one to poll, one to call)."""


class Keeper(Protocol[W]):
    """The pool, as it is seen from here."""

    def release(
        self, entry: Entry[W], reason: Reason, hint_timeout: int | None = None, hint_max: int | None = None
    ) -> None:
        """End a lease."""

    def lay_back(self, entry: Entry[W]) -> None:
        """Undo a lease of which nothing was sent."""

    def discard(self, entry: Entry[W], reason: Reason) -> None:
        """Close a connection and learn nothing from it."""

    def discard_stale(self, entry: Entry[W], reason: Reason) -> None:
        """Close a connection that turned out to be gone."""


class LoopAside(Generic[W]):
    """See the module; of one pool. What it keeps is leased, to nobody.

    Attributes:
        over: of those, the ones whose exchange is over: their end says nothing of idle limits.
    """

    __slots__ = ("_pool", "over")

    def __init__(self, pool: Keeper[W]) -> None:
        self._pool = pool
        self.over: set[Entry[W]] = set()

    def keep(self, entry: Entry[W]) -> None:
        """Keep a connection that was idle until now."""
        pool = self._pool

        def gone() -> None:
            pool.discard_stale(entry, Reason.PEER_CLOSED)

        # Otherwise it was a TLS session ticket, or an empty line: nothing that concerns us.
        self._look(entry, lambda: pool.lay_back(entry), gone, TURNS_TO_READ)

    def release_later(
        self, entry: Entry[W], reason: Reason, hint_timeout: int | None, hint_max: int | None
    ) -> None:
        """Keep a connection whose exchange is over, for which somebody waits."""
        pool = self._pool

        def fine() -> None:
            pool.release(entry, reason, hint_timeout, hint_max)

        self.over.add(entry)
        self._look(entry, fine, lambda: pool.discard(entry, Reason.PEER_CLOSED), TURNS_TO_READ)

    def _look(self, entry: Entry[W], fine: Callable[[], None], gone: Callable[[], None], turns: int) -> None:
        if entry.state is EntryState.LEASED and turns:
            asyncio.get_running_loop().call_soon(self._look, entry, fine, gone, turns - 1)
            return
        self.over.discard(entry)
        if entry.state is not EntryState.LEASED:
            return  # its owner has read it and given it up
        if entry.handle.readable() or entry.handle.spent():
            gone()
        else:
            fine()
