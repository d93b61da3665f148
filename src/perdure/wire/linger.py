"""What takes a wire's place at its transport while it closes: it discards, and decides when to stop.

Replacing the protocol costs one call per connection; asking "are we closing?" would cost a
comparison per delivery of octets.

RFC 9112 §9.6 (tear-down: half-close, read on, then close).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.wire.loop import LoopWire

_FIN = 1
"""A FIN that is not yet acknowledged counts as one octet in the kernel's queue."""


def end_writing(transport: asyncio.WriteTransport) -> None:
    """Say the end (FIN), behind what was written.

    The peer may have reset the connection and the loop not have read that yet; it will.
    """
    with contextlib.suppress(OSError):
        transport.write_eof()


class Silent(asyncio.Protocol):
    """Takes the wire's place at the transport: discards octets, passes the rest on."""

    __slots__ = ("wire",)

    def __init__(self, wire: LoopWire) -> None:
        self.wire = wire

    def data_received(self, octets: bytes) -> None:
        """Discard."""

    def eof_received(self) -> bool:
        """Note the peer's end; nothing is left to do, so let the transport close."""
        self.wire.end_received_already = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Pass it on. A reset by a peer whose octets we refused is no news."""
        self.wire.connection_lost(None)

    def pause_writing(self) -> None:
        """Note it; nobody writes any more."""
        self.wire.writing_paused = True

    def resume_writing(self) -> None:
        """Note it."""
        self.wire.writing_paused = False


class Ending(Silent):
    """Silent, until the sweeper finds that it is over."""

    __slots__ = ("deadline",)

    def __init__(self, wire: LoopWire) -> None:
        super().__init__(wire)
        self.deadline = -math.inf  # looked at every tick

    def take_place(self) -> None:
        """Take the wire's place at the transport and the sweeper, and begin to discard."""
        wire = self.wire
        wire.transport.set_protocol(self)
        if wire.reading_paused:
            wire.reading_paused = False
            wire.transport.resume_reading()
        wire.sweeper.remove(wire)
        wire.sweeper.add(self)

    def stop(self) -> None:
        """Leave the sweeper."""
        self.wire.sweeper.remove(self)

    def deadline_reached(self, now: float) -> None:
        """Look whether it is over."""
        raise NotImplementedError


class Lingering(Ending):
    """A lingering close: reads and discards within limits, in the wire's place."""

    __slots__ = ("_flushed", "_idle_seconds", "_last", "_octets_left", "_total_seconds", "_until")

    def __init__(self, wire: LoopWire, octets: int, idle_seconds: float, total_seconds: float) -> None:
        super().__init__(wire)
        self._octets_left = octets
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._flushed = False
        self._until = math.inf
        self._last = wire.loop.time()

    def start(self) -> None:
        """Half-close, take the wire's place and begin to discard."""
        self.take_place()
        wire = self.wire
        if wire.transport.can_write_eof():
            end_writing(wire.transport)
        # The kernel's queue too may hold everything for a peer that never reads; the next tick asks it, so
        # that a peer that closes at once costs no look (6 µs, the socket object of uvloop included).
        wire.watch_waiting_octets(1)

    def data_received(self, octets: bytes) -> None:
        """Discard; stop reading once the limit is reached."""
        self._last = self.wire.loop.time()
        self._octets_left -= len(octets)
        if self._octets_left < 0:
            self.wire.transport.pause_reading()
            self._total_seconds = min(self._total_seconds, self._idle_seconds)

    def deadline_reached(self, now: float) -> None:
        """Close once flushed and silent, or once it has taken too long."""
        if not self._flushed:
            if self.wire.unsent_octets() > _FIN:
                return
            self._flushed = True
            self._last = now
            self._until = now + self._total_seconds
        if now >= self._until or now - self._last >= self._idle_seconds:
            self.wire.close()


class Parting(Ending):
    """The end of a connection on which nothing is under way: FIN, and gone as soon as the peer has it.

    Octets that cross our FIN are before its acknowledgement in the peer's sequence, so they are read and
    dropped, and nobody is reset who could not know yet. Over TLS close_notify stands for the FIN; the
    peer's own is not awaited (RFC 9112 §9.8).
    """

    __slots__ = ("_until",)

    def __init__(self, wire: LoopWire, seconds: float) -> None:
        super().__init__(wire)
        self._until = wire.loop.time() + seconds

    def start(self) -> None:
        """Say the end, take the wire's place and begin to discard."""
        self.take_place()
        wire = self.wire
        if wire.tls:
            wire.transport.close()
        else:
            end_writing(wire.transport)

    def deadline_reached(self, now: float) -> None:
        """Close once the peer's kernel has acknowledged everything, or does not in time."""
        if not self.wire.unsent_octets() or now >= self._until:
            self.hurry()

    def hurry(self) -> None:
        """Close now: the descriptor is needed, and who was told the end need not confirm it."""
        self.stop()
        if self.wire.tls:
            self.wire.transport.abort()  # without a reset: nothing is unsent, or nobody takes it
        else:
            self.wire.close()


class Breaking(Ending):
    """The end of a connection whose octets come to no end: what was written is delivered, then RST.

    The peer shall see that something is missing, and still get what there was.
    """

    __slots__ = ()

    def start(self) -> None:
        """Take the wire's place and begin to discard."""
        self.take_place()
        self.wire.watch_waiting_octets(1)

    def eof_received(self) -> bool:
        """Note the peer's end; ours stays open until everything has gone."""
        self.wire.end_received_already = True
        return not self.wire.tls

    def deadline_reached(self, now: float) -> None:
        """Reset once the peer's kernel has everything; a peer that takes nothing is reset in time anyway."""
        if not self.wire.unsent_octets():
            self.wire.abort()


def break_off(wire: LoopWire) -> None:
    """End a connection in the middle of what is said on it: deliver what was written, then reset it.

    A peer that takes none of it is reset after `write_timeout`. Harmless for a wire that is closing or lost.

    RFC 9110 §9.3.6 (what a tunnel still delivers), RFC 9112 §8 (truncation must be seen).
    """
    if wire.lost or wire.closing:
        return
    wire.closing = True
    wire.deadline = math.inf
    breaking = wire._lingering = Breaking(wire)
    breaking.start()
