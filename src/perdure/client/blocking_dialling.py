"""Connecting to an origin with blocking sockets: what the pool asks for when no connection is free.

RFC 9110 §7.3 (routing a request).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from perdure.client.errors import ConnectError, ExchangeError, connect_failure
from perdure.client.settings import ClientSettings
from perdure.wire.address import Address
from perdure.wire.blocking import StreamNetwork, StreamWire
from perdure.wire.errors import WireError
from perdure.wire.tls import TlsContext


class BlockingDialler:
    """Makes connections, ready for their first request.

    Attributes:
        tls: the context for https origins; may be set later, before the first of them.
    """

    def __init__(
        self, settings: ClientSettings, network: StreamNetwork, tls: TlsContext | None = None
    ) -> None:
        """Dial nothing yet. Without `tls`, https origins are refused."""
        self.tls = tls
        self._settings = settings
        self._network = network

    def dial(self, origin: Any, timeout: float | None) -> StreamWire:
        """Connect to an origin within `timeout` seconds, or `connect_timeout` where that is None.

        Raises:
            ExchangeError: whatever went wrong; nothing was sent and nothing is open.
        """
        limit = self._settings.connect_timeout
        try:
            return self._connect(origin, limit if timeout is None else timeout)
        except WireError as error:
            raise connect_failure(error) from error
        except ExchangeError:
            raise
        except Exception as error:
            raise ConnectError(str(error)) from error

    def resolve(self, origin: Any) -> Collection[Address]:
        """Look up the name that `dial` connects to; nothing where there is none, or no answer."""
        if origin.unix_path:
            return ()
        try:
            return self._network.resolve(origin.host, origin.port)
        except WireError:
            return ()

    def _connect(self, origin: Any, timeout: float) -> StreamWire:
        tls = self.tls if origin.scheme == "https" else None
        if origin.scheme == "https" and tls is None:
            raise ConnectError(f"{origin}: TLS was not configured")
        if origin.unix_path:
            name = origin.identity or origin.host
            return self._network.dial_unix(origin.unix_path, timeout=timeout, tls=tls, server_hostname=name)
        return self._network.dial(
            origin.host,
            origin.port,
            timeout=timeout,
            tls=tls,
            server_hostname=origin.identity or None,
            happy_eyeballs=self._settings.happy_eyeballs,
        )
