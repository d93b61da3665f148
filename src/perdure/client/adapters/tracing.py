"""An exchange step by step, for httpx's extension `trace`, under the names of httpcore.

    connection.connect_tcp   connection.start_tls        a connection is dialled for this request
    http11.send_request_headers, send_request_body       what is sent
    http11.receive_response_headers, receive_response_body
    http11.response_closed                               the exchange is over

Each comes as `.started`, then `.complete` with what it returned or `.failed` with the exception.
A request that needs no dial has no `connection.` step; one that waits takes whichever connection
comes first, so its dial may be reported complete after its response. The steps are woven into the
flow of the exchange as effects of their own: without the extension nothing of this runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from perdure.client.adapters.network_stream import NetworkStream
from perdure.client.blocking_runner import BlockingRunner
from perdure.client.effects import HEAD, LEASE, PULL, RECEIVE, SEND, SEND_LAST, Effect, Flow
from perdure.client.exchange import Exchange
from perdure.client.loop_runner import LoopRunner
from perdure.wire.blocking import BlockingNetwork, BlockingWire
from perdure.wire.errors import TlsFailed
from perdure.wire.network import LoopNetwork

TRACE: Final = 7
"""An effect for the runner's caller, as HEAD and CONTENT are: (name, information)."""

Callback: TypeAlias = Callable[[str, dict[str, Any]], Any]
Step: TypeAlias = tuple[str, dict[str, Any]]

_DIALLING: ContextVar[Callback | None] = ContextVar("perdure_dialling", default=None)
"""Who is told of the dials that the current request begins."""

_STEP_OF: Final = {
    PULL: "http11.send_request_body",
    RECEIVE: "http11.receive_response_headers",
}


class Steps:
    """Where one exchange is."""

    def __init__(self, request: object) -> None:
        self._request = request
        self._current = ""

    def before(self, kind: int) -> Iterator[Step]:
        """What begins with an effect; what it ends comes first."""
        if kind in (SEND, SEND_LAST):
            if not self._current:
                yield self._begin("http11.send_request_headers")
            return
        following = _STEP_OF.get(kind)
        if following is None or self._current in ("", following) or self._response_begun:
            return
        yield from self.complete()
        if kind == RECEIVE and self._current == "http11.send_request_headers":
            yield self._begin("http11.send_request_body")
            yield from self.complete()
        yield self._begin(following)

    def after_head(self, exchange: Exchange) -> Iterator[Step]:
        """The head is here; content follows."""
        head = exchange.response
        assert head is not None
        headers = [(line.name, line.value) for line in head.fields]
        version = b"HTTP/%d.%d" % head.version
        if self._current != "http11.receive_response_headers":  # it came before the request was out
            yield from self.complete()
            yield self._begin("http11.receive_response_headers")
        yield from self.complete((version, head.status, head.reason_phrase or b"", headers))
        yield self._begin("http11.receive_response_body")

    def complete(self, value: object = None) -> Iterator[Step]:
        """The current step is over."""
        yield f"{self._current}.complete", {"return_value": value}

    def failed(self, error: BaseException) -> Iterator[Step]:
        """The current step failed."""
        if self._current:
            yield f"{self._current}.failed", {"exception": error}
        self._current = ""  # the request may be sent again

    def closed(self) -> Iterator[Step]:
        """The exchange is over."""
        yield self._begin("http11.response_closed")
        yield from self.complete()

    @property
    def _response_begun(self) -> bool:
        return self._current == "http11.receive_response_body"

    def _begin(self, name: str) -> Step:
        self._current = name
        return f"{name}.started", {"request": self._request}


def traced(exchange: Exchange, flow: Flow, request: object) -> Flow:
    """Weave the steps of an exchange into its flow."""
    steps = Steps(request)
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            effect = flow.send(value) if error is None else flow.throw(error)
        except StopIteration:
            break
        except Exception as failure:
            yield from _woven(steps.failed(failure))
            yield from _woven(steps.closed())
            raise
        value, error = None, None
        yield from _woven(steps.before(effect[0]))
        if effect[0] == LEASE:
            steps = Steps(request)
        try:
            value = yield effect
        except GeneratorExit:
            flow.close()
            raise
        except BaseException as caught:
            error = caught
        if effect[0] == HEAD:
            yield from _woven(steps.after_head(exchange))
    yield from _woven(steps.complete())
    yield from _woven(steps.closed())


def _woven(steps: Iterator[Step]) -> Flow:
    for step in steps:
        yield TRACE, step


@contextmanager
def _dials_told_to(callback: Callback) -> Iterator[None]:
    token = _DIALLING.set(callback)
    try:
        yield
    finally:
        _DIALLING.reset(token)


class TracedRunner(BlockingRunner):
    """Carries out the effects of one exchange, and tells of each step."""

    __slots__ = ("_callback",)

    def __init__(self, exchange: Exchange, pool: Any, callback: Callback, request: object) -> None:
        super().__init__(exchange, pool)
        self._callback = callback
        self._flow = traced(exchange, exchange.begin(), request)

    def advance(self) -> Effect | None:
        """As `BlockingRunner.advance`; the callback is called in between."""
        while (effect := super().advance()) is not None and effect[0] == TRACE:
            self._callback(*effect[1])
        return effect

    def _lease(self, fresh: bool) -> Any:
        with _dials_told_to(self._callback):
            return super()._lease(fresh)


class TracedLoopRunner(LoopRunner):
    """Carries out the effects of one exchange on an event loop, and tells of each step."""

    __slots__ = ("_callback",)

    def __init__(self, exchange: Exchange, pool: Any, callback: Callback, request: object) -> None:
        super().__init__(exchange, pool)
        self._callback = callback
        self._flow = traced(exchange, exchange.begin(), request)

    async def advance(self, error: BaseException | None = None) -> Effect | None:
        """As `LoopRunner.advance`; the callback is awaited in between."""
        while (effect := await super().advance(error)) is not None and effect[0] == TRACE:
            error = None
            await self._callback(*effect[1])
        return effect

    def _lease(self, fresh: bool) -> Any:
        # The task that dials inherits this context.
        with _dials_told_to(self._callback):
            return super()._lease(fresh)


def _dial_began(host: str, port: int, timeout: float) -> Step:
    return "connection.connect_tcp.started", {"host": host, "port": port, "timeout": timeout}


def _dial_ended(wire: Any, options: dict[str, Any]) -> Iterator[Step]:
    stream = NetworkStream(wire)
    yield "connection.connect_tcp.complete", {"return_value": stream}
    if options.get("tls") is not None:
        yield _handshake_began(options)
        yield "connection.start_tls.complete", {"return_value": stream}


def _dial_failed(error: Exception, options: dict[str, Any]) -> Iterator[Step]:
    if not isinstance(error, TlsFailed):
        yield "connection.connect_tcp.failed", {"exception": error}
        return
    yield "connection.connect_tcp.complete", {"return_value": None}
    yield _handshake_began(options)
    yield "connection.start_tls.failed", {"exception": error}


def _handshake_began(options: dict[str, Any]) -> Step:
    information = {"ssl_context": options["tls"], "server_hostname": options.get("server_hostname")}
    return "connection.start_tls.started", information


class TracedNetwork(BlockingNetwork):
    """Real sockets for threads; whoever is traced is told of the dials."""

    def dial(self, host: str, port: int, **options: Any) -> BlockingWire:
        """As `BlockingNetwork.dial`."""
        callback = _DIALLING.get()
        if callback is None:
            return super().dial(host, port, **options)
        callback(*_dial_began(host, port, options["timeout"]))
        try:
            wire = super().dial(host, port, **options)
        except Exception as error:
            for step in _dial_failed(error, options):
                callback(*step)
            raise
        for step in _dial_ended(wire, options):
            callback(*step)
        return wire


class TracedLoopNetwork(LoopNetwork):
    """Real sockets of an event loop; whoever is traced is told of the dials."""

    async def dial(self, factory: Callable[[], Any], host: str, port: int, **options: Any) -> Any:
        """As `LoopNetwork.dial`."""
        callback = _DIALLING.get()
        if callback is None:
            return await super().dial(factory, host, port, **options)
        await callback(*_dial_began(host, port, options["timeout"]))
        try:
            wire = await super().dial(factory, host, port, **options)
        except Exception as error:
            for step in _dial_failed(error, options):
                await callback(*step)
            raise
        for step in _dial_ended(wire, options):
            await callback(*step)
        return wire
