"""Transports for httpx and httpx2: their clients over our connections.

    with httpx.Client(transport=Transport()) as client: ...
    async with httpx.AsyncClient(transport=AsyncTransport()) as client: ...

All of httpx above the connection stays httpx's: redirects, cookies, authentication, content
codings. What is ours is which connection a request takes, when it may be
sent again, and when a connection ends. The arguments are those of `httpx.HTTPTransport`; any
setting of `ClientSettings` may stand beside them.

RFC 9112 §9.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias

from perdure.client.adapters.exact import LONGEST_DIAL_SECONDS, Timeouts, exact_asked, seconds
from perdure.client.adapters.httpx_packages import PACKAGES, Package, package_of, way_through
from perdure.client.adapters.network_stream import NetworkStream
from perdure.client.adapters.tracing import TracedLoopNetwork, TracedLoopRunner, TracedNetwork, TracedRunner
from perdure.client.aio import AsyncClient, AsyncStreamedResponse
from perdure.client.blocking_runner import BlockingRunner
from perdure.client.errors import ConnectError, InvalidURL
from perdure.client.loop_runner import LoopRunner
from perdure.client.requests import Asked
from perdure.client.settings import ClientSettings
from perdure.client.sync import Client, StreamedResponse
from perdure.client.urls import DEFAULT_PORTS, Origin, presentable
from perdure.core.errors import Error
from perdure.core.pool import Statistics
from perdure.wire.tls import ALPN, TlsContext, client_context

if TYPE_CHECKING:

    class SyncBase:
        """The `BaseTransport` of each package there is."""

    class AsyncBase:
        """The `AsyncBaseTransport` of each package there is."""

else:
    SyncBase = type("SyncBase", tuple(package.module.BaseTransport for package in PACKAGES), {})
    AsyncBase = type("AsyncBase", tuple(package.module.AsyncBaseTransport for package in PACKAGES), {})

Certificate: TypeAlias = str | Sequence[str | None]
"""A PEM file, or (certificate, key), or (certificate, key, password)."""

MAX_CONNECTIONS: Final = 100
"""As many as httpx allows, to one origin and in all, unless `limits` or settings say otherwise."""
UNLIMITED: Final = 1_000_000
"""What stands for no limit where a number is needed: more than there are ports."""


class Limits(Protocol):
    """What `httpx.Limits` and `httpx2.Limits` share."""

    max_connections: int | None
    max_keepalive_connections: int | None
    keepalive_expiry: float | None


class Mount:
    """What both kinds of transport share: their arguments, and httpx's requests as ours."""

    def __init__(
        self,
        *,
        verify: TlsContext | str | bool = True,
        cert: Certificate | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits | None = None,
        proxy: object = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Sequence[object] | None = None,
        **settings: Any,
    ) -> None:
        """Make a transport; nothing is connected yet.

        Args:
            verify: False accepts any certificate; a path names the authorities to trust (a file or
                a folder); a context is used as it is.
            cert: to show to a server that asks.
            trust_env: whether SSL_CERT_FILE and SSL_CERT_DIR are heeded.
            proxy: a forward proxy for every request: a URL, a `Proxy` of httpx, or `perdure.Proxies`,
                which may except origins. Otherwise there is none, whatever the environment says.
            limits: without them up to 100 connections, idle for as long as each origin is known to
                bear. Idle connections count among `max_connections`;
                `max_keepalive_connections=0` keeps none.
            uds: path of a unix socket to connect to, whatever the URL says.
            retries: how often connecting is tried again; a request is never sent again by it.
            settings: those of `ClientSettings`, by name.

        Raises:
            ValueError: for what this transport has not got: HTTP/2, or a local address; for a proxy that
                cannot be used.
            TlsSettings: a file is missing or unusable.
            TypeError: for a setting that there is not.
        """
        refused = {
            "http1=False": not http1,
            "http2=True": http2,
            "local_address": local_address is not None,
            "socket_options": bool(socket_options),
            "uds beside proxy": bool(uds) and proxy is not None,
        }
        for name, given in refused.items():
            if given:
                raise ValueError(f"{name}: perdure's transport has no such thing; use httpx's own for it")
        self._uds = uds or ""
        self._way = way_through(proxy) if proxy is not None else None
        self._retries = retries
        self._tls = _context(verify, cert, trust_env)
        self._settings = {**_settings_of(limits), **settings}

    def _asked(self, package: Package, request: Any, asynchronous: bool) -> Asked:
        """One of httpx's requests as one of ours."""
        url, extensions = request.url, request.extensions
        scheme = url.scheme
        shown = presentable(str(url))
        if scheme not in DEFAULT_PORTS:
            raise InvalidURL(f"URL: expected the scheme http or https, got {scheme!r} in {shown!r}")
        if not url.host:
            raise InvalidURL(f"URL: expected http://HOST/..., got {shown!r}")
        host = url.raw_host.decode("ascii").strip("[]")
        origin = Origin(scheme, host, url.port or DEFAULT_PORTS[scheme], _identity(extensions), self._uds)
        if self._way is not None:
            origin = self._way(origin)
        return exact_asked(
            ClientSettings(),
            request.method,
            str(url),
            origin,
            extensions.get("target", url.raw_path),
            request.headers.raw,
            package.content_of(request, asynchronous),
            Timeouts(**{name: seconds(value) for name, value in extensions.get("timeout", {}).items()}),
        )


class Transport(Mount, SyncBase):
    """A transport for `httpx.Client` or `httpx2.Client`. Threads may share it.

    Attributes:
        client: the `perdure.Client` that it asks; see its `statistics`.
    """

    def __init__(self, **arguments: Any) -> None:
        """As `Mount`."""
        super().__init__(**arguments)
        self.client = Client(tls=self._tls, **{"network": TracedNetwork(), **self._settings})

    def handle_request(self, request: Any) -> Any:
        """Ask, and return httpx's response as soon as its head is here.

        Raises:
            httpx.TransportError: of the kind that says what went wrong; ours is its `__cause__`.
        """
        package = package_of(request)
        try:
            response = self._open(self._asked(package, request, False), request)
        except Error as error:
            raise package.failure(error, request) from error
        return package.response(request, response, _extensions(response))

    def _open(self, asked: Asked, request: Any) -> StreamedResponse:
        trace = request.extensions.get("trace")
        runs: Callable[..., BlockingRunner] = BlockingRunner
        if trace is not None:
            runs = partial(TracedRunner, callback=trace, request=request)
        for attempt in range(self._retries):
            try:
                return self.client.open(asked, runs)
            except ConnectError:
                threading.Event().wait(_pause(attempt))
        return self.client.open(asked, runs)

    def statistics(self) -> Statistics:
        """Count the connections there are and what was asked."""
        return self.client.statistics()

    def close(self) -> None:
        """Close every connection; one in use, once its exchange is over. Idempotent."""
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncTransport(Mount, AsyncBase):
    """A transport for `httpx.AsyncClient` or `httpx2.AsyncClient`, on asyncio or uvloop.

    It belongs to the event loop that asks first; used on another one after that has ended, it
    begins anew.

    Attributes:
        client: the `perdure.AsyncClient` that it asks; see its `statistics`.
    """

    def __init__(self, **arguments: Any) -> None:
        """As `Mount`."""
        super().__init__(**arguments)
        self.client = self._new_client()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def handle_async_request(self, request: Any) -> Any:
        """Ask, and return httpx's response as soon as its head is here.

        Raises:
            httpx.TransportError: of the kind that says what went wrong; ours is its `__cause__`.
            RuntimeError: on another kind of event loop, such as trio's.
        """
        self._enter_loop()
        package = package_of(request)
        try:
            response = await self._open(self._asked(package, request, True), request)
        except Error as error:
            raise package.failure(error, request) from error
        return package.response(request, response, _extensions(response))

    async def _open(self, asked: Asked, request: Any) -> AsyncStreamedResponse:
        trace = request.extensions.get("trace")
        runs: Callable[..., LoopRunner] = LoopRunner
        if trace is not None:
            runs = partial(TracedLoopRunner, callback=trace, request=request)
        for attempt in range(self._retries):
            try:
                return await self.client.open(asked, runs)
            except ConnectError:
                await asyncio.sleep(_pause(attempt))
        return await self.client.open(asked, runs)

    def _new_client(self) -> AsyncClient:
        return AsyncClient(tls=self._tls, **{"network": TracedLoopNetwork(), **self._settings})

    def _enter_loop(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            message = "perdure's AsyncTransport runs on asyncio and uvloop; use httpx.AsyncHTTPTransport here"
            raise RuntimeError(message) from None
        if loop is self._loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("this AsyncTransport is in use on another event loop: make one for each")
        if self._loop is not None:  # its connections ended with it
            self.client = self._new_client()
        self._loop = loop

    def statistics(self) -> Statistics:
        """Count the connections there are and what was asked."""
        return self.client.statistics()

    async def aclose(self) -> None:
        """Close every connection; requests under way fail. Idempotent."""
        if self._loop is not None and not self._loop.is_closed():  # or there are none
            await self.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.aclose()


def _settings_of(limits: Limits | None) -> dict[str, Any]:
    """httpx's limits as settings of ours."""
    found: dict[str, Any] = {"connect_timeout": LONGEST_DIAL_SECONDS, "pool_timeout": math.inf}
    if limits is None:
        return {**found, "max_per_origin": MAX_CONNECTIONS, "max_total": MAX_CONNECTIONS}
    most = limits.max_connections or UNLIMITED
    found |= {"max_per_origin": most, "max_total": most}
    if limits.max_keepalive_connections == 0:
        found["persist"] = False
    if limits.keepalive_expiry is not None:
        found["idle_timeout"] = limits.keepalive_expiry
    return found


def _context(verify: TlsContext | str | bool, cert: Certificate | None, trust_env: bool) -> TlsContext:
    if not isinstance(verify, bool | str | os.PathLike):
        verify.set_alpn_protocols(ALPN)  # whatever else it offers, nothing else is spoken here
        return verify
    authorities: str | None = None if isinstance(verify, bool) else os.fspath(verify)
    if verify is True and trust_env:
        authorities = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or None
    certificate, key, password = _certificate_files(cert)
    return client_context(
        verify=verify is not False,
        ca_file=authorities,
        certificate=certificate,
        key=key,
        password=password or "",
    )


def _certificate_files(cert: Certificate | None) -> tuple[str | None, str | None, str | None]:
    if cert is None or isinstance(cert, str):
        return cert, None, None
    certificate, key, password = [*cert, None, None][:3]
    return certificate, key, password


def _identity(extensions: dict[str, Any]) -> str:
    """The name that TLS asks for, where it is not the URL's."""
    name = extensions.get("sni_hostname") or ""
    return name.decode("ascii") if isinstance(name, bytes) else name


def _extensions(response: StreamedResponse | AsyncStreamedResponse) -> dict[str, Any]:
    return {
        "http_version": response.http_version.encode("ascii"),
        "reason_phrase": response.reason_phrase.encode("latin-1"),
        "network_stream": NetworkStream(response.wire),
        "perdure_connection": response.connection,
    }


def _pause(attempt: int) -> float:
    """Seconds before connecting is tried again: none, then 0.5, then twice as many each time."""
    return 0.0 if attempt == 0 else 0.25 * float(2**attempt)
