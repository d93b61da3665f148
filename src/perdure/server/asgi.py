"""An ASGI 3 application behind an inbound connection.

Each request is one task that runs the application; the small content of a request has arrived
with its head by the time the task runs, so `receive()` seldom waits. The head of a response waits
for its first content, so that a small response is one write and gets its Content-Length.

ASGI specification 3.0, HTTP 2.5; RFC 9110 §10.1.1 (100-continue is sent when the application asks
for content).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from perdure.core import FieldLine, Interim, LocalViolation, Reason, Request, Response, make_line, make_lines
from perdure.core.heads import authority, origin_form
from perdure.server.connection import InboundConnection
from perdure.server.registry import Registry
from perdure.wire.clock import http_date, wall_clock

logger = logging.getLogger("perdure.server")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT_HELD: Final = 65536
"""Request content held for the application before reading pauses (asyncio's own high water)."""
SERVER_LINE: Final = make_line(b"Server", b"perdure")
DISCONNECT: Final = {"type": "http.disconnect"}
VERSION_WORDS: Final = {(1, 0): "1.0", (1, 1): "1.1"}


@lru_cache(1)
def date_line(second: int) -> FieldLine:
    """The Date field of one second of the wall clock. RFC 9110 §6.6.1."""
    return make_line(b"Date", http_date(second))


@lru_cache(2048)
def split_target(target: bytes) -> tuple[str, bytes, bytes]:
    """(path, raw path, query string) of a request target, as ASGI wants them.

    The path is percent-decoded, the others are octet for octet.
    """
    raw_path, _, query = origin_form(target).partition(b"?")
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    return path.decode("utf-8", "replace"), raw_path, query


class AsgiConnection(InboundConnection):
    """A client's connection whose requests an ASGI application answers."""

    __slots__ = ("_scope", "application", "exchange", "state")

    def __init__(self, registry: Registry, application: Application, state: dict[str, Any] | None) -> None:
        super().__init__(registry)
        self.application = application
        self.state = state
        self.exchange: AsgiExchange | None = None

    def wire_opened(self) -> None:
        """Prepare what all scopes of this connection share."""
        super().wire_opened()
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "scheme": "https" if self.tls else "http",
            "root_path": "",
            "client": _pair(self.peer_address),
            "server": _pair(self.own_address),
            "extensions": {"http.response.trailers": {}},
        }

    def exchange_begins(self, request: Request) -> None:
        """Run the application on a new request."""
        facts = request.facts
        if facts.expectations and request.version >= (1, 1) and facts.expectations != (b"100-continue",):
            self.refuse(417, "the only expectation known is 100-continue (9110 §10.1.1)")
            return
        exchange = self.exchange = AsgiExchange(self, request)
        exchange.task = self.loop.create_task(exchange.run(self.application, self._scope_of(request)))

    def _scope_of(self, request: Request) -> dict[str, Any]:
        scope = self._scope.copy()
        scope["method"] = request.method.decode("ascii")
        version = request.version
        scope["http_version"] = VERSION_WORDS.get(version, "1.1")
        scope["path"], scope["raw_path"], scope["query_string"] = split_target(request.target)
        fields = request.fields
        if request.target[:1] != b"/":
            # 9112 §3.2.2: the authority of an absolute-form target replaces Host (R20).
            host = authority(request.target, request.facts)
            scope["headers"] = [(b"host", host) if line.lowered == b"host" else line.pair for line in fields]
        else:
            scope["headers"] = [line[5] for line in fields]
        if self.state is not None:
            scope["state"] = self.state.copy()
        return scope

    def content_arrived(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Hand request content to the application; pause while it takes none."""
        exchange = self.exchange
        if exchange is not None:
            exchange.take_content(octets, end)

    def exchange_aborted(self, reason: Reason) -> None:
        """Tell the application that its client is gone."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.disconnect()

    def write_side_drained(self) -> None:
        """Let the application send again."""
        if self.exchange is not None:
            self.exchange.wake_sender()

    def own_fields(self) -> Sequence[FieldLine]:
        """Date and Server."""
        return (date_line(int(wall_clock())), SERVER_LINE)


def _pair(address: object) -> tuple[str, int] | None:
    return (address[0], address[1]) if isinstance(address, tuple) else None


class AsgiExchange:
    """One request and its response: the application's `receive` and `send`."""

    __slots__ = (
        "_complete",
        "_connection",
        "_content",
        "_content_octets",
        "_disconnected",
        "_ended",
        "_head",
        "_receiver",
        "_sender",
        "_trailers",
        "_trailers_follow",
        "method",
        "target",
        "task",
    )

    def __init__(self, connection: AsgiConnection, request: Request) -> None:
        self._connection = connection
        self.method = request.method
        self.target = request.target
        self.task: asyncio.Task[None] | None = None
        self._content: deque[bytes] = deque()
        self._content_octets = 0
        self._complete = request.end
        self._ended = False  # the application was given the last content
        self._disconnected = False
        self._head: Response | None = None  # started, not yet sent
        self._trailers: list[FieldLine] = []
        self._trailers_follow = False
        self._receiver: asyncio.Future[None] | None = None
        self._sender: asyncio.Future[None] | None = None

    # The application's side.

    async def run(self, application: Application, scope: Scope) -> None:
        """Run the application; answer for it where it does not."""
        try:
            await application(scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._give_up("was cancelled")
            raise
        except Exception:
            if not self._disconnected:
                logger.exception("%s %s: the application raised", self._method_text(), self._target_text())
            self._give_up(None)
        else:
            if self._connection.exchange is self:
                self._give_up("returned without completing its response")

    def _give_up(self, why: str | None) -> None:
        connection = self._connection
        if connection.exchange is not self:
            return
        if why is not None:
            logger.error("%s %s: the application %s", self._method_text(), self._target_text(), why)
        connection.exchange = None
        if connection.protocol.own_state.name == "IDLE":
            connection.refuse(500, "Internal Server Error")
        else:
            connection.abandon_response(Reason.LOCAL_FAULT)

    async def receive(self) -> Message:
        """The next message for the application: content, or the disconnect."""
        connection = self._connection
        while not self._content and not self._complete and not self._disconnected:
            if connection.protocol.awaits_continue:
                connection.send_interim(Interim(100))
            self._receiver = connection.loop.create_future()
            await self._receiver
        if self._disconnected or connection.exchange is not self:
            return DISCONNECT.copy()
        if self._ended:
            # Only the end of the connection is left to be told.
            self._receiver = connection.loop.create_future()
            await self._receiver
            return DISCONNECT.copy()
        content = self._content
        octets = content[0] if len(content) == 1 else b"".join(content)
        content.clear()
        self._content_octets = 0
        self._ended = self._complete
        if not self._complete:
            connection.resume_reading()
        return {"type": "http.request", "body": octets, "more_body": not self._complete}

    async def send(self, message: Message) -> None:
        """Take a message of the application's: start, body or trailers."""
        kind = message["type"]
        connection = self._connection
        if self._disconnected:
            raise OSError("the client has disconnected")
        if connection.exchange is not self:
            raise RuntimeError(f"{kind} after the response was complete")
        if kind == "http.response.body":
            self._send_body(message)
            if connection.writing_paused:
                await self._writable()
        elif kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.trailers":
            self._send_trailers(message)
        else:
            raise RuntimeError(f"{kind} is not a message that an HTTP application sends")

    def _start(self, message: Message) -> None:
        if self._head is not None or self._connection.protocol.own_state.name != "IDLE":
            raise RuntimeError("http.response.start was sent before")
        lines = make_lines(message.get("headers", ()))
        has_date = has_server = False
        for line in lines:
            if line[1] == b"date":
                has_date = True
            elif line[1] == b"server":
                has_server = True
        if not has_date:
            lines.append(date_line(int(wall_clock())))
        if not has_server:
            lines.append(SERVER_LINE)
        self._trailers_follow = bool(message.get("trailers", False))
        self._head = Response(message["status"], lines)

    def _send_body(self, message: Message) -> None:
        connection = self._connection
        octets = message.get("body", b"")
        more = message.get("more_body", False)
        head, self._head = self._head, None
        whole = not more and not self._trailers_follow
        if head is not None and whole:
            connection.exchange = None
            self._wake_receiver()
            try:
                connection.respond(head, octets)
            except LocalViolation:
                connection.exchange = self
                raise
            return
        if head is not None:
            head.end = False
            connection.begin_response(head)
        elif connection.protocol.own_state.name == "IDLE":
            raise RuntimeError("http.response.body was sent before http.response.start")
        connection.send_content(octets)
        if whole:
            connection.exchange = None
            self._wake_receiver()
            connection.end_response()

    def _send_trailers(self, message: Message) -> None:
        self._trailers += make_lines(message.get("headers", ()))
        if message.get("more_trailers", False):
            return
        self._connection.exchange = None
        self._wake_receiver()
        self._connection.end_response(self._trailers)

    async def _writable(self) -> None:
        self._sender = self._connection.loop.create_future()
        await self._sender

    # The connection's side.

    def take_content(self, octets: bytes, end: bool) -> None:
        """Content came; hold it until the application asks."""
        if octets:
            self._content.append(octets)
            self._content_octets += len(octets)
        self._complete = end
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        elif self._content_octets > CONTENT_HELD and not end:
            self._connection.pause_reading()

    def wake_sender(self) -> None:
        """The client takes octets again."""
        if self._sender is not None and not self._sender.done():
            self._sender.set_result(None)

    def _wake_receiver(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def disconnect(self) -> None:
        """The client is gone: `receive` says so, `send` raises."""
        self._disconnected = True
        self._wake_receiver()
        self.wake_sender()

    def _method_text(self) -> str:
        return self.method.decode("ascii", "replace")

    def _target_text(self) -> str:
        return self.target.decode("ascii", "replace")
