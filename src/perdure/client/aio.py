"""`AsyncClient`: asks over connections that persist, on an event loop, asyncio's or uvloop's.

A plain request is one exchange (`loop_runner`); what else callers want around it is `conversation`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias, Unpack

from perdure.client.authentication import AuthenticationSource
from perdure.client.conversation import ASK, DROP, READ, Conversation, Hook
from perdure.client.cookies import Cookies, CookieSource, sets_cookies
from perdure.client.effects import Shared
from perdure.client.exchange import Exchange
from perdure.client.habits import TALKATIVE, Habits, RequestDefaults
from perdure.client.loop_pool import LoopPool
from perdure.client.loop_response import AsyncStreamedResponse
from perdure.client.loop_runner import LoopRunner, run_whole
from perdure.client.loop_wire import ClientWire
from perdure.client.models import Response
from perdure.client.proxies import FROM_ENVIRONMENT, ProxySource
from perdure.client.request import Request
from perdure.client.requests import Asked, HeaderSource, Options, SendOptions
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import TimeoutSource, with_timeouts
from perdure.client.urls import Origin, Parameters
from perdure.core.client_connection import ClientConnection
from perdure.core.pool import Statistics
from perdure.wire.network import LoopNetwork, Network
from perdure.wire.tls import Certificate, TlsContext, Verification, requested_context

__all__ = ["AsyncClient", "AsyncStreamedResponse"]

Asking: TypeAlias = Coroutine[Any, Any, Response]
"""What is to be awaited. The shorthands are no coroutine functions themselves: 0.6 µs less."""


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
        base_url: str = "",
        params: Parameters | None = None,
        headers: HeaderSource | None = None,
        cookies: CookieSource | None = None,
        auth: AuthenticationSource | None = None,
        timeout: TimeoutSource | None = None,
        follow_redirects: bool = False,
        max_redirects: int = 20,
        event_hooks: Mapping[str, Iterable[Hook]] | None = None,
        proxy: ProxySource = FROM_ENVIRONMENT,
        trust_env: bool = True,
        verify: Verification = True,
        cert: Certificate | None = None,
        tls_minimum: str = "1.2",
        server_hostname: str = "",
        ca_file: str | None = None,
        tls: TlsContext | None = None,
        network: Network | None = None,
        **settings: Any,
    ) -> None:
        """Make a client; nothing is connected yet.

        Args:
            base_url: put in front of URLs without a scheme, as a prefix.
            params: put into the query of every URL; a request's own of the same name replace them.
            headers: sent with every request; they replace defaults of the same name.
            cookies: pairs, a `Cookies`, or an `http.cookiejar.CookieJar`, which is used itself.
            auth: as of `Options`; for every origin asked for by name, none that a redirect leads to.
            timeout: in place of the settings' connect, read, write and pool timeouts; see `Timeout`.
            follow_redirects, max_redirects: whether redirects are followed, and how many.
            event_hooks: {"request": [...], "response": [...]}: functions, asynchronous or not, that get
                each `Request` before it is sent, and each response once its head is here.
            proxy: URL of a proxy for every origin, a `Proxies`, or None; else the environment's.
            trust_env: whether the environment is asked for proxies and a .netrc.
            verify: False accepts any certificate; a path names authorities to trust; a context is used.
            cert: shown to servers that ask: a PEM file, (certificate, key), or both and a password.
            tls_minimum: "1.2" or "1.3"; ca_file, tls: as a path or a context in `verify`.
            server_hostname: the name that TLS asks for and verifies, instead of the URL's host.
            network: where to dial; real sockets unless said. settings: those of `ClientSettings`, by name.

        Raises:
            TypeError, ValueError: for a setting that there is not, or a value that cannot be.
        """
        self.settings = with_timeouts(ClientSettings(**settings), timeout)
        self._habits = Habits(
            self.settings,
            RequestDefaults(base_url, params, headers, auth, trust_env, server_hostname, proxy),
            cookies=cookies,
            follow_redirects=follow_redirects,
            max_redirects=max_redirects,
            event_hooks=event_hooks,
        )
        self._tls = partial(requested_context, verify, cert, tls_minimum, ca_file)
        self._limits, self._terms = self.settings.limits(), self.settings.terms()
        network = network or LoopNetwork()
        self._pool: LoopPool[ClientWire] = LoopPool(self.settings, network, self._make_wire, tls)
        self._shared = Shared(self.settings, self._pool)

    async def request(self, method: str, url: str, **options: Unpack[Options]) -> Response:
        """Ask, and read the whole response.

        Args:
            method: such as "GET"; case matters.
            url: http or https; without a scheme, below `base_url`.
            options: `requests.Options`.

        Raises:
            ExchangeError: no response, or not all of it; its attributes say what the server may
                have seen. RedirectError: it leads nowhere. InvalidURL, TypeError: nothing was sent.
        """
        habits = self._habits
        if not habits.plain or (options and not TALKATIVE.isdisjoint(options)):
            return await self._whole(habits.begin(method, url, options))
        asked = habits.maker.make(method, url, options)
        if asked.needs_tls:
            self._provide_tls(asked)
        pool = self._pool
        began = pool.now()
        exchange = Exchange(self._shared, asked, True)
        await run_whole(exchange, pool)
        head = exchange.response
        assert head is not None
        pieces = exchange.pieces
        response = Response(asked.location.url, head, exchange.use, exchange.interims, asked)
        response.complete(
            pieces[0] if len(pieces) == 1 else b"".join(pieces), exchange.trailers, pool.now() - began
        )
        if sets_cookies(head.fields):
            habits.take_cookies(response.url, head.fields)
        return response

    async def send(self, request: Request, **options: Unpack[SendOptions]) -> Response:
        """Ask exactly this, such as `Response.next_request`; otherwise as `request`."""
        return await self._whole(self._habits.resume(request, options))

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[Options]
    ) -> AsyncIterator[AsyncStreamedResponse]:
        """Ask, and hand out the response as soon as its head is here. Arguments as of `request`.

        While content of the request is left, it is sent as the response is read. On leaving, what
        is left of the response is dropped (`AsyncStreamedResponse.aclose`).
        """
        response = await self._converse(self._habits.begin(method, url, options))
        try:
            yield response
            await response.aclose()
        finally:
            response.end_now()

    async def open(self, asked: Asked, runs: Callable[..., LoopRunner] = LoopRunner) -> AsyncStreamedResponse:
        """Ask exactly this, for libraries that make requests of their own; as `Client.open`."""
        self._provide_tls(asked)
        began = self._pool.now()
        runner = runs(Exchange(self._shared, asked, False), self._pool)
        await runner.advance()
        response = AsyncStreamedResponse(asked.location.url, runner)
        response.elapsed = self._pool.now() - began
        if runner.exchange.without_content:  # so that it holds no connection
            await runner.advance()
        return response

    def get(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method GET."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method HEAD."""
        return self.request("HEAD", url, **options)

    def post(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method DELETE."""
        return self.request("DELETE", url, **options)

    def options(self, url: str, **options: Unpack[Options]) -> Asking:
        """`request` with the method OPTIONS."""
        return self.request("OPTIONS", url, **options)

    @property
    def cookies(self) -> Cookies:
        """The jar: what servers set, and what is to be sent."""
        return self._habits.cookies

    async def warm(self, url: str, connections: int = 1) -> int:
        """Dial in advance, so that requests find connections and no handshake.

        As far as `max_per_origin` and `max_total` allow without closing others; those that there are
        count. They end at their idle limit like all others. A request that may not be repeated
        prefers one that was used before: only such a one has proven how long it may lie.

        Args:
            url: of the origin; its path does not matter.
            connections: how many there shall be.

        Returns:
            How many there are.

        Raises:
            ExchangeError: none came about. InvalidURL: nothing was dialled.
        """
        asked = self._habits.maker.make("GET", url, {})
        self._provide_tls(asked)
        return await self._pool.warm(asked.location.origin, connections)

    def statistics(self) -> Statistics:
        """Count the connections there are and what was asked; it never changes afterwards."""
        return self._pool.statistics()

    @property
    def shared(self) -> Shared:
        """What its exchanges share, for what watches them (`adapters.telemetry`)."""
        return self._shared

    async def aclose(self) -> None:
        """Close every connection; requests under way fail with `ClientClosed`. Idempotent."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _whole(self, conversation: Conversation) -> Response:
        began = self._pool.now()
        response = await self._converse(conversation)
        await response.aread()
        response.elapsed = self._pool.now() - began
        return response

    async def _converse(self, conversation: Conversation) -> AsyncStreamedResponse:
        """Carry out the steps of a conversation; what it leaves open when it fails ends with it."""
        steps = conversation.steps()
        response: AsyncStreamedResponse | None = None
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                kind, what = steps.send(value) if error is None else steps.throw(error)
                value = error = None
                try:
                    if kind == ASK:
                        value = response = await self.open(what)
                    elif kind == READ:
                        await what.aread()
                    elif kind == DROP:
                        await what.aclose()
                    else:
                        value = what()
                        if inspect.isawaitable(value):
                            value = await value
                except BaseException as caught:
                    error = caught
        except StopIteration as end:
            answer: AsyncStreamedResponse = end.value
            return answer
        except BaseException:
            if response is not None:
                response.end_now()
            raise
        finally:
            error = None  # its traceback holds this frame

    def _provide_tls(self, asked: Asked) -> None:
        if self._pool.dialler.tls is None and asked.needs_tls:
            self._pool.dialler.tls = self._tls()

    def _make_wire(self, origin: Origin) -> ClientWire:
        return ClientWire(ClientConnection(self._limits, self._terms), self._pool)
