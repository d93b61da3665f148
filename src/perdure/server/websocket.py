"""A WebSocket behind an inbound connection: the ASGI websocket messages; wsproto does the frames.

    CONNECTING ──accept──▶ OPEN ──close, either side──▶ CLOSED
        └──close, or http.response (denial): an HTTP response; the connection persists or not as ever

Until it is accepted this is an HTTP exchange like any other; afterwards the connection is a tunnel
and ends with it.

RFC 6455 §4.2 (handshake), §7 (closing); RFC 9110 §7.8 (Upgrade); ASGI specification, WebSocket 2.5.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from wsproto import events as frames
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import LocalProtocolError, generate_accept_token

from perdure.core import FieldLine, Reason, Request, Response, State, make_line, make_lines

if TYPE_CHECKING:
    from perdure.server.asgi import AsgiConnection, Message

logger = logging.getLogger("perdure.server")

HELD_MESSAGES: Final = 32
"""Messages held for the application before reading pauses."""
LARGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Octets of one message; a larger one ends the connection with 1009 (uvicorn's default too)."""
CLOSE_SECONDS: Final = 10.0
"""How long a client may take to answer our close frame."""
ABNORMAL, GOING_AWAY, NO_STATUS, TOO_BIG, SERVER_ERROR, RESTART = 1006, 1001, 1005, 1009, 1011, 1012

UPGRADE: Final = make_line(b"Upgrade", b"websocket")


def wants_websocket(request: Request) -> bool:
    """True if a request asks to become a WebSocket. RFC 6455 §4.2.1."""
    return request.method == b"GET" and b"websocket" in request.facts.upgrade


def _values(request: Request, name: bytes) -> list[bytes]:
    return [line.value for line in request.fields if line.lowered == name]


def handshake_fault(request: Request) -> tuple[int, str, Sequence[FieldLine]] | None:
    """What is wrong with a handshake: (status, sentence, fields of the answer), or None.

    RFC 6455 §4.2.1, §4.4.
    """
    keys = _values(request, b"sec-websocket-key")
    if _values(request, b"sec-websocket-version") != [b"13"]:
        wanted = make_line(b"Sec-WebSocket-Version", b"13")
        return 426, "the WebSocket version spoken here is 13 (RFC 6455 §4.4)", (wanted, UPGRADE)
    if len(keys) != 1 or len(keys[0]) != 24:
        return 400, "exactly one Sec-WebSocket-Key of 24 characters is expected (RFC 6455 §4.2.1)", ()
    if not request.end:
        return 400, "a WebSocket handshake has no content (RFC 6455 §4.1)", ()
    return None


class WebSocketExchange:
    """One handshake and, once accepted, the WebSocket: the application's `receive` and `send`."""

    __slots__ = (
        "_connection",
        "_denial",
        "_extensions",
        "_frames",
        "_messages",
        "_parts",
        "_parts_size",
        "_receiver",
        "_request",
        "_sender",
        "closed",
        "task",
    )

    def __init__(self, connection: AsgiConnection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._frames: Frames | None = None
        self._extensions: list[Extension] = []
        self._messages: deque[Message] = deque([{"type": "websocket.connect"}])
        self._parts: list[Any] = []
        self._parts_size = 0
        self._receiver: asyncio.Future[None] | None = None
        self._sender: asyncio.Future[None] | None = None
        self._denial: Response | None = None
        self.closed = False
        """True once the application was, or will be, given the disconnect."""
        self.task: asyncio.Task[None]

    def complete_scope(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Turn an http scope into a websocket one."""
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        offered = b",".join(_values(self._request, b"sec-websocket-protocol")).decode("latin-1")
        scope["subprotocols"] = [word for part in offered.split(",") if (word := part.strip())]
        scope["extensions"] = {"websocket.http.response": {}}
        del scope["method"]
        return scope

    # The application's side.

    async def run(
        self, application: Callable[[Any, Any, Any], Awaitable[None]], scope: dict[str, Any]
    ) -> None:
        """Run the application; close for it where it does not."""
        code = SERVER_ERROR
        try:
            await application(scope, self.receive, self.send)
            code = 1000
        except asyncio.CancelledError:
            code = RESTART
            raise
        except Exception:
            logger.exception("%s: the application raised in its WebSocket", scope["path"])
        finally:
            self._connection.registry.tasks.discard(self.task)
            self._application_left(code)

    def _application_left(self, code: int) -> None:
        connection = self._connection
        if connection.exchange is not self:
            return
        if self._frames is not None:
            self._close(code, "")
        elif connection.protocol.own_state is State.IDLE:
            connection.exchange = None
            status = 403 if code == 1000 else 500
            connection.refuse(status, "Forbidden" if code == 1000 else "Internal Server Error")
        else:
            connection.exchange = None
            connection.abandon_response(Reason.LOCAL_FAULT)

    async def receive(self) -> Message:
        """The next message for the application."""
        while not self._messages:
            self._receiver = self._connection.loop.create_future()
            await self._receiver
        if len(self._messages) == HELD_MESSAGES // 2:
            self._connection.resume_reading()
        return self._messages.popleft()

    async def send(self, message: Message) -> None:
        """Take a message of the application's."""
        kind = message["type"]
        if self._frames is not None:
            await self._send_frames(kind, message)
        elif self.closed:
            raise OSError("the client has disconnected")
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._connection.exchange = None
            self.closed = True
            self._connection.refuse(403, "Forbidden")
        elif kind == "websocket.http.response.start":
            self._denial = Response(message["status"], make_lines(message.get("headers", ())))
        elif kind == "websocket.http.response.body":
            self._deny(message)
        else:
            raise RuntimeError(f"{kind} before the WebSocket was accepted")

    def _accept(self, message: Message) -> None:
        request = self._request
        token = generate_accept_token(_values(request, b"sec-websocket-key")[0])
        lines = [UPGRADE, make_line(b"Sec-WebSocket-Accept", token)]
        subprotocol = message.get("subprotocol")
        if subprotocol:
            lines.append(make_line(b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
        agreed = self._agree_on_deflate()
        if agreed is not None:
            lines.append(make_line(b"Sec-WebSocket-Extensions", agreed))
        lines += make_lines(message.get("headers", ()) or ())
        lines += self._connection.own_fields()
        self._frames = Frames(ConnectionType.SERVER, self._extensions)
        self._connection.open_tunnel(Response(101, lines), self)

    def _agree_on_deflate(self) -> bytes | None:
        offers = b",".join(_values(self._request, b"sec-websocket-extensions")).decode("latin-1")
        for offer in offers.split(","):
            if offer.split(";")[0].strip() != "permessage-deflate":
                continue
            deflate = PerMessageDeflate()
            accepted = deflate.accept(offer)
            if isinstance(accepted, str):
                self._extensions.append(deflate)
                return b"permessage-deflate" + (b"; " + accepted.encode() if accepted else b"")
        return None

    def _deny(self, message: Message) -> None:
        connection, denial = self._connection, self._denial
        if denial is None and connection.protocol.own_state is State.IDLE:
            raise RuntimeError("websocket.http.response.body before its start")
        octets, more = message.get("body", b""), message.get("more_body", False)
        if denial is not None and not more:
            connection.exchange = None
            self.closed = True
            connection.respond(denial, octets)
            return
        if denial is not None:
            self._denial = None
            denial.end = False
            connection.begin_response(denial)
        connection.send_content(octets)
        if not more:
            connection.exchange = None
            self.closed = True
            connection.end_response()

    async def _send_frames(self, kind: str, message: Message) -> None:
        if self.closed:
            raise OSError("the WebSocket is closed")
        if kind == "websocket.send":
            octets = message.get("bytes")
            event: frames.Event = (
                frames.TextMessage(message["text"]) if octets is None else frames.BytesMessage(octets)
            )
            self._write(event)
            if self._connection.writing_paused:
                self._sender = self._connection.loop.create_future()
                await self._sender
        elif kind == "websocket.close":
            self._close(message.get("code", 1000) or 1000, message.get("reason") or "")
        else:
            raise RuntimeError(f"{kind} after the WebSocket was accepted")

    def _write(self, event: frames.Event) -> None:
        if self._frames is None:
            return
        try:
            self._connection.write(self._frames.send(event))
        except LocalProtocolError as error:
            raise OSError("the WebSocket is closing") from error

    def _close(self, code: int, reason: str) -> None:
        """Send our close frame; the end comes with the client's, or when it takes too long."""
        if self._frames is None or self._frames.state is not ConnectionState.OPEN:
            return
        self._write(frames.CloseConnection(code, reason))
        self._tell_disconnect(code, reason)
        self._connection.loop.call_later(CLOSE_SECONDS, self._connection.close)

    # The connection's side.

    def tunnel_received(self, octets: bytes) -> None:
        """Octets of the WebSocket came."""
        if self._frames is None:
            return
        self._frames.receive_data(octets)
        for event in self._frames.events():
            self._on_frame(event)
            if self._connection.closing:
                return

    def _on_frame(self, event: frames.Event) -> None:
        if isinstance(event, frames.Message):
            self._collect(event)
        elif isinstance(event, frames.Ping):
            self._write(event.response())
        elif isinstance(event, frames.CloseConnection):
            if self._frames is not None and self._frames.state is ConnectionState.REMOTE_CLOSING:
                self._write(event.response())
            self._tell_disconnect(int(event.code), event.reason or "")
            self._connection.close()

    def _collect(self, event: frames.Message[Any]) -> None:
        self._parts.append(event.data)
        self._parts_size += len(event.data)
        if self._parts_size > LARGEST_MESSAGE:
            self._close(TOO_BIG, "message too big")
            self._connection.close()
            return
        if not event.message_finished:
            return
        parts, self._parts, self._parts_size = self._parts, [], 0
        if isinstance(event, frames.TextMessage):
            self._offer({"type": "websocket.receive", "text": "".join(parts)})
        else:
            self._offer({"type": "websocket.receive", "bytes": b"".join(parts)})

    def _offer(self, message: Message) -> None:
        if self.closed:
            return
        self._messages.append(message)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        elif len(self._messages) >= HELD_MESSAGES:
            self._connection.pause_reading()

    def _tell_disconnect(self, code: int, reason: str) -> None:
        self._offer({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.closed = True

    def tunnel_ended(self) -> None:
        """The client ended its side without a close frame."""
        self.disconnect()
        self._connection.close()

    def drain(self) -> None:
        """The server shuts down: say so, as far as the WebSocket goes."""
        if self._frames is not None:
            self._close(RESTART, "the server is shutting down")

    def take_content(self, octets: bytes, end: bool) -> None:
        """A handshake has no content: `handshake_fault` refused one that does."""

    def let_senders_go(self) -> None:
        """The client takes octets again."""
        if self._sender is not None and not self._sender.done():
            self._sender.set_result(None)

    def disconnect(self) -> None:
        """The connection is gone."""
        if not self.closed:
            self._tell_disconnect(ABNORMAL, "")
        self.let_senders_go()
