"""A connection that has stopped being HTTP: its octets go to somebody else.

The tunnel takes the wire's place at the transport, so that a tunnelled octet costs no question
whether it is one. Everything but octets and their end stays the wire's business: flow control,
the write deadline, the three ways to end, and `wire_lost`.

RFC 9110 §7.8 (Upgrade), §9.3.6 (CONNECT).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from perdure.wire.loop import LoopWire


class TunnelEnd(Protocol):
    """Who takes the octets."""

    def tunnel_received(self, octets: bytes) -> None:
        """Octets came."""

    def tunnel_ended(self) -> None:
        """The peer sends nothing more; our side is still open, except over TLS."""


class Tunnel(asyncio.Protocol):
    """Stands in a wire's place; see the module."""

    __slots__ = ("_end", "_wire")

    def __init__(self, wire: LoopWire, end: TunnelEnd) -> None:
        self._wire = wire
        self._end = end

    def data_received(self, octets: bytes) -> None:
        """Pass them on."""
        self._end.tunnel_received(octets)

    def eof_received(self) -> bool:
        """Pass it on; keep our side open where that is possible."""
        self._wire.end_received_already = True
        self._end.tunnel_ended()
        return not self._wire.tls

    def connection_lost(self, error: Exception | None) -> None:
        """The wire's business."""
        self._wire.connection_lost(error)

    def pause_writing(self) -> None:
        """The wire's business."""
        self._wire.pause_writing()

    def resume_writing(self) -> None:
        """The wire's business."""
        self._wire.resume_writing()


def divert(wire: LoopWire, end: TunnelEnd, octets: bytes = b"") -> None:
    """Hand over everything that arrives from now on, and the octets and the end that came too early.

    After it `wire.data_received` and `wire.end_received` are not called any more. Reading that was
    paused goes on: what it waited for is over.
    """
    if wire.lost or wire.closing:
        return
    wire.transport.set_protocol(Tunnel(wire, end))
    wire.resume_reading()
    if octets:
        end.tunnel_received(octets)
    if wire.end_received_already and not wire.closing:
        end.tunnel_ended()
