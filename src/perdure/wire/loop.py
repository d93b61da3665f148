"""The asyncio wire: the base class of every connection of the server, the client and the gateway.

A connection subclasses `LoopWire` and defines `data_received(octets)`, so that the event loop
calls it without a hop. The base keeps what is the same for all: addresses, flow control, the
deadline, half-close, the four ways to end, and exactly one `wire_lost`.

    open ──close()──▶ flush, FIN ──▶ lost          the peer reads everything that was written
      ├───linger()──▶ flush, FIN, read and discard ──▶ lost     ... even if it is still sending
      ├────part()───▶ FIN, discard until the peer has it ──▶ lost      when nothing is under way
      └───abort()───▶ RST ──▶ lost                 what was not yet sent is thrown away

The end never waits for ever: while octets wait to be taken, a peer that takes none for
`write_timeout` seconds is reported by `write_stalled` (or aborted, when we are closing).

RFC 9112 §9.6 (tear-down).
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import struct
from collections.abc import Callable, Collection, Iterable
from typing import ClassVar, cast

from perdure.wire.address import Address, address_text, plain_address
from perdure.wire.errors import WireError, lost_error
from perdure.wire.kernel import kernel_queue, round_trip_seconds
from perdure.wire.linger import Breaking, Lingering, Parting, Silent, end_writing
from perdure.wire.sweep import Sweeper

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST (socket(7))."""


class LoopWire(asyncio.Protocol):
    """One connection of an event loop. Subclass it and define `data_received`.

    Usable from `wire_opened()` to `wire_lost()`. Every method may be called at any time after
    that too, and then does nothing.

    Attributes:
        transport: the event loop's transport.
        loop: the event loop.
        now: `loop.time`, bound: monotonic seconds.
        write: hand octets (bytes) to the transport; bound to `transport.write`, so that writing
            costs no hop. After the end it discards.
        peer_address, own_address: (host, port), or a path for a unix socket.
        resolved: every address that the dialled name resolved to; empty for a literal address.
        claimed_address: set before it is opened, where somebody we believe told who the peer is.
        tls: True where the octets travel in TLS. Then there is no half-close: when the peer ends
            its side, the transport closes ours too.
        opened_at: `now()` when the connection came about (for TLS: after the handshake).
        deadline: when to call `deadline_reached`, in `now()` seconds; `math.inf` means never.
            Assigning is all that is needed. At most a sweep's tick late.
        write_timeout: how long a peer may take none of our waiting octets.
        writing_paused: True while the transport holds more than it likes; stop writing.
        reading_paused: True while `pause_reading` is in force.
        end_received_already: True once the peer has ended its side.
        closing: True once `close`, `linger`, `part` or `abort` was called.
        lost: True once `wire_lost` was called.
        truncated: True from `end_received` or `wire_lost` on where TLS ended without close_notify:
            a close-delimited message is incomplete then (RFC 9112 §9.8).
    """

    __slots__ = (
        "__weakref__",
        "_lingering",
        "_stall_since",
        "_stall_unsent",
        "claimed_address",
        "closing",
        "deadline",
        "end_received_already",
        "loop",
        "lost",
        "now",
        "opened_at",
        "own_address",
        "peer_address",
        "reading_paused",
        "resolved",
        "sweeper",
        "tls",
        "transport",
        "truncated",
        "write",
        "write_timeout",
        "writing_paused",
    )

    tcp_keepalive: ClassVar[bool] = False
    """Whether to ask the kernel for keepalive probes (SO_KEEPALIVE)."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    write: Callable[[bytes], None]
    sweeper: Sweeper
    peer_address: Address
    own_address: Address

    def __init__(self, write_timeout: float = 60.0) -> None:
        self.write_timeout = write_timeout
        self.deadline = math.inf
        self.opened_at = math.inf
        self.tls = False
        self.writing_paused = False
        self.reading_paused = False
        self.end_received_already = False
        self.closing = False
        self.lost = False
        self.truncated = False
        self.resolved: Collection[Address] = ()
        self.claimed_address: Address = None
        self.peer_address = None
        self.own_address = None
        self._lingering: Lingering | Parting | Breaking | None = None
        self._stall_since = math.inf
        self._stall_unsent = 0

    # Hooks: what a subclass defines.

    def wire_opened(self) -> None:
        """The connection came about; everything of the wire is usable."""

    def data_received(self, octets: bytes) -> None:
        """Octets arrived. Not called after `close`, `linger`, `part` or `abort`."""
        raise NotImplementedError

    def end_received(self) -> None:
        """The peer ended its side (FIN, close_notify). Ours stays open, except over TLS."""

    def wire_lost(self, error: WireError | None) -> None:
        """The connection is gone; called exactly once, last of all.

        Args:
            error: None when it ended in good order or by our own abort.
        """

    def write_side_full(self) -> None:
        """The transport holds more than it likes (`writing_paused` is True now)."""

    def write_side_drained(self) -> None:
        """The transport takes more again (`writing_paused` is False now)."""

    def deadline_reached(self, now: float) -> None:
        """`deadline` passed; called once per tick until it is moved or the wire is lost."""

    def write_stalled(self, now: float) -> None:
        """The peer took none of our waiting octets for `write_timeout` seconds. Resets, unless overridden."""
        self.abort()

    # What a subclass calls.

    def write_all(self, pieces: Iterable[bytes]) -> None:
        """Hand several pieces to the transport at once."""
        if not self.lost:
            self.transport.writelines(pieces)

    def pause_reading(self) -> None:
        """Ask for no more octets; the peer feels it once the buffers between are full. Idempotent."""
        if self.reading_paused or self.closing or self.lost:
            return
        self.reading_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Ask for octets again. Idempotent."""
        if not self.reading_paused or self.closing or self.lost:
            return
        self.reading_paused = False
        self.transport.resume_reading()

    def half_close(self) -> bool:
        """End our side after what was written (FIN); go on reading.

        Returns:
            False over TLS, where it is impossible: nothing happened.
        """
        if self.lost or self.closing or not self.transport.can_write_eof():
            return False
        end_writing(self.transport)
        self.watch_waiting_octets(self.transport.get_write_buffer_size())
        return True

    def close(self) -> None:
        """Flush, end both sides, be lost. No more octets are delivered.

        If the peer is still sending, the kernel answers it with RST, which may destroy the
        response that it has not read yet: use `linger` then.
        """
        if self.lost:
            return
        if self._lingering is not None:
            self._lingering.stop()
        if not self.closing:
            self.closing = True
            self.deadline = math.inf
            if self.tls:
                # A TLS transport may still deliver while it flushes.
                self.transport.set_protocol(Silent(self))
        if not self.transport.is_closing():  # asyncio's TLS transport breaks if it is closed twice
            self.transport.close()
        self.watch_waiting_octets(self.transport.get_write_buffer_size())

    def abort(self) -> None:
        """Reset the connection (RST); what was written and not yet sent is thrown away."""
        if self.lost:
            return
        if self._lingering is not None:
            self._lingering.stop()
        self.closing = True
        self.deadline = math.inf
        self.sweeper.unwatch(self)
        self._set_option(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def linger(self, octets: int, idle_seconds: float, total_seconds: float) -> None:
        """Close so that the peer can read our last response though it may still be sending.

        Flushes, half-closes, then reads and discards until the peer ends its side, or is silent
        for `idle_seconds`, or has taken `total_seconds` (both counted once everything we wrote
        has gone); then closes. After `octets` discarded it stops reading, which stops the peer,
        and leaves it `idle_seconds` to read the response before closing.

        Over TLS the end can only be said at the very end: a peer that waits for it to learn
        where the response ends waits `idle_seconds`.

        RFC 9112 §9.6.
        """
        if self.lost or self.closing:
            return
        self.closing = True
        self.deadline = math.inf
        if self.end_received_already:
            self.transport.close()
            self.watch_waiting_octets(self.transport.get_write_buffer_size())
            return
        self._lingering = Lingering(self, octets, idle_seconds, total_seconds)
        self._lingering.start()

    def part(self, seconds: float) -> None:
        """Close while nothing is under way: end our side, and be lost as soon as the peer's kernel knows.

        What arrives until then is dropped; nobody is reset who sent before knowing. The peer's own end
        is not awaited. A peer that acknowledges nothing is left after `seconds`.

        RFC 9112 §9.5, §9.6.
        """
        if self.lost or self.closing:
            return
        if self.end_received_already:
            self.close()
            return
        self.closing = True
        self.deadline = math.inf
        self._lingering = Parting(self, seconds)
        self._lingering.start()

    def hurry(self) -> None:
        """Be gone at once, where `part` waits for the peer; otherwise nothing happens."""
        if isinstance(self._lingering, Parting):
            self._lingering.hurry()

    def unsent_octets(self) -> int:
        """How many octets the peer's kernel has not acknowledged (where ours does not tell: not sent)."""
        if self.lost:
            return 0
        return self.transport.get_write_buffer_size() + kernel_queue(self._socket())

    def round_trip_seconds(self) -> float | None:
        """The round-trip time as the kernel knows it; None where there is no telling."""
        return None if self.lost else round_trip_seconds(self._socket())

    @property
    def arriving(self) -> bool:
        """True of a wire that is made and has not opened yet: it may still shake hands."""
        return self.opened_at == math.inf and not self.lost

    @property
    def peer_text(self) -> str:
        """The peer's address in words, for messages."""
        return address_text(self.peer_address)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up and call `wire_opened`. Not for subclasses."""
        self.transport = cast("asyncio.Transport", transport)
        self.loop = loop = asyncio.get_running_loop()
        self.now = loop.time
        self.write = self.transport.write
        information = transport.get_extra_info
        self.peer_address = self.claimed_address or plain_address(information("peername"))
        self.own_address = plain_address(information("sockname"))
        self.tls = information("sslcontext") is not None
        self.opened_at = loop.time()
        if self.tcp_keepalive:
            self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.sweeper = Sweeper.of(loop)
        self.sweeper.add(self)
        self.wire_opened()

    def eof_received(self) -> bool:
        """Call `end_received`; keep our side open where that is possible. Not for subclasses."""
        self.end_received_already = True
        self.truncated = self.tls and self._lacks_close_notify()
        self.end_received()
        return not self.tls

    def connection_lost(self, error: Exception | None) -> None:
        """Clean up and call `wire_lost`. Not for subclasses."""
        if self.lost:
            return
        self.truncated |= self.tls and not self.end_received_already and not self.closing
        self.lost = True
        self.closing = True
        self.write = _discard
        self.sweeper.remove(self)
        self.sweeper.unwatch(self)
        if self._lingering is not None:
            self._lingering.stop()
            self._lingering = None
        self.wire_lost(None if error is None else lost_error(error, self.peer_text))

    def pause_writing(self) -> None:
        """Note it, watch the peer's progress, call `write_side_full`. Not for subclasses."""
        self.writing_paused = True
        self.watch_waiting_octets(self.transport.get_write_buffer_size())
        self.write_side_full()

    def resume_writing(self) -> None:
        """Note it and call `write_side_drained`. Not for subclasses."""
        self.writing_paused = False
        if not self.closing:
            self.sweeper.unwatch(self)
        self.write_side_drained()

    def check_write_progress(self, now: float) -> None:
        """Find out whether the peer takes what waits. Called by the sweeper."""
        unsent = self.unsent_octets()
        if unsent == 0:
            self.sweeper.unwatch(self)
            return
        if unsent < self._stall_unsent:
            self._stall_since = now
        self._stall_unsent = unsent
        if now - self._stall_since < self.write_timeout:
            return
        self._stall_since = now
        if self.closing:
            self.abort()
        else:
            self.write_stalled(now)

    def watch_waiting_octets(self, unsent: int) -> None:
        """Start to measure the peer's progress, if anything waits for the peer. Not for subclasses."""
        if unsent and not self.lost:
            self._stall_unsent = unsent
            self._stall_since = self.loop.time()
            self.sweeper.watch(self)

    def _lacks_close_notify(self) -> bool:
        """Ask TLS whether it ended or was cut off; the event loops do not tell the two apart."""
        try:
            self.transport.get_extra_info("ssl_object").read(1)
        except ssl.SSLWantReadError:
            return True  # it still waits for more
        except ssl.SSLError:
            return False  # shut down on both sides already
        return False

    def _socket(self) -> socket.socket | None:
        return cast("socket.socket | None", self.transport.get_extra_info("socket"))

    def _set_option(self, level: int, option: int, value: int | bytes) -> None:
        """Set a socket option where there is a socket that is still open."""
        own = self._socket()
        if own is None:
            return
        try:
            own.setsockopt(level, option, value)
        except OSError:  # the peer was faster, or a unix socket: the option has no use then
            return


def _discard(octets: bytes) -> None:
    """Stand in for `transport.write` after the end."""
