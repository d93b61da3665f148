"""One connection, two wires, one after the other: who asked a proxy for a tunnel makes room for who uses it.

    asking wire ──the tunnel is open──▶ hand_over         ▶ another wire, same octets
                                    └─▶ hand_over_in_tls  ▶ another wire, TLS inside the tunnel

Both event loops can put TLS on a connection that is in use, TLS within TLS included. The first octets
of the other side may come before the new wire is there; they are kept for it.

RFC 9110 §9.3.6 (CONNECT), §4.3.4 (certificate verification).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from perdure.wire.errors import connect_error
from perdure.wire.loop import LoopWire
from perdure.wire.network import TLS_SHUTDOWN_SECONDS

W = TypeVar("W", bound=LoopWire)


class Early(asyncio.Protocol):
    """Stands in the new wire's place until it is there; keeps what came meanwhile."""

    def __init__(self) -> None:
        self._octets = b""
        self._ended = False
        self._lost = False
        self._error: Exception | None = None

    def data_received(self, octets: bytes) -> None:
        """Keep them."""
        self._octets += octets

    def eof_received(self) -> None:
        """Keep the news."""
        self._ended = True

    def connection_lost(self, error: Exception | None) -> None:
        """Keep the news."""
        self._lost, self._error = True, error

    def deliver(self, wire: LoopWire) -> None:
        """Tell the new wire everything."""
        if self._octets:
            wire.data_received(self._octets)
        if self._ended:
            wire.eof_received()
        if self._lost:
            wire.connection_lost(self._error)


def hand_over(wire: LoopWire, factory: Callable[[], W]) -> W:
    """Put another wire on the connection of one that has done its part, which then does nothing more."""
    transport = wire.transport
    wire.resume_reading()
    _retire(wire)
    following = factory()
    # The transport says neither of these twice.
    following.writing_paused = wire.writing_paused
    following.end_received_already = wire.end_received_already
    transport.set_protocol(following)
    following.connection_made(transport)
    return following


async def hand_over_in_tls(
    wire: LoopWire,
    factory: Callable[[], W],
    tls: ssl.SSLContext,
    server_hostname: str,
    timeout: float,
    where: str,
) -> W:
    """As `hand_over`, after a TLS handshake on that connection.

    Args:
        server_hostname: the name to verify.
        timeout: seconds for the handshake.
        where: whom it is with, for the errors.

    Raises:
        TlsFailed, ConnectFailed: the connection is closed.
    """
    transport, loop = wire.transport, wire.loop
    _retire(wire)
    early = Early()
    try:
        secured = await loop.start_tls(
            transport,
            early,
            tls,
            server_hostname=server_hostname,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
        )
    except (OSError, ssl.SSLError) as error:
        transport.close()
        raise connect_error(error, where, timeout) from error
    except BaseException:
        transport.abort()
        raise
    if secured is None:  # the other side left in the middle of it, and neither event loop calls that an error
        raise connect_error(ConnectionResetError("the peer ended the connection"), where)
    following = factory()
    secured.set_protocol(following)
    following.connection_made(secured)
    early.deliver(following)
    return following


def _retire(wire: LoopWire) -> None:
    """Let nothing that the old wire still hears of reach the connection."""
    wire.sweeper.remove(wire)
    wire.sweeper.unwatch(wire)
    wire.closing = wire.lost = True
