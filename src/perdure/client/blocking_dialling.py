"""Connecting to an origin with blocking sockets: what the pool asks for when no connection is free.

The ways are those of `loop_dialling`.

RFC 9110 §7.3 (routing a request), §9.3.6 (CONNECT).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from perdure.client.errors import ConnectError, ConnectTimeout, ExchangeError, ProxyError, connect_failure
from perdure.client.requests import USER_AGENT
from perdure.client.settings import ClientSettings
from perdure.client.tunnel import TunnelOpening
from perdure.wire.address import Address
from perdure.wire.blocking import StreamNetwork, StreamWire
from perdure.wire.errors import ConnectFailed, PeerReset, ReadTimeout, WireError, WriteTimeout
from perdure.wire.tls import TlsContext


class BlockingDialler:
    """Makes connections, ready for their first request.

    Attributes:
        tls: the context for https origins and proxies; may be set later, before the first of them.
    """

    def __init__(
        self, settings: ClientSettings, network: StreamNetwork, tls: TlsContext | None = None
    ) -> None:
        """Dial nothing yet. Without `tls`, https origins and proxies are refused."""
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
            raise connect_failure(error, origin if origin.proxy else None) from error
        except ExchangeError:
            raise
        except Exception as error:
            raise ConnectError(str(error)) from error

    def resolve(self, origin: Any) -> Collection[Address]:
        """Look up the name that `dial` connects to; nothing where there is none, or no answer."""
        if origin.unix_path:
            return ()
        try:
            where = origin.proxy or origin
            return self._network.resolve(where.host, where.port)
        except WireError:
            return ()

    def _connect(self, origin: Any, timeout: float) -> StreamWire:
        if origin.proxy is not None:
            if origin.asks_proxy:
                return self._dial_proxy(origin, timeout)
            return self._dial_through(origin, timeout)
        tls = self._context(origin, origin.scheme)
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

    def _context(self, origin: Any, scheme: str) -> TlsContext | None:
        if scheme != "https":
            return None
        if self.tls is None:
            raise ConnectError(f"{origin}: TLS was not configured")
        return self.tls

    def _dial_proxy(self, origin: Any, timeout: float) -> StreamWire:
        proxy = origin.proxy
        return self._network.dial(
            proxy.host,
            proxy.port,
            timeout=timeout,
            tls=self._context(origin, proxy.scheme),
            happy_eyeballs=self._settings.happy_eyeballs,
        )

    def _dial_through(self, origin: Any, timeout: float) -> StreamWire:
        """Connect to an origin through a tunnel."""
        deadline = self._network.now() + timeout
        tls = self._context(origin, origin.scheme)
        opening = TunnelOpening(origin, self._settings.limits(), USER_AGENT)
        wire = self._dial_proxy(origin, timeout)
        try:
            _ask(wire, opening, deadline)
            if tls is not None:
                wire.secure(tls, origin.identity or origin.host, deadline, origin.authority)
        except (ReadTimeout, WriteTimeout):
            wire.close()
            if opening.refused:  # its page did not come to an end in time
                opening.receive_end()
            raise ConnectTimeout(f"{origin}: no tunnel within {timeout:g} s") from None
        except ConnectFailed:
            raise  # TLS failed, and closed it
        except PeerReset as error:
            wire.close()
            raise ProxyError(f"{origin}: the proxy broke off: {error}", error.reason) from error
        except BaseException:
            wire.close()
            raise
        return wire


def _ask(wire: StreamWire, opening: TunnelOpening, deadline: float) -> None:
    """Ask the proxy, until it has answered."""
    wire.send(opening.request, deadline)
    while True:
        octets = wire.receive(deadline)
        if not octets:
            opening.receive_end()
        if opening.receive(octets):
            return


def beside(dial: Callable[..., None], *arguments: Any) -> threading.Thread:
    """Dial in a thread of its own, which no program waits for at its end. RFC 9112 §9.4."""
    thread = threading.Thread(target=dial, args=arguments, daemon=True)
    thread.start()
    return thread
