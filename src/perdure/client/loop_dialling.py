"""Connecting to an origin on an event loop: what the pool asks for when no connection is free.

    no proxy                 dial the origin                                  [TLS]
    http origin, proxy       dial the proxy, which reads the requests
    https origin, proxy      dial the proxy, CONNECT, then as to the origin   [TLS]
    preamble                 dial the origin, say it                          [TLS]

The proxy itself may be spoken to in TLS, whatever travels inside. `connect_timeout` is for everything.

RFC 9110 §7.3 (routing a request), §9.3.6 (CONNECT).
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from perdure.client.errors import ConnectError, ConnectTimeout, ExchangeError, connect_failure
from perdure.client.loop_preamble import PreambleWire
from perdure.client.loop_tunnel import TunnelWire
from perdure.client.pooled_wire import PooledWire
from perdure.client.requests import USER_AGENT
from perdure.client.settings import ClientSettings
from perdure.client.tunnel import TunnelOpening
from perdure.client.urls import Origin
from perdure.core.pool import Private
from perdure.wire.address import Address
from perdure.wire.errors import WireError
from perdure.wire.handover import hand_over, hand_over_in_tls
from perdure.wire.loop import LoopWire
from perdure.wire.network import Network
from perdure.wire.tls import TlsContext

W = TypeVar("W", bound=PooledWire)
V = TypeVar("V", bound=LoopWire)
Asking = TypeVar("Asking", bound=LoopWire)


class LoopDialler(Generic[V]):
    """Makes connections, ready for their first request.

    Attributes:
        tls: the context for https origins and proxies; may be set later, before the first of them.
    """

    def __init__(
        self,
        settings: ClientSettings,
        network: Network,
        factory: Callable[[Origin], V],
        tls: TlsContext | None = None,
    ) -> None:
        """Dial nothing yet.

        Args:
            factory: makes the wire of a connection to an origin.
            tls: the context for https origins and proxies; without one they are refused.
        """
        self.tls = tls
        self._settings = settings
        self._network = network
        self._factory = factory

    async def dial(self, origin: Any) -> V:
        """Connect to an origin within `connect_timeout`.

        Raises:
            ExchangeError: whatever went wrong; nothing was sent and nothing is open.
        """
        preamble = b""
        if isinstance(origin, Private):
            origin, preamble = origin.origin, origin.preamble
        try:
            return await self._connect(origin, preamble)
        except WireError as error:
            raise connect_failure(error, origin if origin.proxy else None) from error
        except ExchangeError:
            raise
        except Exception as error:  # whatever it was, nobody must wait for ever
            raise ConnectError(f"{origin}: {error}") from error

    async def resolve(self, origin: Any) -> Collection[Address]:
        """Look up the name that `dial` connects to; nothing where there is none, or no answer."""
        if origin.unix_path:
            return ()
        try:
            where = origin.proxy or origin
            return await self._network.resolve(where.host, where.port)
        except WireError:
            return ()

    async def _connect(self, origin: Any, preamble: bytes) -> V:
        make = functools.partial(self._factory, origin)
        if preamble:
            return await self._dial_behind(preamble, origin, make)
        if origin.proxy is not None:
            if origin.asks_proxy:
                return await self._dial_proxy(origin, make)
            return await self._dial_through(origin, make)
        return await self._dial_directly(origin, make, self._context(origin, origin.scheme))

    async def _dial_directly(self, origin: Any, make: Callable[[], Asking], tls: TlsContext | None) -> Asking:
        settings = self._settings
        if origin.unix_path:
            return await self._network.dial_unix(
                make,
                origin.unix_path,
                timeout=settings.connect_timeout,
                tls=tls,
                server_hostname=origin.identity or origin.host,
            )
        return await self._network.dial(
            make,
            origin.host,
            origin.port,
            timeout=settings.connect_timeout,
            tls=tls,
            server_hostname=origin.identity or None,
            happy_eyeballs=settings.happy_eyeballs,
        )

    def _context(self, origin: Any, scheme: str) -> TlsContext | None:
        if scheme != "https":
            return None
        if self.tls is None:
            raise ConnectError(f"{origin}: TLS was not configured")
        return self.tls

    async def _dial_proxy(self, origin: Any, make: Callable[[], Asking]) -> Asking:
        proxy, settings = origin.proxy, self._settings
        return await self._network.dial(
            make,
            proxy.host,
            proxy.port,
            timeout=settings.connect_timeout,
            tls=self._context(origin, proxy.scheme),
            happy_eyeballs=settings.happy_eyeballs,
        )

    async def _dial_behind(self, preamble: bytes, origin: Any, make: Callable[[], V]) -> V:
        """Connect, and say something before everything else; TLS begins behind it."""
        limit = self._settings.connect_timeout
        tls = self._context(origin, origin.scheme)
        saying: PreambleWire | None = None
        try:
            async with asyncio.timeout(None if limit == math.inf else limit):
                saying = await self._dial_directly(origin, functools.partial(PreambleWire, preamble), None)
                if tls is None:
                    wire = hand_over(saying, make)
                else:
                    name = origin.identity or origin.host
                    wire = await hand_over_in_tls(saying, make, tls, name, limit, origin.authority)
                wire.resolved = saying.resolved
                return wire
        except TimeoutError:
            raise ConnectTimeout(f"{origin}: no connection within {limit:g} s") from None
        finally:
            if saying is not None:
                saying.abort()  # without effect on what was handed over

    async def _dial_through(self, origin: Any, make: Callable[[], V]) -> V:
        """Connect to an origin through a tunnel."""
        settings = self._settings
        limit = settings.connect_timeout
        tls = self._context(origin, origin.scheme)
        opening = TunnelOpening(origin, settings.limits(), USER_AGENT)
        asking: TunnelWire | None = None
        try:
            async with asyncio.timeout(None if limit == math.inf else limit):
                asking = await self._dial_proxy(origin, functools.partial(TunnelWire, opening))
                await asking.answered
                if tls is None:
                    return hand_over(asking, make)
                name = origin.identity or origin.host
                return await hand_over_in_tls(asking, make, tls, name, limit, origin.authority)
        except TimeoutError:
            if opening.refused:  # its page did not come to an end in time
                opening.receive_end()
            raise ConnectTimeout(f"{origin}: no tunnel within {limit:g} s") from None
        finally:
            if asking is not None:
                asking.abort()  # without effect on what was handed over
