"""Dial and listen on real sockets; choose and run the event loop.

`Network` is what the rooms above ask for; `LoopNetwork` gives it over real sockets,
`memory.MemoryNetwork` in memory. Dialling a name tries its addresses in the order and with the
delay of happy eyeballs, written here because uvloop has none; a literal address takes the event
loop's own short path (no thread for the resolver).

RFC 8305 (happy eyeballs).
"""

from __future__ import annotations

import asyncio
import copy
import math
import socket
import ssl
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from perdure.wire.accepting import count_accept_failures
from perdure.wire.address import Address, address_text, addresses_of, numeric_family
from perdure.wire.bind import bind_sockets, release_sockets
from perdure.wire.errors import AddressProhibited, bind_error, connect_error
from perdure.wire.happy import race
from perdure.wire.listening import SocketListener
from perdure.wire.loop import LoopWire
from perdure.wire.resolver import look_up_on_loop, resolve_on_loop

_fast_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop

    _fast_loop = uvloop.new_event_loop
except ImportError:  # it is not made for every platform, and not needed
    _fast_loop = asyncio.new_event_loop

W = TypeVar("W", bound=LoopWire)
T = TypeVar("T")
Permits: TypeAlias = Callable[[str, str], bool]
"""Whether an address may be dialled for a host: (the host as it was asked for, a numeric address of it)."""

TLS_HANDSHAKE_SECONDS = 30.0
"""How long an accepted connection may take to shake hands; a dialled one has its own timeout."""
ACCEPTED_AT_ONCE = 32
"""Connections accepted in one turn of the standard loop, which takes its backlog for that number.

Without descriptors it tries as often, and reports each try (`accepting`).
"""
TLS_SHUTDOWN_SECONDS = 5.0
"""How long to wait for the peer's close_notify after ours; many peers never send one."""


class Listener(Protocol):
    """What `listen` returns."""

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens, ports resolved."""

    def urls(self, scheme: str) -> list[str]:
        """The addresses as URLs, such as "http://127.0.0.1:8000" or "http+unix:PATH"."""

    async def finish(self) -> None:
        """Accept whoever waits, for a few seconds at most; nobody new, if the addresses are its own."""

    def close(self) -> None:
        """Accept no more; connections that came about live on. Removes the unix socket file."""

    async def wait_closed(self) -> None:
        """Wait until the addresses are free again; not for the connections."""


class Network(Protocol):
    """What `LoopNetwork` and `memory.MemoryNetwork` share. Errors are those of `wire.errors`."""

    def now(self) -> float:
        """Monotonic seconds of the running loop."""

    def guarded(self, permits: Permits) -> Network:
        """The same network, on which `dial` connects to permitted addresses only."""

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

    async def resolve(self, host: str, port: int) -> Collection[Address]:
        """Look a name up; nothing for a literal address. Raises NameNotFound and its kin."""

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


class LoopNetwork:
    """Real sockets on the running event loop, asyncio's or uvloop's."""

    _permits: Permits | None = None

    def guarded(self, permits: Permits) -> LoopNetwork:
        """As `Network.guarded`.

        The very addresses that were judged are dialled: a name that answers otherwise the next time
        (DNS rebinding) gains nothing.
        """
        network = copy.copy(self)
        network._permits = permits
        return network

    def now(self) -> float:
        """Monotonic seconds of the running loop."""
        return asyncio.get_running_loop().time()

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
        """Connect to a host.

        Args:
            factory: makes the wire.
            timeout: seconds for everything: resolving, connecting, shaking hands.
            tls: the context to speak TLS with.
            server_hostname: the name to verify; the host unless said otherwise.
            happy_eyeballs: seconds before the next address is tried beside the last.

        Returns:
            The wire, after its `wire_opened`.

        Raises:
            NameNotFound, AddressProhibited, ConnectTimeout, TlsFailed, ConnectFailed: nothing was sent.
        """
        name = (server_hostname or host) if tls is not None else None
        where = address_text((host, port))
        try:
            async with asyncio.timeout(None if timeout == math.inf else timeout):
                if numeric_family(host) is not None:
                    self._permitted(host, port, [host])
                    return await _open_at(factory, host, port, tls, name)
                targets = await look_up_on_loop(host, port)
                permitted = self._permitted(host, port, [target.address[0] for target in targets])
                targets = [target for target in targets if target.address[0] in permitted]
                wire = await _open_on(factory, await race(targets, happy_eyeballs), tls, name)
                wire.resolved = addresses_of(targets)
                return wire
        except (OSError, ssl.SSLError) as error:
            raise connect_error(error, where, timeout) from error

    def _permitted(self, host: str, port: int, addresses: Sequence[str]) -> Collection[str]:
        """Those that may be dialled. Raises AddressProhibited where none may."""
        return addresses if self._permits is None else permitted(self._permits, host, port, addresses)

    async def resolve(self, host: str, port: int) -> Collection[Address]:
        """Look a name up; see `resolver.resolve`."""
        return await resolve_on_loop(host, port)

    async def dial_unix(
        self,
        factory: Callable[[], W],
        path: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> W:
        """Connect to a unix socket; the rest as `dial`."""
        name = (server_hostname or "localhost") if tls is not None else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None if timeout == math.inf else timeout):
                _, wire = await loop.create_unix_connection(factory, path, ssl=tls, server_hostname=name)
                return wire
        except (OSError, ssl.SSLError) as error:
            raise connect_error(error, address_text(path), timeout) from error

    async def listen(
        self,
        factory: Callable[[], LoopWire],
        bind: str,
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
        reuse_port: bool = False,
    ) -> SocketListener:
        """Listen on "HOST:PORT" (port 0: any free one), ":PORT" (every address) or "unix:PATH".

        Raises:
            AddressInUse, BindFailed: nothing is bound.
            ValueError: `bind` is none of the forms.
        """
        sockets = bind_sockets(bind, reuse_port=reuse_port)
        try:
            listener = await self.listen_on(factory, sockets, tls=tls, backlog=backlog)
        except OSError as error:  # EADDRINUSE may come only now, from listen(2)
            release_sockets(sockets)
            raise bind_error(error, bind) from error
        listener.owned = True
        return listener

    async def listen_on(
        self,
        factory: Callable[[], LoopWire],
        sockets: Sequence[socket.socket],
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
    ) -> SocketListener:
        """Listen on sockets that are bound already, such as inherited ones.

        Closing the listener closes this process's copies and leaves a unix socket's file alone.
        """
        loop = asyncio.get_running_loop()
        count_accept_failures(loop)
        listener = SocketListener(sockets)
        for bound in sockets:
            if bound.family != getattr(
                socket, "AF_UNIX", None
            ):  # what is accepted inherits it: 3 µs less for each connection
                bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = await loop.create_server(
                factory,
                sock=bound,
                backlog=ACCEPTED_AT_ONCE,
                ssl=tls,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS if tls is not None else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if tls is not None else None,
            )
            bound.listen(backlog)  # the kernel's queue is as long as was asked for
            listener.servers.append(server)
        return listener


def permitted(permits: Permits, host: str, port: int, addresses: Sequence[str]) -> Collection[str]:
    """The addresses of a host that may be dialled.

    Raises:
        AddressProhibited: there are some, and none may.
    """
    good = [address for address in addresses if permits(host, address)]
    if addresses and not good:
        found = "" if host in addresses else f", which {address_text((host, port))} resolves to"
        raise AddressProhibited(f"{address_text((addresses[0], port))}{found}: dialling it is prohibited")
    return good


async def _open_at(
    factory: Callable[[], W], host: str, port: int, tls: ssl.SSLContext | None, server_hostname: str | None
) -> W:
    """Connect to a literal address by the event loop's own short path."""
    _, wire = await asyncio.get_running_loop().create_connection(
        factory,
        host,
        port,
        ssl=tls,
        server_hostname=server_hostname,
        ssl_shutdown_timeout=None if tls is None else TLS_SHUTDOWN_SECONDS,
    )
    return wire


async def _open_on(
    factory: Callable[[], W],
    connected: socket.socket,
    tls: ssl.SSLContext | None,
    server_hostname: str | None,
) -> W:
    """Put a wire on a connected socket, which is closed if that fails."""
    try:
        _, wire = await asyncio.get_running_loop().create_connection(
            factory,
            sock=connected,
            ssl=tls,
            server_hostname=server_hostname,
            ssl_shutdown_timeout=None if tls is None else TLS_SHUTDOWN_SECONDS,
        )
    except BaseException:
        connected.close()
        raise
    return wire


def new_event_loop(prefer_uvloop: bool = True) -> asyncio.AbstractEventLoop:
    """Return a new uvloop where it is installed and wanted, else the standard loop."""
    return _fast_loop() if prefer_uvloop else asyncio.new_event_loop()


def run(main: Coroutine[Any, Any, T], prefer_uvloop: bool = True) -> T:
    """Run a coroutine to its end on a new event loop, then cancel what is left and close the loop."""
    with asyncio.Runner(loop_factory=lambda: new_event_loop(prefer_uvloop)) as runner:
        return runner.run(main)
