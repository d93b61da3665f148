"""Connecting to an origin on an event loop: what the pool asks for when no connection is free.

RFC 9110 §7.3 (routing a request).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from perdure.client.errors import ConnectError, ExchangeError, connect_failure
from perdure.client.pooled_wire import PooledWire
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.wire.address import Address
from perdure.wire.errors import WireError
from perdure.wire.network import Network
from perdure.wire.tls import TlsContext

W = TypeVar("W", bound=PooledWire)


class LoopDialler(Generic[W]):
    """Makes connections, ready for their first request.

    Attributes:
        tls: the context for https origins; may be set later, before the first of them.
    """

    def __init__(
        self,
        settings: ClientSettings,
        network: Network,
        factory: Callable[[Origin], W],
        tls: TlsContext | None = None,
    ) -> None:
        """Dial nothing yet.

        Args:
            factory: makes the wire of a connection to an origin.
            tls: the context for https origins; without one they are refused.
        """
        self.tls = tls
        self._settings = settings
        self._network = network
        self._factory = factory

    async def dial(self, origin: Any) -> W:
        """Connect to an origin within `connect_timeout`.

        Raises:
            ExchangeError: whatever went wrong; nothing was sent and nothing is open.
        """
        try:
            return await self._connect(origin)
        except WireError as error:
            raise connect_failure(error) from error
        except ExchangeError:
            raise
        except Exception as error:  # whatever it was, nobody must wait for ever
            raise ConnectError(f"{origin}: {error}") from error

    async def resolve(self, origin: Any) -> Collection[Address]:
        """Look up the name that `dial` connects to; nothing where there is none, or no answer."""
        if origin.unix_path:
            return ()
        try:
            return await self._network.resolve(origin.host, origin.port)
        except WireError:
            return ()

    async def _connect(self, origin: Any) -> W:
        settings = self._settings
        tls = self.tls if origin.scheme == "https" else None
        if origin.scheme == "https" and tls is None:
            raise ConnectError(f"{origin}: TLS was not configured")
        make = functools.partial(self._factory, origin)
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
