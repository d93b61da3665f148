"""An adapter for requests: its sessions over our connections.

    session.mount("http://", Adapter())
    session.mount("https://", Adapter())

It is an `HTTPAdapter` whose pools are ours. Redirects, cookies, authentication and content codings
stay requests' own, as do `max_retries` and the methods that subclasses override; which connection a
request takes, whether it may be sent again after a stale reuse, and when a connection ends are ours.
Requests with different TLS settings never share a connection.

RFC 9112 §9.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from requests.adapters import DEFAULT_POOLBLOCK, DEFAULT_POOLSIZE, DEFAULT_RETRIES, HTTPAdapter
from requests.exceptions import InvalidProxyURL, InvalidSchema
from requests.utils import select_proxy
from urllib3 import Retry, Timeout
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from perdure.client import errors as ours
from perdure.client.adapters.exact import LONGEST_DIAL_SECONDS, Timeouts, exact_asked, host_of, seconds
from perdure.client.adapters.raw import Raw
from perdure.client.content import NO_CONTENT, Content
from perdure.client.proxies import read_proxy
from perdure.client.requests import lines_of
from perdure.client.settings import ClientSettings
from perdure.client.sync import Client, StreamedResponse
from perdure.client.urls import DEFAULT_PORTS, NextProxy, Origin
from perdure.core.errors import Error
from perdure.core.pool import Statistics
from perdure.wire.errors import NameNotFound, TlsFailed, TlsSettings
from perdure.wire.tls import ALPN, TlsContext, client_context

logger = logging.getLogger("perdure.client")

UNLIMITED: Final = 1_000_000
"""What stands for no limit where a number is needed: more than there are ports."""
SAFE: Final = "!#$%&'()*+,/:;=?@[]~"
"""What may stand in a request target as it is (RFC 3986 §2); requests has encoded the rest by itself."""
TLS_OPTIONS: Final = frozenset(
    ["ssl_context", "ca_certs", "ca_cert_dir", "cert_reqs", "cert_file", "key_file", "key_password"]
)
OPTIONS: Final = TLS_OPTIONS | {"server_hostname"}
"""Of a urllib3 pool, those that mean something here."""


class TlsTerms(NamedTuple):
    """What parts connections beside their origin."""

    ssl_context: TlsContext | None = None
    ca_certs: str | None = None
    ca_cert_dir: str | None = None
    cert_reqs: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = None

    def context(self) -> TlsContext:
        """The context for these terms."""
        if self.ssl_context is not None:
            self.ssl_context.set_alpn_protocols(ALPN)
            return self.ssl_context
        return client_context(
            verify=self.cert_reqs != "CERT_NONE",
            ca_file=self.ca_certs or self.ca_cert_dir,
            certificate=self.cert_file,
            key=self.key_file,
            password=self.key_password or "",
        )


class Clients:
    """Our clients, one for each set of TLS terms: what requests calls its pool manager."""

    def __init__(self, settings: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        unknown = sorted(options.keys() - OPTIONS)
        if unknown:
            raise ValueError(f"{unknown[0]}: perdure's adapter has no such option of a urllib3 pool")
        self._settings = settings
        self._options = options
        self._lock = threading.Lock()
        self._clients: dict[TlsTerms, Client] = {}

    def client_of(self, origin: Origin, options: Mapping[str, Any]) -> Client:
        """The client for a request, with these options of a urllib3 pool. They hold for a proxy too."""
        given = {name: value for name, value in options.items() if value is not None}
        chosen = {**given, **self._options} if origin.needs_tls else {}
        terms = TlsTerms(**{name: chosen[name] for name in TLS_OPTIONS & chosen.keys()})
        with self._lock:
            client = self._clients.get(terms)
            if client is None:
                tls = terms.context() if origin.needs_tls else None
                client = self._clients[terms] = Client(tls=tls, **self._settings)
        return client

    def identity(self, options: Mapping[str, Any]) -> str:
        """The name that TLS asks for, where it is not the URL's."""
        return str(options.get("server_hostname") or self._options.get("server_hostname") or "")

    def clients(self) -> list[Client]:
        """All of them."""
        with self._lock:
            return list(self._clients.values())

    def clear(self) -> None:
        """Close every connection; one in use, once its exchange is over. Later requests begin anew."""
        with self._lock:
            closing, self._clients = self._clients, {}
        for client in closing.values():
            client.close()


class Door:
    """What requests takes for a urllib3 pool: asks one origin on behalf of one request.

    Attributes:
        host, port, scheme: of the origin. The others are set by `HTTPAdapter.cert_verify`, and by
            those who override it.
    """

    def __init__(self, clients: Clients, options: Mapping[str, Any], origin: Origin) -> None:
        self._clients = clients
        self._options = options
        self._origin = origin
        self.scheme, self.host, self.port = origin.scheme, origin.host, origin.port

    def __repr__(self) -> str:
        return f"<perdure to {self._origin}>"

    def urlopen(
        self,
        method: str,
        url: str,
        *,
        body: Any,
        headers: Mapping[str, Any],
        retries: Retry,
        timeout: Timeout,
        **options: Any,
    ) -> Raw:
        """Ask; again as often as `retries` says.

        Raises:
            urllib3.exceptions.HTTPError: as of urllib3; ours is the `__cause__` at its end.
        """
        content = Content(body) if body is not None else NO_CONTENT
        while True:
            try:
                raw = Raw(self._ask(method, url, content, headers, timeout), self, method, retries=retries)
            except Error as error:
                failure = self._failure(error, url)
                failure.__cause__ = error
                if not content.replayable and getattr(error, "request_sent", "no") != "no":
                    raise failure from error
                retries = self._again_after(retries, method, url, failure)
                continue
            has_hint = bool(raw.headers.get("Retry-After"))
            if not content.replayable or not retries.is_retry(method, raw.status, has_hint):
                return raw
            again = self._again(retries, method, url, raw)
            if again is None:
                return raw
            retries = again

    def _again(self, retries: Retry, method: str, url: str, raw: Raw) -> Retry | None:
        """What is left of the retries after a status to try again; None if the response is to be had."""
        try:
            left = retries.increment(method, url, response=raw, _pool=self)  # type: ignore[arg-type]
        except MaxRetryError:
            if not retries.raise_on_status:
                return None
            raw.release_conn()
            raise
        raw.release_conn()
        left.sleep(raw)
        return left

    def _again_after(self, retries: Retry, method: str, url: str, failure: HTTPError) -> Retry:
        try:
            left = retries.increment(method, url, error=failure, _pool=self)  # type: ignore[arg-type]
        except MaxRetryError as error:
            raise error from failure
        logger.info("%s: asked again after %s; %s", self._origin, failure, left)
        left.sleep()
        return left

    def _ask(
        self, method: str, url: str, content: Content, headers: Mapping[str, Any], timeout: Timeout
    ) -> StreamedResponse:
        pairs: list[tuple[str | bytes, str | bytes]] = list(headers.items())
        if not any(_text(name).lower() == "host" for name, _ in pairs):
            pairs.insert(0, (b"Host", host_of(self._origin)))
        client = self._clients.client_of(self._origin, self._options)
        asked = exact_asked(
            client.settings,
            method,
            f"{self.scheme}://{self._origin.authority}{url}" if url.startswith("/") else url,
            self._origin,
            quote(url, safe=SAFE).encode("ascii"),
            pairs,
            content,
            _timeouts(timeout),
        )
        return client.open(asked)

    def _failure(self, error: Error, url: str) -> HTTPError:
        """urllib3's error in the place of ours."""
        pool: Any = self
        words = str(error)
        if isinstance(error, TlsSettings):
            return SSLError(error)
        if isinstance(error, ours.ClientClosed):
            return ClosedPoolError(pool, words)
        if isinstance(error, ours.ConnectError):
            return self._connect_failure(error)
        if isinstance(error, ours.PoolTimeout):  # nothing was sent
            return ConnectTimeoutError(pool, words)
        if isinstance(error, ours.TimeoutExpired):
            return ReadTimeoutError(pool, url, f"Read timed out. ({words})")
        return ProtocolError("Connection aborted.", error)

    def _connect_failure(self, error: ours.ConnectError) -> HTTPError:
        """urllib3's error where no connection came about: whatever a proxy has to do with is a ProxyError."""
        failure = self._dial_failure(error)
        ours_to_verify = isinstance(failure, SSLError) and self.scheme == "https"
        if self._origin.proxy is None or ours_to_verify:
            return failure
        if isinstance(error, ours.ProxyError):  # no fault of the connection: `connect` does not count it
            return ProxyError("Unable to connect to proxy", OSError(f"Tunnel connection failed: {error}"))
        return ProxyError("Unable to connect to proxy", failure)

    def _dial_failure(self, error: ours.ConnectError) -> HTTPError:
        pool: Any = self
        cause: Any = error.__cause__
        if isinstance(error, ours.ConnectTimeout):
            return ConnectTimeoutError(pool, str(error))
        if isinstance(cause, TlsFailed):
            return SSLError(error)
        if isinstance(cause, NameNotFound):
            dialled = self._origin.proxy or self._origin
            return NameResolutionError(dialled.host, pool, cause.__cause__)  # type: ignore[arg-type]
        return NewConnectionError(pool, str(error))


class Adapter(HTTPAdapter):
    """A transport adapter for `requests.Session`. Threads may share it; copies begin without connections."""

    __attrs__ = [*HTTPAdapter.__attrs__, "_settings"]  # noqa: RUF012  # as HTTPAdapter has it

    def __init__(
        self,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: int | Retry = DEFAULT_RETRIES,
        pool_block: bool = DEFAULT_POOLBLOCK,
        **settings: Any,
    ) -> None:
        """Make an adapter; nothing is connected yet.

        Args:
            pool_connections: origins that a pool is kept for: with `pool_maxsize` it bounds all
                connections, where `pool_block` is True.
            pool_maxsize: connections to one origin, where `pool_block` is True.
            max_retries: as of HTTPAdapter; what we send again after a stale reuse does not count.
            pool_block: False: connections are made as they are needed, however many.
            settings: those of `ClientSettings`, by name.

        Raises:
            TypeError, ValueError: for a setting that there is not, or a value that cannot be.
        """
        self._settings = settings
        super().__init__(pool_connections, pool_maxsize, max_retries, pool_block)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = DEFAULT_POOLBLOCK, **pool_kwargs: Any
    ) -> None:
        """Make the clients; subclasses may add `ssl_context` and other TLS options of urllib3 pools.

        Raises:
            ValueError: for an option that means nothing here.
        """
        self._pool_connections, self._pool_maxsize, self._pool_block = connections, maxsize, block
        settings = {
            "max_per_origin": maxsize if block else UNLIMITED,
            "max_total": max(connections * maxsize, 1) if block else UNLIMITED,
            "pool_timeout": math.inf,
            "connect_timeout": LONGEST_DIAL_SECONDS,
            **self._settings,
        }
        own = {name: value for name, value in settings.items() if name != "network"}
        ClientSettings(**own)  # or a mistake would only show at the first request
        self._clients = Clients(settings, pool_kwargs)
        self.poolmanager = self._clients  # type: ignore[assignment]  # what requests calls it

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """What `send` asks: the origin of a request, over connections with these TLS settings.

        Raises:
            InvalidProxyURL: the request is to go through a proxy, and its URL is none that can be used.
            InvalidSchema: its URL is neither http nor https.
        """
        proxy = self._next_proxy(request, proxies)
        host, options = self.build_connection_pool_key_attributes(request, verify, cert)
        scheme = host["scheme"]
        if scheme not in DEFAULT_PORTS:
            raise InvalidSchema(f"expected http or https, got {scheme!r} in {request.url!r}", request=request)
        name = str(host["host"] or "").strip("[]").lower()
        port = host["port"] or DEFAULT_PORTS[scheme]
        origin = Origin(scheme, name, port, self._clients.identity(options), proxy=proxy)
        return Door(self._clients, options, origin)

    def _next_proxy(self, request: Any, proxies: Any) -> NextProxy | None:
        """The proxy that requests chose for a request, with what `proxy_headers` wants said to it."""
        url = select_proxy(request.url, proxies)
        if not url:
            return None
        if "://" not in url:  # requests' own way to add one takes "user:password@host" for a scheme
            url = f"http://{url}"
        try:
            proxy = read_proxy(url)
        except ours.InvalidURL as error:
            raise InvalidProxyURL(str(error), request=request) from error
        lines = lines_of(self.proxy_headers(url))
        said = [line.value for line in lines if line.lowered == b"proxy-authorization"]
        others = tuple(line for line in lines if line.lowered != b"proxy-authorization")
        return proxy._replace(authorization=said[0] if said else proxy.authorization, fields=others)

    def statistics(self) -> list[Statistics]:
        """Count the connections there are and what was asked, for each set of TLS settings in use."""
        return [client.statistics() for client in self._clients.clients()]

    def close(self) -> None:
        """Close every connection; one in use, once its exchange is over. Later requests begin anew."""
        self._clients.clear()


def _timeouts(timeout: Timeout) -> Timeouts:
    """urllib3's timeouts as ours: what stands for no limit in either is left unlimited."""
    own = timeout.clone()
    own.start_connect()  # a total limit is counted from here
    connect, read = (
        seconds(value) if isinstance(value, int | float) else math.inf
        for value in (own.connect_timeout, own.read_timeout)
    )
    return Timeouts(connect=connect, read=read, write=read)


def _text(name: str | bytes) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name
