"""What the wires of threads share, over sockets and in memory: the shape of a connection and of a network."""

from __future__ import annotations

import math
import ssl
from collections.abc import Collection
from typing import Protocol

from perdure.wire.address import Address


class StreamWire(Protocol):
    """What `BlockingWire` and `scripted.ScriptedWire` share. Deadlines are in `network.now()` seconds.

    Attributes:
        octets_accepted: how many octets the kernel has taken since the beginning, handed out or
            not: 0 means the peer cannot have seen anything.
        resolved: every address that the dialled name resolved to; empty for a literal address.
    """

    octets_accepted: int
    opened_at: float
    peer_address: Address
    own_address: Address
    resolved: Collection[Address]
    tls: bool
    truncated: bool

    def send(self, octets: bytes, deadline: float = math.inf) -> None:
        """Send all of it. Raises WriteTimeout, PeerReset; `octets_accepted` says how far it came."""

    def send_or_receive(self, octets: bytes, deadline: float = math.inf) -> tuple[int, bytes | None]:
        """Send until all is sent or something arrives. Returns (octets taken, what arrived or None)."""

    def receive(self, deadline: float = math.inf, max_octets: int = 65536) -> bytes:
        """Return the next octets, b"" at the peer's end. Raises ReadTimeout, PeerReset."""

    def readable(self) -> bool:
        """Say without waiting whether octets, the end or an error wait: then an idle wire is spent."""

    def secure(
        self, tls: ssl.SSLContext, server_hostname: str, deadline: float = math.inf, where: str = ""
    ) -> None:
        """Speak TLS from now on. Raises ConnectFailed and its kinds; the connection is closed then."""

    def half_close(self) -> bool:
        """End our side; False over TLS, where nothing happens."""

    def close(self) -> None:
        """End both sides (TLS: close_notify first)."""

    def abort(self) -> None:
        """Reset the connection."""

    def detach(self) -> None:
        """Give up our copy of the socket without a word to the peer: for the child after a fork."""

    def fileno(self) -> int:
        """The file descriptor; -1 when there is none."""

    def round_trip_seconds(self) -> float | None:
        """The round-trip time as the kernel knows it; None where there is no telling."""


class StreamNetwork(Protocol):
    """What `BlockingNetwork` and `scripted.ScriptedNetwork` share."""

    def now(self) -> float:
        """Monotonic seconds (virtual ones in memory)."""

    def dial(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> StreamWire:
        """Connect. Raises ConnectFailed and its kinds."""

    def resolve(self, host: str, port: int) -> Collection[Address]:
        """Look a name up; nothing for a literal address. Raises NameNotFound and its kin."""

    def dial_unix(
        self,
        path: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> StreamWire:
        """Connect to a unix socket. Raises ConnectFailed and its kinds."""
