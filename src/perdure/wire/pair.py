"""Two joined transports in memory: what a TCP connection does, in an event loop's own time.

Each way has a bounded window, as TCP has: octets leave the sender's queue only while the
receiver takes them. FIN follows the last octet; RST overtakes nothing and destroys what the
receiver has not read yet (kernels differ there; this is the harsher kind, which RFC 9112 §9.6
warns of). Closing with unread octets, or receiving octets after closing, answers with RST.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any, Protocol

from perdure.wire.address import Address

WINDOW_OCTETS = 65536
"""Octets that one way holds between the two programs."""
HIGH_WATER_OCTETS = 65536
"""As asyncio's transports: above it the writer is asked to pause."""
READ_OCTETS = 262144
"""As asyncio's transports: the most that is delivered at once."""


PIECE_OCTETS = 1448
"""What one packet of Ethernet holds of TCP's content, its timestamps counted off."""
PACKET_OCTETS = 66
"""The heads of Ethernet, IP and TCP."""


class Line:
    """One way between two hosts, which all connections between them share.

    Attributes:
        latency: seconds that anything takes from end to end.
        rate: bits per second, heads of packets included; math.inf is no limit.
    """

    def __init__(self, latency: float = 0.0, rate: float = math.inf) -> None:
        self.latency = latency
        self.rate = rate
        self._free_at = -math.inf

    def pieces(self, octets: bytes) -> list[bytes]:
        """Cut octets as they travel: in packets where those take time, else as they are."""
        if self.rate == math.inf:
            return [octets]
        return [octets[start : start + PIECE_OCTETS] for start in range(0, len(octets), PIECE_OCTETS)]

    def arrival(self, now: float, octets: int) -> float:
        """Let a packet with so much content enter; return when it arrives. Nothing overtakes."""
        self._free_at = max(now, self._free_at) + 8 * (octets + PACKET_OCTETS) / self.rate
        return self._free_at + self.latency


class Passage(Protocol):
    """What watches, and limits, the octets that one end sends."""

    def allowance(self, wanted: int) -> int:
        """How many of the wanted octets may leave now."""

    def crossed(self, octets: bytes) -> None:
        """Octets left; may end the connection."""

    def ended(self) -> None:
        """FIN left."""

    def was_reset(self) -> None:
        """RST left."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory.

    Attributes:
        line: the way that its octets take.
        split: the most octets that it delivers at once.
        arrives_at: when the last item that it sent reaches the other end.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, passage: Passage, own: Address, peer: Address
    ) -> None:
        super().__init__({"sockname": own, "peername": peer})
        self.line = Line()
        self.arrives_at = -math.inf
        self.split = READ_OCTETS
        self._loop = loop
        self._passage = passage
        self._protocol: asyncio.Protocol
        self._peer: MemoryTransport
        # Sending.
        self._queue = bytearray()
        self._transit: deque[bytes | ConnectionResetError | None] = deque()
        self._in_flight = 0
        self._high = HIGH_WATER_OCTETS
        self._low = HIGH_WATER_OCTETS // 4
        self._writer_paused = False
        self._end_wanted = False
        self._end_sent = False
        # Receiving.
        self._inbox = bytearray()
        self._end_arrived = False
        self._end_delivered = False
        self._reader_paused = False
        self._delivery: asyncio.Handle | None = None
        # Ending.
        self._made = False
        self._closing = False
        self._gone = False

    def join(self, peer: MemoryTransport, protocol: asyncio.Protocol) -> None:
        """Say who is at the other end and who lives at this one."""
        self._peer = peer
        self._protocol = protocol

    def begin(self) -> None:
        """Call `connection_made`; deliver what arrived before."""
        if self._gone:
            return
        self._made = True
        self._protocol.connection_made(self)
        self._push()
        self._schedule_delivery()

    # What a protocol calls: asyncio.Transport.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Put another protocol in the place of this one."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._protocol

    def is_closing(self) -> bool:
        """True once it was closed or aborted."""
        return self._closing

    def is_reading(self) -> bool:
        """True while octets are delivered."""
        return not (self._reader_paused or self._closing)

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`."""
        self._reader_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self._reader_paused = False
        self._schedule_delivery()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the writer is asked to pause, and to go on."""
        self._high = HIGH_WATER_OCTETS if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return (low, high)."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Return how many octets wait to leave."""
        return len(self._queue)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Queue octets; what fits into the window leaves at once."""
        if self._end_wanted and not self._closing:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._queue += data
        self._push()
        if len(self._queue) > self._high and not self._writer_paused:
            self._writer_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Half-close is possible."""
        return True

    def write_eof(self) -> None:
        """FIN after what is queued."""
        if self._closing or self._end_wanted:
            return
        self._end_wanted = True
        self._push()

    def close(self) -> None:
        """Stop delivering, flush, FIN, be lost."""
        if self._closing:
            return
        self._closing = True
        self._end_wanted = True
        self._push()

    def abort(self) -> None:
        """Reset the connection."""
        if self._gone:
            return
        self._send_reset()
        self._lose(None)

    # Sending.

    def _push(self) -> None:
        """Let leave what the window has room for; then FIN, if it was asked for."""
        if self._gone:
            return
        room = min(len(self._queue), WINDOW_OCTETS - self._in_flight)
        count = self._passage.allowance(room)
        if count > 0:
            octets = bytes(self._queue[:count])
            del self._queue[:count]
            self._in_flight += count
            for piece in self.line.pieces(octets):
                self._depart(piece)
            self._passage.crossed(octets)
        self._after_push()

    def _after_push(self) -> None:
        if self._gone:  # the passage may have cut the connection
            return
        if self._writer_paused and len(self._queue) <= self._low:
            self._writer_paused = False
            self._protocol.resume_writing()
        if self._queue or not self._end_wanted or self._passage.allowance(1) == 0:
            return
        self._finish_sending()

    def _finish_sending(self) -> None:
        if self._closing and self._inbox:
            self._send_reset()  # as kernels do when a program closes without reading all
        elif not self._end_sent:
            self._end_sent = True
            self._depart(None)
            self._passage.ended()
        if self._closing:
            self._lose(None)

    def _send_reset(self) -> None:
        self._depart(ConnectionResetError("Connection reset by peer"))
        self._passage.was_reset()

    def _depart(self, item: bytes | ConnectionResetError | None) -> None:
        """Send one item on its way. One call per item in order of time: they cannot overtake."""
        self._transit.append(item)
        now = self._loop.time()
        self.arrives_at = arrival = self.line.arrival(now, len(item) if isinstance(item, bytes) else 0)
        if arrival > now:
            self._loop.call_at(arrival, self._land)
        else:
            self._loop.call_soon(self._land)

    def _land(self) -> None:
        item = self._transit.popleft()
        if isinstance(item, ConnectionResetError):
            self._peer.break_off(item)
        elif item is None:
            self._peer._end_arrived = True
            self._peer._schedule_delivery()
        else:
            self._peer._arrive(item)

    def cut(self, error: ConnectionResetError | None) -> None:
        """End the connection from between: the peer sees FIN, or the error; this end is reset."""
        self._depart(error)
        self.break_off(ConnectionResetError("Connection reset by peer"))

    # Receiving.

    def _arrive(self, octets: bytes) -> None:
        if self._closing:
            if not self._peer._gone:
                self._send_reset()
            return
        self._inbox += octets
        self._schedule_delivery()

    def _schedule_delivery(self) -> None:
        if self._delivery is None and self._made:
            self._delivery = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Deliver one piece, as an event loop does per turn; then the end."""
        self._delivery = None
        if self._closing or self._reader_paused:
            return
        if self._inbox:
            octets = bytes(self._inbox[: self.split])
            del self._inbox[: self.split]
            self._peer._window_opened(len(octets))
            self._schedule_delivery()
            self._protocol.data_received(octets)
            return
        if self._end_arrived and not self._end_delivered:
            self._end_delivered = True
            if not self._protocol.eof_received():
                self.close()

    def _window_opened(self, count: int) -> None:
        """The peer's program took octets of ours."""
        self._in_flight -= count
        latency = (
            self._peer.line.latency
        )  # the window is told in an acknowledgement, which goes the other way
        if latency > 0:
            self._loop.call_later(latency, self._push)
        else:
            self._loop.call_soon(self._push)

    # Ending.

    def break_off(self, error: ConnectionResetError) -> None:
        """The connection is reset: what was not read is destroyed."""
        if not self._gone:
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        self._gone = True
        self._closing = True
        self._queue.clear()
        self._inbox.clear()
        self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        if self._made:
            self._protocol.connection_lost(error)
