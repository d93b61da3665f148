"""Dial and listen on real sockets; choose and run the event loop. (Signatures first; code follows.)"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from perdure.wire.address import Address
from perdure.wire.loop import LoopWire

W = TypeVar("W", bound=LoopWire)
T = TypeVar("T")


class Listener(Protocol):
    """What `listen` returns."""

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens, ports resolved."""

    def urls(self, scheme: str) -> list[str]:
        """The addresses as URLs, such as "http://127.0.0.1:8000" or "http+unix:PATH"."""

    def close(self) -> None:
        """Accept no more; connections that came about live on. Removes the unix socket file."""

    async def wait_closed(self) -> None:
        """Wait until the addresses are free again; not for the connections."""


class Network(Protocol):
    """What `LoopNetwork` and `memory.MemoryNetwork` share. Errors are those of `wire.errors`."""

    async def dial(
        self,
        factory: Callable[[], W],
        host: str,
        port: int,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> W:
        """Connect; returns the wire after its `wire_opened`. Raises ConnectFailed and its kinds."""

    async def dial_unix(
        self,
        factory: Callable[[], W],
        path: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> W:
        """Connect to a unix socket. Raises ConnectFailed and its kinds."""

    async def listen(
        self,
        factory: Callable[[], LoopWire],
        bind: str,
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
        reuse_port: bool = False,
    ) -> Listener:
        """Listen on "HOST:PORT" (port 0: any free one) or "unix:PATH". Raises BindFailed, AddressInUse."""

    async def listen_on(
        self,
        factory: Callable[[], LoopWire],
        sockets: Sequence[socket.socket],
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
    ) -> Listener:
        """Listen on inherited sockets, bound already."""


def new_event_loop(prefer_uvloop: bool = True) -> asyncio.AbstractEventLoop:
    """Return a new uvloop where it is installed and wanted, else the standard loop."""
    raise NotImplementedError


def run(main: Coroutine[Any, Any, T], prefer_uvloop: bool = True) -> T:
    """Run a coroutine to its end on a new event loop."""
    raise NotImplementedError


def bind_sockets(bind: str, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bind (not yet listening) sockets, for workers that inherit them. Raises BindFailed, AddressInUse."""
    raise NotImplementedError
