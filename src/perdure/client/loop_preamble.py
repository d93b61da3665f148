"""Octets ahead of everything else on a connection, TLS included: a PROXY header, mostly.

Source: the PROXY protocol specification of HAProxy, 2020/03/05, §2 (the header comes first, and at once).
"""

from __future__ import annotations

from perdure.wire.errors import WireError
from perdure.wire.loop import LoopWire


class PreambleWire(LoopWire):
    """Says the preamble, then gives way to the connection proper (`wire.handover`)."""

    __slots__ = ("_preamble",)

    def __init__(self, preamble: bytes) -> None:
        super().__init__()
        self._preamble = preamble

    def wire_opened(self) -> None:
        """Say it."""
        self.write(self._preamble)

    def data_received(self, octets: bytes) -> None:
        """Nobody was asked anything yet: an end for who comes after."""
        self.abort()

    def end_received(self) -> None:
        """It is of no use any more."""
        self.abort()

    def wire_lost(self, error: WireError | None) -> None:
        """There was nothing to lose."""
