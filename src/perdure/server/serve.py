"""Bind, serve, drain: an origin server in a program, or as a program.

    async with Server(application, bind="127.0.0.1:0") as server:
        print(server.urls)

RFC 9112 §9.6 (a drain announces every close).
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

from perdure.core import Error, Reason
from perdure.server.asgi import Application, AsgiConnection
from perdure.server.lifespan import Lifespan
from perdure.server.proxied import HeaderWire, Senders
from perdure.server.registry import Registry
from perdure.server.settings import ApplicationSettings, ServerSettings
from perdure.wire.bind import BoundSocket
from perdure.wire.descriptors import descriptor_limit
from perdure.wire.loop import LoopWire
from perdure.wire.network import Listener, LoopNetwork, Network
from perdure.wire.tls import renew_chain, server_context

ARRIVING_LOOK_SECONDS: Final = 0.01
"""How often to look whether a handshake is over: of one that failed nobody is told."""


class ListeningServer:
    """What a server, a gateway and a proxy have in common: addresses, a registry, an end."""

    def __init__(
        self,
        settings: ServerSettings,
        bind: str | Sequence[str],
        *,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        network: Network | None = None,
        sockets: Sequence[BoundSocket] | None = None,
    ) -> None:
        self.settings = settings
        self.registry = Registry(settings)
        self._binds = [bind] if isinstance(bind, str) else list(bind)
        self._tls_files = (tls_cert, tls_key)
        self._tls = server_context(tls_cert, tls_key) if tls_cert is not None else None
        self._network = network or LoopNetwork()
        self._sockets = sockets
        self._listeners: list[Listener] = []
        self._arriving: weakref.WeakKeyDictionary[LoopWire, float] = weakref.WeakKeyDictionary()

    def make_connection(self) -> LoopWire:
        """Make the wire of one accepted connection."""
        raise NotImplementedError

    def adopt(self, successor: ListeningServer) -> bool:
        """Become what a successor would be that has not been started, and keep every connection.

        Returns:
            False where that is impossible: then the successor is to be started, and this one closed.
        """
        return False

    def _adopt_settings(self, successor: ListeningServer) -> bool:
        """The part of `adopt` that all have in common; False, and nothing has changed, if it cannot be."""
        certificate, key = successor._tls_files
        if successor.settings.proxy_protocol != self.settings.proxy_protocol:
            return False
        if (certificate is None) is not (self._tls is None):
            return False
        if self._tls is not None and certificate is not None:
            renew_chain(self._tls, certificate, key)
        self.settings = successor.settings
        successor.registry.fit_descriptors(descriptor_limit())
        self.registry.adopt(successor.registry)
        return True

    def abandon(self) -> None:
        """Release what a server has that will never be started."""
        for bound in self._sockets or ():
            bound.close()
        if self.registry.access_log is not None:
            self.registry.access_log.close()

    @property
    def urls(self) -> list[str]:
        """Where it listens, such as ["http://127.0.0.1:8000"]; [] before it has started."""
        scheme = "http" if self._tls is None else "https"
        return [url for listener in self._listeners for url in listener.urls(scheme)]

    async def start(self) -> None:
        """Listen.

        Raises:
            BindFailed, AddressInUse: from `wire.errors`; nothing is left open.
        """
        factory = self._factory()
        self.registry.fit_descriptors(descriptor_limit())
        try:
            if self._sockets is not None:
                self._listeners.append(await self._network.listen_on(factory, self._sockets, tls=self._tls))
                return
            for bind in self._binds:
                self._listeners.append(await self._network.listen(factory, bind, tls=self._tls))
        except BaseException:
            self.stop_listening()
            raise

    def _factory(self) -> Callable[[], LoopWire]:
        """What makes the wire of an accepted connection; one that reads who the client is, if asked to."""
        listed = self.settings.proxy_protocol
        if not listed:
            return self.make_connection if self._tls is None else self._noted(self.make_connection)
        if self._tls is not None:
            raise Error("proxy_protocol: the header comes before TLS, where it cannot be read yet")
        senders, seconds = Senders(listed), self.settings.head_timeout
        return self._noted(lambda: HeaderWire(self.make_connection, senders, seconds))

    def _noted(self, make: Callable[[], LoopWire]) -> Callable[[], LoopWire]:
        """Note each wire that something comes before: the registry does not know it yet."""

        def make_and_note() -> LoopWire:
            wire = make()
            self._arriving[wire] = asyncio.get_running_loop().time()
            return wire

        return make_and_note

    async def _wait_arrived(self) -> None:
        """Wait until who was accepted is the registry's, or gone, or has had as long as an idle one."""
        now = asyncio.get_running_loop().time
        seconds = self.settings.drain_grace
        if self._arriving:
            gc.collect()  # of a handshake that failed nobody tells, and what is left of it refers to itself
        while any(wire.arriving and now() < at + seconds for wire, at in self._arriving.items()):  # noqa: ASYNC110
            await asyncio.sleep(ARRIVING_LOOK_SECONDS)

    def stop_listening(self) -> None:
        """Accept no more connections; those that are open live on."""
        for listener in self._listeners:
            listener.close()

    async def drain(self) -> None:
        """End every connection in good order (`Registry.begin_drain`), those that wait to be accepted too."""
        self.registry.begin_drain()
        await asyncio.gather(*(listener.finish() for listener in self._listeners))
        self.stop_listening()
        await self._wait_arrived()
        await self.registry.drain()

    async def close(self) -> None:
        """Drain, then release everything."""
        try:
            await self.drain()
        finally:
            self.registry.end_all(Reason.DRAIN_TIMEOUT)  # nothing is left, unless we were cancelled
            for listener in self._listeners:
                await listener.wait_closed()
            if self.registry.access_log is not None:
                self.registry.access_log.close()

    async def __aenter__(self) -> Any:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Server(ListeningServer):
    """An origin server for an ASGI application.

    Args:
        application: ASGI 3.
        bind: "HOST:PORT" (port 0: any free one) or "unix:PATH", or several.
        settings: every name of `ApplicationSettings`, such as idle_timeout=30.0 (seconds).

    Raises:
        TypeError: the application cannot be called; `perdure serve` takes names of applications.
        BindFailed, AddressInUse: on entering; StartupFailed if the application says so.
    """

    def __init__(
        self,
        application: Application,
        bind: str | Sequence[str] = "127.0.0.1:8000",
        *,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        network: Network | None = None,
        sockets: Sequence[BoundSocket] | None = None,
        **settings: Any,
    ) -> None:
        if not callable(application):
            raise TypeError(f"application: an ASGI application expected, got {application!r:.60}")
        super().__init__(
            ApplicationSettings(**settings),
            bind,
            tls_cert=tls_cert,
            tls_key=tls_key,
            network=network,
            sockets=sockets,
        )
        self._application = application
        self._lifespan = Lifespan(application)
        self._state: dict[str, Any] | None = None

    def make_connection(self) -> AsgiConnection:
        """Make the wire of one accepted connection."""
        return AsgiConnection(self.registry, self._application, self._state)

    async def start(self) -> None:
        """Start the application, then listen."""
        await self._lifespan.start()
        if self._lifespan.supported:
            self._state = self._lifespan.state
        try:
            await super().start()
        except BaseException:
            await self._lifespan.stop()
            raise

    async def close(self) -> None:
        """Drain, release everything, then let the application shut down."""
        try:
            await super().close()
        finally:
            await self._lifespan.stop()
