"""`Client`: asks with blocking sockets, threads may share it; `blocking_runner` carries exchanges out."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from perdure.client.blocking_pool import BlockingPool
from perdure.client.blocking_runner import BlockingRunner
from perdure.client.decoding import GzipDecoder, is_gzip
from perdure.client.effects import CONTENT, Shared
from perdure.client.errors import ExchangeError, ResponseConsumed
from perdure.client.exchange import Exchange
from perdure.client.failures import ResponseAbandoned
from perdure.client.models import Response
from perdure.client.requests import Asked, HeaderSource, Options, RequestMaker
from perdure.client.settings import ClientSettings
from perdure.core.client_connection import ClientConnection
from perdure.core.pool import Statistics
from perdure.wire.blocking import BlockingNetwork, StreamNetwork, StreamWire
from perdure.wire.tls import TlsContext, client_context


class StreamedResponse(Response):
    """A response whose content is read piece by piece, once.

    Attributes: as of `Response`; `content` and `text` after `read`.
    """

    __slots__ = ("_ended", "_runner")

    def __init__(self, url: str, runner: BlockingRunner) -> None:
        exchange = runner.exchange
        assert exchange.response is not None
        super().__init__(url, exchange.response, exchange.use, exchange.interims)
        self._runner = runner
        self._ended = False

    @property
    def wire(self) -> StreamWire:
        """What it comes over, for those who look: whose it is once the response is read, nobody knows."""
        return self._runner.wire

    def iter_raw(self) -> Iterator[bytes]:
        """The content as it was sent, piece by piece.

        Raises:
            ResponseConsumed: it was read or closed before.
            ExchangeError: it broke off; what came so far is not all of it.
        """
        if self._ended:
            raise ResponseConsumed("the content of this response was read, or the response was closed")
        runner = self._runner
        try:
            while (effect := runner.advance()) is not None:
                if effect[0] == CONTENT:
                    yield effect[1].octets
        except ExchangeError:
            self._ended = True
            raise
        self._ended = True
        self.trailers = runner.exchange.trailers

    def iter_bytes(self) -> Iterator[bytes]:
        """The content piece by piece, gzip undone. Raises as `iter_raw`, and DecodingError."""
        if not is_gzip(self.fields):
            yield from self.iter_raw()
            return
        decoder = GzipDecoder()
        for octets in self.iter_raw():
            yield from decoder.decode(octets)
        decoder.finish()

    def read(self) -> bytes:
        """Read all of the content; `content`, `text` and `json` work afterwards. Raises as `iter_raw`."""
        if self._content is None:
            self._content = b"".join(self.iter_raw())
        return self.content

    def close(self) -> None:
        """End the exchange: what is left of the content is read and dropped if it is little."""
        if self._ended:
            return
        self._ended = True
        runner = self._runner
        if not runner.exchange.abandon():
            runner.close()
            return
        with suppress(ExchangeError, ResponseAbandoned):
            while runner.advance() is not None:
                pass

    def end_now(self) -> None:
        """End the exchange and, unless it is over, its connection."""
        if not self._ended:
            self._ended = True
            self._runner.close()


class Client:
    """Asks over connections that persist. Threads may share it, and it survives a fork.

        with perdure.Client() as client:
            response = client.get("http://127.0.0.1:8000/")

    Attributes:
        settings: `ClientSettings`.
    """

    def __init__(
        self,
        *,
        headers: HeaderSource | None = None,
        tls: TlsContext | None = None,
        verify: bool = True,
        ca_file: str | None = None,
        network: StreamNetwork | None = None,
        **settings: Any,
    ) -> None:
        """Make a client; nothing is connected yet. Arguments as of `AsyncClient`."""
        self.settings = ClientSettings(**settings)
        limits, terms = self.settings.limits(), self.settings.terms()
        self._tls = partial(client_context, verify=verify, ca_file=ca_file)
        network = network or BlockingNetwork()
        self._pool = BlockingPool(self.settings, network, partial(ClientConnection, limits, terms), tls)
        self._shared = Shared(self.settings, self._pool)
        self._maker = RequestMaker(self.settings, headers)
        _POOLS.add(self._pool)

    def request(self, method: str, url: str, **options: Unpack[Options]) -> Response:
        """Ask, and read the whole response. Arguments and errors as of `AsyncClient.request`."""
        asked = self._asked(method, url, options)
        began = self._pool.now()
        exchange = Exchange(self._shared, asked, True)
        BlockingRunner(exchange, self._pool).advance()
        assert exchange.response is not None
        response = Response(asked.location.url, exchange.response, exchange.use, exchange.interims)
        response.complete(b"".join(exchange.pieces), exchange.trailers, self._pool.now() - began)
        return response

    @contextmanager
    def stream(self, method: str, url: str, **options: Unpack[Options]) -> Iterator[StreamedResponse]:
        """Ask, and hand out the response as soon as its head is here; as `AsyncClient.stream`."""
        response = self.open(self._asked(method, url, options))
        try:
            yield response
            response.close()
        finally:
            response.end_now()

    def open(self, asked: Asked, runs: Callable[..., BlockingRunner] = BlockingRunner) -> StreamedResponse:
        """Ask exactly this, for libraries that make requests of their own (`adapters`).

        Args:
            asked: the request; nothing is added to it.
            runs: what carries the exchange out.

        Returns:
            The response as soon as its head is here. It holds a connection until it is read to its
            end, closed, or forgotten.

        Raises:
            ExchangeError: as of `request`.
        """
        began = self._pool.now()
        runner = runs(Exchange(self._shared, asked, False), self._pool)
        runner.advance()
        response = StreamedResponse(asked.location.url, runner)
        response.elapsed = self._pool.now() - began
        if runner.exchange.without_content:  # so that it holds no connection
            runner.advance()
        return response

    def get(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method GET."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method HEAD."""
        return self.request("HEAD", url, **options)

    def post(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method DELETE."""
        return self.request("DELETE", url, **options)

    def options(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method OPTIONS."""
        return self.request("OPTIONS", url, **options)

    def statistics(self) -> Statistics:
        """Count the connections there are and what was asked; it never changes afterwards."""
        return self._pool.statistics()

    def close(self) -> None:
        """Close every connection; one in use by another thread, once its exchange is over. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asked(self, method: str, url: str, options: Options) -> Asked:
        asked = self._maker.make(method, url, options)
        if asked.location.origin.scheme == "https" and self._pool.dialler.tls is None:
            self._pool.dialler.tls = self._tls()
        return asked


_POOLS: weakref.WeakSet[BlockingPool] = weakref.WeakSet()
"""Those that a fork must not share with the child."""


def _forget_after_fork() -> None:
    for pool in list(_POOLS):
        pool.forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
