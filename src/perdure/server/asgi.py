"""An ASGI 3 application behind an inbound connection.

A task runs the application (`pipeline`); the small content of a request has arrived with its head by
the time the task runs, so `receive()` seldom waits. What the application says and hears is in `exchange`.

ASGI specification 3.0, HTTP 2.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from perdure.core import HTTP_10, HTTP_11, FieldLine, Reason, Request
from perdure.core.events import LikeRequest
from perdure.core.heads import authority, origin_form
from perdure.core.likeness import Likeness
from perdure.server.exchange import AsgiExchange
from perdure.server.handshake import handshake_fault, wants_websocket
from perdure.server.pipeline import PipelinedConnection
from perdure.server.registry import Registry
from perdure.server.response_heads import own_fields
from perdure.server.websocket import WebSocketExchange
from perdure.wire.errors import WireError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

EXTENSIONS: Final[dict[str, Any]] = {
    "http.response.trailers": MappingProxyType({}),
    "http.response.early_hint": MappingProxyType({}),
    "http.response.pathsend": MappingProxyType({}),
}
METHOD_WORDS: Final = {
    word.encode(): word for word in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}
"""One string for each, whoever says it: 50 octets less for an idle connection."""
VERSION_WORDS: Final = {HTTP_10: "1.0", HTTP_11: "1.1"}


def split_target(target: bytes) -> tuple[str, bytes, bytes]:
    """(path, raw path, query string) of a request target, as ASGI wants them.

    The path is percent-decoded, the others are octet for octet.
    """
    raw_path, query = target if target[:1] == b"/" else origin_form(target), b""
    if b"?" in raw_path:
        raw_path, _, query = raw_path.partition(b"?")
    if b"%" in raw_path:
        return unquote_to_bytes(raw_path).decode("utf-8", "replace"), raw_path, query
    return raw_path.decode("ascii"), raw_path, query


class AsgiConnection(PipelinedConnection):
    """A client's connection whose requests an ASGI application answers."""

    __slots__ = ("_fields", "_likeness", "_scope", "_state")

    def __init__(self, registry: Registry, application: Application, state: dict[str, Any] | None) -> None:
        super().__init__(registry, application)
        self._state = state
        self._scope: dict[str, Any] = {}  # of the latest request
        self._fields: Sequence[FieldLine] | None = None  # of which the scope's headers are
        self._likeness: Likeness | None = None

    def wire_opened(self) -> None:
        """Prepare what all scopes of this connection share."""
        super().wire_opened()
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": "",
            "scheme": "https" if self.tls else "http",
            "path": "",
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "headers": [],
            "client": _pair(self.peer_address),
            "server": _pair(self.own_address) or (self.own_address, None),
            "extensions": {},
        }

    def wire_lost(self, error: WireError | None) -> None:
        """As `Lifetime.wire_lost`; also an application whose response was abandoned learns of it."""
        super().wire_lost(error)
        self.exchange_aborted(Reason.PEER_CLOSED)

    def exchange_begins(self, request: Request) -> None:
        """Run the application on a new request."""
        if request is not self.plain:
            if request.facts.expectations and self.protocol.unmet_expectation:
                self.refuse(417, "the only expectation known is 100-continue (9110 §10.1.1)")
                return
            if request.target[:1] != b"/" and self._refuses_target(request):
                return
            if request.facts.upgrade and wants_websocket(request):
                self._begin_websocket(request)
                return
        exchange = self.exchange = AsgiExchange(self, request)
        self.run_exchange(exchange, self._scope_of(request))

    def begin_again(self, request: Request) -> tuple[AsgiExchange, Scope]:
        """As `exchange_begins`, for the request before once more."""
        exchange = self.exchange = AsgiExchange(self, request)
        return exchange, self._scope_of(request)

    def _begin_websocket(self, request: Request) -> None:
        """Run the application on a handshake that is in order."""
        fault = handshake_fault(request)
        if fault is not None:
            self.refuse(*fault)
            return
        exchange = self.exchange = WebSocketExchange(self, request)
        running = exchange.run(self.application, exchange.complete_scope(self._scope_of(request)))
        self.plain = None  # the same again is a handshake again
        task = exchange.task = self.loop.create_task(running, context=self._context.copy())
        self.registry.tasks.add(task)

    def _refuses_target(self, request: Request) -> bool:
        """Refuse a request that is not for an origin server, or not for this one."""
        if request.method == b"CONNECT":
            self.refuse(501, "this is no proxy: it opens no tunnels (9110 §9.3.6)")
            return True
        return self.refuses_secured(request)

    def _scope_of(self, request: Request) -> dict[str, Any]:
        template = self._scope
        if request is not self.plain:  # 1.5 µs less where it is (bench/bench_exchange.py)
            self._describe(request, template)
            self.plain = request
        scope = template.copy()
        scope["asgi"] = {"version": "3.0", "spec_version": "2.5"}
        scope["extensions"] = EXTENSIONS.copy()
        scope["headers"] = template["headers"].copy()
        if self._state is not None:
            scope["state"] = self._state.copy()
        return scope

    def _describe(self, request: Request, scope: dict[str, Any]) -> None:
        """Say what another request than the one before is."""
        method = request.method
        scope["method"] = METHOD_WORDS.get(method) or method.decode("ascii")
        scope["http_version"] = VERSION_WORDS.get(request.version, "1.1")
        target, likeness = request.target, request.likeness
        scope["path"], scope["raw_path"], scope["query_string"] = split_target(target)
        if target[:1] != b"/":
            # 9112 §3.2.2: the authority of an absolute-form target replaces Host (R20).
            host = (b"host", authority(target, request.facts))
            scope["headers"] = [host, *[line[5] for line in request.fields if line[1] != b"host"]]
            self._fields = self._likeness = None
        elif likeness is not None and likeness is self._likeness and type(request) is LikeRequest:
            scope["headers"][likeness.place] = likeness.pair_with(request.value)
            self._fields = None
        elif (fields := request.fields) is not self._fields:  # mostly the same: 0.1 µs for ten instead of 0.7
            scope["headers"] = [line[5] for line in fields]
            self._fields, self._likeness = fields, likeness

    def content_arrived(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Hand request content to the application; pause while it takes none."""
        if self.exchange is not None:
            self.exchange.take_content(octets, end)

    def exchange_aborted(self, reason: Reason) -> None:
        """Tell the application that its client is gone."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.disconnect()

    def tunnel_drains(self) -> None:
        """A WebSocket is told; the application hears of it."""
        if isinstance(self.exchange, WebSocketExchange):
            self.exchange.drain()

    def tunnel_time_over(self, now: float) -> None:
        """A WebSocket knows what it waits for."""
        if isinstance(self.exchange, WebSocketExchange):
            self.exchange.deadline_reached(now)

    def write_side_drained(self) -> None:
        """Let the application send again."""
        if self.exchange is not None:
            self.exchange.let_senders_go()

    def own_fields(self) -> Sequence[FieldLine]:
        """Date and Server."""
        return own_fields()


def _pair(address: object) -> tuple[str, int] | None:
    return (address[0], address[1]) if isinstance(address, tuple) else None
