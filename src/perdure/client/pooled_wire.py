"""A connection of an event loop that lives in a pool: the base of the client's and the gateway's.

RFC 9112 §9.2 (what arrives unasked), §9.5 (who ends it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.wire.loop import LoopWire
from perdure.wire.poll import look_at

NOT_ENTERED: Entry[Any] = Entry(0, None, None, 0.0)
"""Stands for the entry of a wire that was dialled and has not been entered in the ledger."""


class PooledWire(LoopWire):
    """A connection in a pool. Subclass it, define `data_received`, and tell the pool what happens.

    Attributes:
        entry: its line in the ledger; set as soon as it is dialled.
    """

    __slots__ = ("_look", "entry")

    def __init__(self, write_timeout: float = 60.0) -> None:
        super().__init__(write_timeout)
        self.entry: Entry[Any] = NOT_ENTERED
        self._look: Callable[[], object] | None = None

    def readable(self) -> bool:
        """Say whether the socket holds something that the loop has not read. RFC 9112 §9.2."""
        look = self._look
        if look is None:
            own = self.transport.get_extra_info("socket")
            if own is None:  # in memory, where nothing lies between the peer and us
                return False
            look = self._look = look_at(own.fileno())
        return bool(look())

    def spent(self) -> bool:
        """Say whether the peer was seen to end it, or to send what nobody asked for."""
        return self.lost or self.end_received_already

    def ended_by_pool(self, reason: Reason) -> None:
        """Close: the ledger has given this connection up. Called once; `entry.ended` says why."""
        if self.lost:
            return
        # What is not sent belongs to a request that nobody wants answered any more.
        if self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.close()
