"""httpx and httpx2, as the transports see them: the same names in two packages, neither required.

httpx2 is a fork: its classes are not subclasses of httpx's, and a client of either wants responses,
streams and exceptions of its own package. Which one a request belongs to, its class says.
"""

from __future__ import annotations

import importlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any, Final

from perdure.client import errors as ours
from perdure.client.aio import AsyncStreamedResponse
from perdure.client.content import NO_CONTENT, Content
from perdure.client.models import Response
from perdure.client.proxies import Proxies, make_routes, read_proxy
from perdure.client.requests import lines_of
from perdure.client.sync import StreamedResponse
from perdure.client.urls import NextProxy, Origin
from perdure.core.errors import Error
from perdure.core.reason import Reason

NAMES: Final = ("httpx", "httpx2")

ERRORS: Final[tuple[tuple[type[Error], str], ...]] = (
    (ours.PoolTimeout, "PoolTimeout"),
    (ours.ConnectTimeout, "ConnectTimeout"),
    (ours.ProxyError, "ProxyError"),
    (ours.ReadTimeout, "ReadTimeout"),
    (ours.WriteTimeout, "WriteTimeout"),
    (ours.ConnectError, "ConnectError"),
    (ours.WriteError, "WriteError"),
    (ours.ReadError, "ReadError"),
    (ours.RemoteProtocolError, "RemoteProtocolError"),
    (ours.LocalProtocolError, "LocalProtocolError"),
    (ours.DecodingError, "DecodingError"),
    (ours.InvalidURL, "UnsupportedProtocol"),
    (Error, "TransportError"),
)
"""The first that fits. The error itself becomes the `__cause__`, with all that it knows."""

ENDED: Final = frozenset([Reason.PEER_CLOSED, Reason.INCOMPLETE])
"""httpx calls it a fault of the protocol where the server ends in good order, but too early."""


class SyncPieces:
    """The content of a response, in the pieces it comes in."""

    def __init__(self, package: Package, request: Any, response: StreamedResponse) -> None:
        self._package = package
        self._request = request
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except Error as error:
            raise self._package.failure(error, self._request) from error

    def close(self) -> None:
        """End the exchange; its connection lives on if little is left to read."""
        try:
            self._response.close()
        finally:
            self._response.end_now()


class AsyncPieces:
    """The content of a response on an event loop, in the pieces it comes in."""

    def __init__(self, package: Package, request: Any, response: AsyncStreamedResponse) -> None:
        self._package = package
        self._request = request
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_raw():
                yield piece
        except Error as error:
            raise self._package.failure(error, self._request) from error

    async def aclose(self) -> None:
        """End the exchange; its connection lives on if little is left to read."""
        try:
            await self._response.aclose()
        finally:
            self._response.end_now()


class Package:
    """One of the two.

    Attributes:
        module: the package.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module: Any = module
        self._sync_pieces = type("SyncPieces", (SyncPieces, self.module.SyncByteStream), {})
        self._async_pieces = type("AsyncPieces", (AsyncPieces, self.module.AsyncByteStream), {})

    def failure(self, error: Error, request: Any) -> Exception:
        """The exception that a user of the package expects in the place of ours."""
        name = next(name for kind, name in ERRORS if isinstance(error, kind))
        if name == "ReadError" and getattr(error, "reason", None) in ENDED:
            name = "RemoteProtocolError"
        failure: Exception = getattr(self.module, name)(str(error), request=request)
        return failure

    def response(self, request: Any, response: Response, extensions: dict[str, Any]) -> Any:
        """The package's own response around one of ours."""
        streams = isinstance(response, AsyncStreamedResponse)
        pieces = self._async_pieces if streams else self._sync_pieces
        return self.module.Response(
            response.status,
            headers=[(line.name, line.value) for line in response.fields],
            stream=pieces(self, request, response),
            extensions=extensions,
        )

    def content_of(self, request: Any, asynchronous: bool) -> Content:
        """The content of a request.

        Raises:
            TypeError: it cannot be read by this kind of client.
        """
        stream = request.stream
        if isinstance(stream, self.module.ByteStream):
            octets = b"".join(stream)
            return Content(octets) if octets else NO_CONTENT
        kind = self.module.AsyncByteStream if asynchronous else self.module.SyncByteStream
        if not isinstance(stream, kind):
            raise TypeError(f"content: expected a {kind.__name__}, got {type(stream).__name__}")
        # Not to be started twice: what it reads from may be gone (StreamConsumed).
        return Content(aiter(stream) if asynchronous else iter(stream))


def installed() -> list[Package]:
    """Those of the two that can be imported.

    Raises:
        ImportError: there is none.
    """
    found = []
    for name in NAMES:
        try:
            found.append(Package(importlib.import_module(name)))
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    if not found:
        raise ImportError("perdure.client.adapters.httpx needs httpx or httpx2: pip install 'perdure[httpx]'")
    return found


PACKAGES: Final = installed()


def package_of(request: object) -> Package:
    """The package that a request belongs to.

    Raises:
        TypeError: it belongs to neither.
    """
    for package in PACKAGES:
        if isinstance(request, package.module.Request):
            return package
    raise TypeError(f"request: expected one of httpx or httpx2, got {type(request).__module__}")


def way_through(proxy: Any) -> Callable[[Origin], Origin]:
    """Read the `proxy` of a transport.

    Args:
        proxy: a URL, a `Proxy` of either package, or `perdure.Proxies`.

    Returns:
        What gives an origin the proxy that leads to it.

    Raises:
        InvalidURL: it is none that can be used.
        ValueError: it is to be verified otherwise than origins are.
    """
    if isinstance(proxy, Proxies):
        routes = make_routes(proxy, trust_env=False)
        return _directly if routes is None else routes.through
    if not hasattr(proxy, "raw_auth"):
        return partial(_through, read_proxy(str(proxy)))
    if proxy.ssl_context is not None:
        raise ValueError("proxy: its ssl_context has no place here: `verify` is for proxies and origins")
    chosen = read_proxy(str(proxy.url))
    authorization = b"Basic " + b64encode(b":".join(proxy.raw_auth)) if proxy.raw_auth else b""
    return partial(
        _through, chosen._replace(authorization=authorization, fields=tuple(lines_of(proxy.headers.raw)))
    )


def _directly(origin: Origin) -> Origin:
    return origin


def _through(proxy: NextProxy, origin: Origin) -> Origin:
    return origin._replace(proxy=proxy)
