"""`Client`: asks over connections that persist, with blocking sockets. Threads may share one.

A plain request is one exchange (`blocking_runner`); what else callers want around it is `conversation`.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from perdure.client.authentication import AuthenticationSource
from perdure.client.blocking_pool import BlockingPool
from perdure.client.blocking_response import StreamedResponse
from perdure.client.blocking_runner import BlockingRunner
from perdure.client.conversation import ASK, DROP, READ, Conversation, Hook
from perdure.client.cookies import Cookies, CookieSource, sets_cookies
from perdure.client.effects import Shared
from perdure.client.exchange import Exchange
from perdure.client.habits import TALKATIVE, Habits, RequestDefaults
from perdure.client.models import Response
from perdure.client.proxies import FROM_ENVIRONMENT, ProxySource
from perdure.client.request import Request
from perdure.client.requests import Asked, HeaderSource, Options, SendOptions
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import TimeoutSource, with_timeouts
from perdure.client.urls import Parameters
from perdure.core.client_connection import ClientConnection
from perdure.core.pool import Statistics
from perdure.wire.blocking import BlockingNetwork, StreamNetwork
from perdure.wire.tls import Certificate, TlsContext, Verification, requested_context

__all__ = ["Client", "StreamedResponse"]


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
        network: StreamNetwork | None = None,
        **settings: Any,
    ) -> None:
        """Make a client; nothing is connected yet. Arguments as of `AsyncClient`."""
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
        limits, terms = self.settings.limits(), self.settings.terms()
        network = network or BlockingNetwork()
        self._pool = BlockingPool(self.settings, network, partial(ClientConnection, limits, terms), tls)
        self._shared = Shared(self.settings, self._pool)
        _POOLS.add(self._pool)

    def request(self, method: str, url: str, **options: Unpack[Options]) -> Response:
        """Ask, and read the whole response. Arguments and errors as of `AsyncClient.request`."""
        habits = self._habits
        if not habits.plain or (options and not TALKATIVE.isdisjoint(options)):
            return self._whole(habits.begin(method, url, options))
        asked = habits.maker.make(method, url, options)
        self._provide_tls(asked)
        began = self._pool.now()
        exchange = Exchange(self._shared, asked, True)
        BlockingRunner(exchange, self._pool).advance()
        head = exchange.response
        assert head is not None
        response = Response(asked.location.url, head, exchange.use, exchange.interims, asked)
        response.complete(b"".join(exchange.pieces), exchange.trailers, self._pool.now() - began)
        if sets_cookies(head.fields):
            habits.take_cookies(response.url, head.fields)
        return response

    def send(self, request: Request, **options: Unpack[SendOptions]) -> Response:
        """Ask exactly this, such as `Response.next_request`; otherwise as `request`."""
        return self._whole(self._habits.resume(request, options))

    @contextmanager
    def stream(self, method: str, url: str, **options: Unpack[Options]) -> Iterator[StreamedResponse]:
        """Ask, and hand out the response as soon as its head is here; as `AsyncClient.stream`."""
        response = self._converse(self._habits.begin(method, url, options))
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
        self._provide_tls(asked)
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

    @property
    def cookies(self) -> Cookies:
        """The jar: what servers set, and what is to be sent."""
        return self._habits.cookies

    def warm(self, url: str, connections: int = 1) -> int:
        """Dial in advance; as `AsyncClient.warm`."""
        asked = self._habits.maker.make("GET", url, {})
        self._provide_tls(asked)
        return self._pool.warm(asked.location.origin, connections)

    def statistics(self) -> Statistics:
        """Count the connections there are and what was asked; it never changes afterwards."""
        return self._pool.statistics()

    @property
    def shared(self) -> Shared:
        """What its exchanges share, for what watches them (`adapters.telemetry`)."""
        return self._shared

    def close(self) -> None:
        """Close every connection; one in use by another thread, once its exchange is over. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _whole(self, conversation: Conversation) -> Response:
        began = self._pool.now()
        response = self._converse(conversation)
        response.read()
        response.elapsed = self._pool.now() - began
        return response

    def _converse(self, conversation: Conversation) -> StreamedResponse:
        """Carry out the steps of a conversation; what it leaves open when it fails ends with it."""
        steps = conversation.steps()
        response: StreamedResponse | None = None
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                kind, what = steps.send(value) if error is None else steps.throw(error)
                value = error = None
                try:
                    if kind == ASK:
                        value = response = self.open(what)
                    elif kind == READ:
                        what.read()
                    elif kind == DROP:
                        what.close()
                    else:
                        value = what()
                except BaseException as caught:
                    error = caught
        except StopIteration as end:
            answer: StreamedResponse = end.value
            return answer
        except BaseException:
            if response is not None:
                response.end_now()
            raise
        finally:
            error = None  # its traceback holds this frame

    def _provide_tls(self, asked: Asked) -> None:
        if self._pool.dialler.tls is None and asked.location.origin.needs_tls:
            self._pool.dialler.tls = self._tls()


_POOLS: weakref.WeakSet[BlockingPool] = weakref.WeakSet()
"""Those that a fork must not share with the child."""


def _forget_after_fork() -> None:
    for pool in list(_POOLS):
        pool.forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
