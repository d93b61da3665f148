"""The wire of threads: a socket with deadlines.

The socket never blocks; the wire waits with poll(2), so that it can wait for both directions at
once (a final response may come while the request is still going out) and so that a deadline
covers a whole call, not each piece of it. One thread uses a wire at a time.

RFC 9112 §9.5 (early responses), §9.6 (tear-down), §9.8 (TLS closure).
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import struct
from collections.abc import Collection

from perdure.wire import clock
from perdure.wire.address import (
    Address,
    address_text,
    addresses_of,
    numeric_family,
    numeric_target,
    plain_address,
)
from perdure.wire.connect import race, shake_hands
from perdure.wire.errors import PeerReset, ReadTimeout, WriteTimeout, connect_error, lost_error
from perdure.wire.kernel import round_trip_seconds
from perdure.wire.nested import NestedTls, nest
from perdure.wire.poll import READ, WRITE, Waiter
from perdure.wire.resolver import look_up, resolve
from perdure.wire.streams import StreamNetwork, StreamWire

__all__ = ["BlockingNetwork", "BlockingWire", "StreamNetwork", "StreamWire"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST (socket(7))."""

_TLS_RECORD_OCTETS = 16384
"""The most content of one TLS record (RFC 8446 §5.1)."""


class BlockingNetwork:
    """Real sockets for threads."""

    def now(self) -> float:
        """Monotonic seconds."""
        return clock.now()

    def dial(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> BlockingWire:
        """Connect to a host.

        Args:
            timeout: seconds for connecting and shaking hands. The system's resolver cannot be
                interrupted; the time it takes counts.
            tls, server_hostname, happy_eyeballs: as `network.LoopNetwork.dial`.

        Raises:
            NameNotFound, ConnectTimeout, TlsFailed, ConnectFailed: nothing was sent.
        """
        deadline = clock.now() + timeout
        where = address_text((host, port))
        try:
            family = numeric_family(host)
            if family is not None and "%" not in host:
                targets = [numeric_target(family, host, port)]
            else:
                targets = look_up(host, port)
            connected = race(targets, happy_eyeballs, deadline)
            if tls is not None:
                connected = shake_hands(connected, tls, server_hostname or host, deadline)
            wire = BlockingWire(connected)
            if family is None:
                wire.resolved = addresses_of(targets)
            return wire
        except (OSError, ssl.SSLError) as error:
            raise connect_error(error, where, timeout) from error

    def resolve(self, host: str, port: int) -> Collection[Address]:
        """Look a name up; see `resolver.resolve`."""
        return resolve(host, port)

    def dial_unix(
        self,
        path: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> BlockingWire:
        """Connect to a unix socket; the rest as `dial`."""
        deadline = clock.now() + timeout
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(None if timeout == math.inf else timeout)
            connected.connect(path)
            if tls is not None:
                connected = shake_hands(connected, tls, server_hostname or "localhost", deadline)
            return BlockingWire(connected)
        except (OSError, ssl.SSLError) as error:
            connected.close()
            raise connect_error(error, address_text(path), timeout) from error


class BlockingWire:
    """A connected socket with deadlines.

    Attributes:
        octets_accepted: octets that the kernel has taken since the beginning (over TLS: octets
            in records that it has taken whole; the peer cannot read a part of a record).
        truncated: True once TLS ended without close_notify: a close-delimited message is
            incomplete then (RFC 9112 §9.8).
        opened_at, peer_address, own_address, tls: as of `loop.LoopWire`.
    """

    __slots__ = (
        "_early",
        "_socket",
        "_waiter",
        "octets_accepted",
        "opened_at",
        "own_address",
        "peer_address",
        "resolved",
        "tls",
        "truncated",
    )

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket: socket.socket | NestedTls = connected
        self._waiter = Waiter(connected.fileno())
        self._early: bytes | None = None  # what `readable` found, not yet received; b"" is the end
        self.octets_accepted = 0
        self.opened_at = clock.now()
        self.tls = isinstance(connected, ssl.SSLSocket)
        self.truncated = False
        self.resolved: Collection[Address] = ()
        self.peer_address: Address = plain_address(connected.getpeername())
        self.own_address: Address = plain_address(connected.getsockname())
        if isinstance(self.peer_address, tuple):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, octets: bytes, deadline: float = math.inf) -> None:
        """Send all of it.

        Raises:
            WriteTimeout: the deadline passed; `octets_accepted` says how far it came.
            PeerReset: the connection is gone. What the peer said before may still be there
                for `receive`.
        """
        rest = memoryview(octets)
        while rest:
            taken = self._try_send(rest)
            if taken:
                rest = rest[taken:]
                continue
            if not self._waiter.wait(WRITE, deadline):
                raise WriteTimeout(f"{self.peer_text}: took no more octets in time, {len(rest)} were left")

    def send_or_receive(self, octets: bytes, deadline: float = math.inf) -> tuple[int, bytes | None]:
        """Send until all is sent, or until something arrives.

        Returns:
            (how many of these octets were taken, what arrived): None where all was sent and
            nothing arrived, b"" where the peer ended its side.

        Raises:
            WriteTimeout: the deadline passed first.
            PeerReset: the connection is gone, and nothing was left to receive.
        """
        rest = memoryview(octets)
        while rest:
            arrived = self._try_receive(65536)
            if arrived is not None:
                return len(octets) - len(rest), arrived
            try:
                taken = self._try_send(rest)
            except PeerReset:
                arrived = self._last_words()
                if arrived:
                    return len(octets) - len(rest), arrived
                raise
            rest = rest[taken:]
            if not taken and not self._waiter.wait(READ | WRITE, deadline):
                raise WriteTimeout(f"{self.peer_text}: took no more octets in time, {len(rest)} were left")
        return len(octets), None

    def receive(self, deadline: float = math.inf, max_octets: int = 65536) -> bytes:
        """Return the next octets; b"" at the peer's end.

        Raises:
            ReadTimeout: the deadline passed; the connection is as it was.
            PeerReset: the connection is gone.
        """
        # Octets seldom wait already, so a plain socket saves the attempt that would fail; TLS may
        # hold octets that poll(2) does not see.
        if not self.tls and self._early is None and not self._waiter.wait(READ, deadline):
            raise ReadTimeout(f"{self.peer_text}: no octet arrived in time")
        while True:
            arrived = self._try_receive(max_octets)
            if arrived is not None:
                return arrived
            nested = self._socket if isinstance(self._socket, NestedTls) else None
            if not self._waiter.wait(nested.waits_for if nested else READ, deadline):
                raise ReadTimeout(f"{self.peer_text}: no octet arrived in time")

    def readable(self) -> bool:
        """Say without waiting whether octets, the end or an error wait: then an idle wire is spent.

        TLS records that carry no octets (session tickets, key updates) are taken in and do not
        count.
        """
        if self._early is not None or self._socket.fileno() < 0:
            return True
        if not self.tls:
            return self._waiter.wait(READ, 0.0)
        try:
            self._early = self._try_receive(65536)
        except PeerReset:
            return True
        return self._early is not None

    def secure(
        self, tls: ssl.SSLContext, server_hostname: str, deadline: float = math.inf, where: str = ""
    ) -> None:
        """Speak TLS from now on: with whoever is at the other end of a tunnel. TLS within TLS is possible.

        Args:
            server_hostname: the name to verify.
            where: whom it is with, for the errors.

        Raises:
            TlsFailed, ConnectTimeout, ConnectFailed: the connection is closed.
        """
        timeout = deadline - clock.now()
        try:
            plain = self._socket
            if self.tls or isinstance(plain, NestedTls):
                self._socket = nest(plain, tls, server_hostname, deadline)
            else:
                self._socket = shake_hands(plain, tls, server_hostname, deadline)
            self._socket.setblocking(False)
        except (OSError, ssl.SSLError) as error:
            self._socket.close()
            raise connect_error(error, where or self.peer_text, timeout) from error
        self.tls = True

    def half_close(self) -> bool:
        """End our side (FIN); False over TLS, where nothing happens."""
        if self.tls:
            return False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        return True

    def close(self) -> None:
        """End both sides; over TLS close_notify goes first, and no answer is waited for. Idempotent."""
        if isinstance(self._socket, ssl.SSLSocket | NestedTls) and self._socket.fileno() >= 0:
            # The socket does not block: this sends our close_notify and then wants the peer's.
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        self._socket.close()

    def abort(self) -> None:
        """Reset the connection (RST). Idempotent."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()

    def detach(self) -> None:
        """Give up our copy of the socket without a word to the peer: for the child after a fork.

        No shutdown, no close_notify: the parent's copy goes on as if nothing had happened.
        """
        descriptor = self._socket.detach()
        if descriptor >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """The file descriptor; -1 once closed."""
        return self._socket.fileno()

    @property
    def own_socket(self) -> socket.socket:
        """The socket itself, for those who look; over TLS an SSLSocket, of TLS within TLS the outer one."""
        return self._socket.outer if isinstance(self._socket, NestedTls) else self._socket

    def round_trip_seconds(self) -> float | None:
        """The round-trip time as the kernel knows it; None where there is no telling."""
        return round_trip_seconds(self.own_socket)

    @property
    def peer_text(self) -> str:
        """The peer's address in words, for messages."""
        return address_text(self.peer_address)

    def _try_send(self, octets: memoryview) -> int:
        """Send what the kernel takes now; 0 where it takes nothing."""
        if self.tls:
            # One record: OpenSSL would send many and count none until it has sent the last.
            octets = octets[:_TLS_RECORD_OCTETS]
        try:
            taken = self._socket.send(octets)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            raise lost_error(error, self.peer_text) from error
        self.octets_accepted += taken
        return taken

    def _try_receive(self, max_octets: int) -> bytes | None:
        """Receive what is there now; None where nothing is."""
        early = self._early
        if early is not None:
            if early:  # the end stays the end
                self._early = early[max_octets:] or None
            return early[:max_octets]
        try:
            return self._socket.recv(max_octets)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            self.truncated = isinstance(error, ssl.SSLEOFError)
            return b""
        except OSError as error:
            raise lost_error(error, self.peer_text) from error

    def _last_words(self) -> bytes | None:
        """Receive what the peer said before the connection went; None where nothing is left."""
        try:
            return self._try_receive(65536)
        except PeerReset:
            return None
