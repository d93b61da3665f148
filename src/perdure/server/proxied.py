"""Connections that begin with a PROXY protocol header, from load balancers that are listed.

    HeaderWire ──header complete──▶ the connection proper, with the client's address
        └── from an address that is not listed: handed over at once, as it is

A listed sender must send the header, others must not: whoever may send one may claim any address.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from perdure.core import Error, RemoteViolation
from perdure.core.proxy_protocol import parse
from perdure.wire.address import Address
from perdure.wire.loop import LoopWire

logger = logging.getLogger("perdure.server")

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
UNIX: Final = "unix"
"""Stands in a list for every peer of a unix socket."""


class Senders:
    """Who is listed: who sends the header, or whose word is taken.

    Args:
        listed: addresses and networks, such as "10.0.0.0/8", or "unix".
        setting: what the list is called.

    Raises:
        Error: one of them is neither.
    """

    __slots__ = ("_networks", "_unix")

    def __init__(self, listed: Sequence[str], setting: str = "proxy_protocol") -> None:
        self._unix = UNIX in listed
        self._networks = [_network(text, setting) for text in listed if text != UNIX]

    def include(self, address: Address) -> bool:
        """True if a peer at this address is listed."""
        if not self._networks:
            return self._unix and not isinstance(address, tuple)
        if not isinstance(address, tuple):
            return self._unix
        host = ipaddress.ip_address(address[0].partition("%")[0])
        return any(host in network for network in self._networks)


def _network(text: str, setting: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Error(f"{setting}: an address, a network or unix expected, got {text!r}") from None


class HeaderWire(LoopWire):
    """Reads the header, then gives way to the connection proper.

    Args:
        make: makes the connection proper.
        senders: who sends the header.
        seconds: how long the header may take.
    """

    __slots__ = ("_gave_way", "_make", "_received", "_seconds", "_senders")

    def __init__(self, make: Callable[[], LoopWire], senders: Senders, seconds: float) -> None:
        super().__init__()
        self._make = make
        self._senders = senders
        self._seconds = seconds
        self._received = b""
        self._gave_way = False

    @property
    def arriving(self) -> bool:
        """True until the connection proper has taken its place."""
        return not self._gave_way and not self.lost

    def wire_opened(self) -> None:
        """Await the header, if this peer sends one."""
        if self._senders.include(self.peer_address):
            self.deadline = self.opened_at + self._seconds
        else:
            self._give_way(None, b"")

    def data_received(self, octets: bytes) -> None:
        """Collect the header."""
        self._received += octets
        try:
            header = parse(self._received)
        except RemoteViolation as violation:
            logger.warning("%s: %s", self.peer_text, str(violation))
            self.abort()
            return
        if header is not None:
            self._give_way(header.source, self._received[header.octets :])

    def end_received(self) -> None:
        """It ended before its header: nothing was asked."""
        self.close()

    def deadline_reached(self, now: float) -> None:
        """The header took too long."""
        logger.warning("%s: no PROXY protocol header within %g s", self.peer_text, self._seconds)
        self.abort()

    def _give_way(self, client: Address, octets: bytes) -> None:
        self._gave_way = True
        wire = self._make()
        wire.claimed_address = client
        self.sweeper.remove(self)
        self.transport.set_protocol(wire)
        wire.connection_made(self.transport)
        if octets:
            wire.data_received(octets)
