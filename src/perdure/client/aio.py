"""`AsyncClient`: asks on an event loop, asyncio's or uvloop's; `loop_runner` carries the exchanges out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from perdure.client.decoding import GzipDecoder, is_gzip
from perdure.client.effects import CONTENT, Shared
from perdure.client.errors import ExchangeError, ResponseConsumed
from perdure.client.exchange import Exchange
from perdure.client.failures import ResponseAbandoned
from perdure.client.loop_pool import LoopPool
from perdure.client.loop_runner import LoopRunner
from perdure.client.loop_wire import ClientWire
from perdure.client.models import Response
from perdure.client.requests import Asked, HeaderSource, Options, RequestMaker
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core.client_connection import ClientConnection
from perdure.core.pool import Statistics
from perdure.wire.network import LoopNetwork, Network
from perdure.wire.tls import TlsContext, client_context


class AsyncStreamedResponse(Response):
    """A response whose content is read piece by piece, once.

    Attributes: as of `Response`; `content` and `text` after `aread`.
    """

    __slots__ = ("_ended", "_runner")

    def __init__(self, url: str, runner: LoopRunner) -> None:
        exchange = runner.exchange
        assert exchange.response is not None
        super().__init__(url, exchange.response, exchange.use, exchange.interims)
        self._runner = runner
        self._ended = False

    @property
    def wire(self) -> ClientWire:
        """What it comes over, for those who look: whose it is once the response is read, nobody knows."""
        return self._runner.wire

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """The content as it was sent, piece by piece.

        Raises:
            ResponseConsumed: it was read or closed before.
            ExchangeError: it broke off; what came so far is not all of it.
        """
        if self._ended:
            raise ResponseConsumed("the content of this response was read, or the response was closed")
        runner = self._runner
        try:
            while (effect := await runner.advance()) is not None:
                if effect[0] == CONTENT:
                    yield effect[1].octets
        except ExchangeError:
            self._ended = True
            raise
        self._ended = True
        self.trailers = runner.exchange.trailers

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The content piece by piece, gzip undone. Raises as `aiter_raw`, and DecodingError."""
        decoder = GzipDecoder() if is_gzip(self.fields) else None
        async for octets in self.aiter_raw():
            if decoder is None:
                yield octets
                continue
            for piece in decoder.decode(octets):
                yield piece
        if decoder is not None:
            decoder.finish()

    async def aread(self) -> bytes:
        """Read all of the content; `content`, `text` and `json` work afterwards. Raises as `aiter_raw`."""
        if self._content is None:
            pieces = [octets async for octets in self.aiter_raw()]
            self._content = b"".join(pieces)
        return self.content

    async def aclose(self) -> None:
        """End the exchange: what is left of the content is read and dropped if it is little."""
        if self._ended:
            return
        self._ended = True
        runner = self._runner
        if not runner.exchange.abandon():
            runner.close()
            return
        with suppress(ExchangeError, ResponseAbandoned):
            while await runner.advance() is not None:
                pass

    def end_now(self) -> None:
        """End the exchange and, unless it is over, its connection."""
        if not self._ended:
            self._ended = True
            self._runner.close()


class AsyncClient:
    """Asks over connections that persist. One event loop; any number of tasks.

        async with perdure.AsyncClient() as client:
            response = await client.get("http://127.0.0.1:8000/")

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
        network: Network | None = None,
        **settings: Any,
    ) -> None:
        """Make a client; nothing is connected yet.

        Args:
            headers: sent with every request; they replace defaults of the same name.
            tls: the context for https; made from `verify` and `ca_file` unless given.
            network: where to dial; real sockets unless said otherwise.
            settings: those of `ClientSettings`, by name.

        Raises:
            TypeError, ValueError: for a setting that there is not, or a value that cannot be.
        """
        self.settings = ClientSettings(**settings)
        self._limits, self._terms = self.settings.limits(), self.settings.terms()
        self._tls = partial(client_context, verify=verify, ca_file=ca_file)
        network = network or LoopNetwork()
        self._pool: LoopPool[ClientWire] = LoopPool(self.settings, network, self._make_wire, tls)
        self._shared = Shared(self.settings, self._pool)
        self._maker = RequestMaker(self.settings, headers)

    async def request(self, method: str, url: str, **options: Unpack[Options]) -> Response:
        """Ask, and read the whole response.

        Args:
            method: such as "GET"; case matters.
            url: http or https.
            options: `requests.Options`: params, headers, content, data, json, timeout.

        Raises:
            ExchangeError: no response, or not all of it; its attributes say what the server may
                have seen. InvalidURL, TypeError: nothing was sent.
        """
        asked = self._asked(method, url, options)
        began = self._pool.now()
        exchange = Exchange(self._shared, asked, True)
        await LoopRunner(exchange, self._pool).run_whole()
        assert exchange.response is not None
        response = Response(asked.location.url, exchange.response, exchange.use, exchange.interims)
        pieces = exchange.pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        response.complete(content, exchange.trailers, self._pool.now() - began)
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[Options]
    ) -> AsyncIterator[AsyncStreamedResponse]:
        """Ask, and hand out the response as soon as its head is here. Arguments as of `request`.

        While content of the request is left, it is sent as the response is read. On leaving, what
        is left of the response is dropped (`AsyncStreamedResponse.aclose`).
        """
        response = await self.open(self._asked(method, url, options))
        try:
            yield response
            await response.aclose()
        finally:
            response.end_now()

    async def open(self, asked: Asked, runs: Callable[..., LoopRunner] = LoopRunner) -> AsyncStreamedResponse:
        """Ask exactly this, for libraries that make requests of their own; as `Client.open`."""
        began = self._pool.now()
        runner = runs(Exchange(self._shared, asked, False), self._pool)
        await runner.advance()
        response = AsyncStreamedResponse(asked.location.url, runner)
        response.elapsed = self._pool.now() - began
        if runner.exchange.without_content:  # so that it holds no connection
            await runner.advance()
        return response

    async def get(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method GET."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method HEAD."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method POST."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method PUT."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method PATCH."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method DELETE."""
        return await self.request("DELETE", url, **options)

    async def options(self, url: str, **options: Unpack[Options]) -> Response:
        """`request` with the method OPTIONS."""
        return await self.request("OPTIONS", url, **options)

    def statistics(self) -> Statistics:
        """Count the connections there are and what was asked; it never changes afterwards."""
        return self._pool.statistics()

    async def aclose(self) -> None:
        """Close every connection; requests under way fail with `ClientClosed`. Idempotent."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _asked(self, method: str, url: str, options: Options) -> Asked:
        asked = self._maker.make(method, url, options)
        if asked.location.origin.scheme == "https" and self._pool.dialler.tls is None:
            self._pool.dialler.tls = self._tls()
        return asked

    def _make_wire(self, origin: Origin) -> ClientWire:
        return ClientWire(ClientConnection(self._limits, self._terms), self._pool)
