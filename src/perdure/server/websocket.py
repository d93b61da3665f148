"""A WebSocket behind an inbound connection: the ASGI websocket messages; wsproto does the frames.

    CONNECTING ──accept──▶ OPEN ──close, either side──▶ CLOSED
        └──close, or http.response (denial): an HTTP response; the connection persists or not as ever

Until it is accepted this is an HTTP exchange like any other; afterwards the connection is a tunnel
and ends with it. The connection's deadline asks a client that says nothing whether it is still
there, and ends the wait for its close frame.

RFC 6455 §5.5 (control frames), §7 (closing); ASGI specification, WebSocket 2.5.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wsproto import events as frames
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.frame_protocol import CloseReason

from perdure.core import LocalViolation, Reason, Request, Response, State, make_lines
from perdure.server.handshake import accept_fields, offered_subprotocols
from perdure.server.response_heads import response_head
from perdure.server.settings import application_settings
from perdure.server.websocket_message import Assembly, MessageTooBig

if TYPE_CHECKING:
    from perdure.server.asgi import AsgiConnection, Message

logger = logging.getLogger("perdure.server")

ABNORMAL, NO_STATUS, SERVER_ERROR, RESTART = 1006, 1005, 1011, 1012


def check_close_code(code: int) -> int:
    """The code again, if a close frame may say it; 1005 stands for none.

    Raises:
        ValueError: it may not. RFC 6455 §7.4.
    """
    if 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, ABNORMAL)):
        return code
    raise ValueError(f"close code {code}, expected 1000 to 1014 or 3000 to 4999 (RFC 6455 §7.4)")


class WebSocketExchange:
    """One handshake and, once accepted, the WebSocket: the application's `receive` and `send`.

    Attributes:
        closed: True once the application was, or will be, given the disconnect.
        task: runs the application.
    """

    __slots__ = (
        "_assembly",
        "_connection",
        "_denial",
        "_disconnect",
        "_frames",
        "_heard_at",
        "_messages",
        "_pinged",
        "_pong",
        "_receivers",
        "_request",
        "_senders",
        "_settings",
        "closed",
        "task",
    )

    def __init__(self, connection: AsgiConnection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._frames: Frames | None = None  # until it is accepted
        self._denial: Response | None = None  # between its start and its first content
        self._messages: deque[Message] = deque([{"type": "websocket.connect"}])
        self._settings = settings = application_settings(connection.registry.settings)
        self._assembly = Assembly(settings.websocket_max_message)
        self._disconnect: Message = {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()
        self._pong: frames.Pong | None = None  # waits until the client reads
        self._heard_at = 0.0
        self._pinged = False
        self.closed = False
        self.task: asyncio.Task[None]

    def complete_scope(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Turn an http scope into a websocket one."""
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = offered_subprotocols(self._request)
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
            if self._frames is None and not self.closed:
                logger.error("%s: the application returned without answering the handshake", scope["path"])
        except asyncio.CancelledError:
            code = RESTART
            raise
        except Exception as error:
            if not (self.closed and isinstance(error, OSError)):  # that is how it heard of the end
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
            return
        connection.exchange = None
        self.closed = True
        if connection.protocol.own_state is State.IDLE:
            connection.refuse(500, "Internal Server Error")
        else:
            connection.abandon_response(Reason.LOCAL_FAULT)

    async def receive(self) -> Message:
        """The next message for the application; after the disconnect that one again."""
        while not self._messages:
            if self.closed:
                return self._disconnect
            await self._wait(self._receivers)
        message = self._messages.popleft()
        if self._frames is not None and 2 * len(self._messages) <= self._settings.websocket_held_messages:
            self._read_on()
        return message

    async def send(self, message: Message) -> None:
        """Take a message of the application's.

        Raises:
            OSError: the WebSocket is closed, by whichever side.
            RuntimeError, ValueError: not a message, or not one that may be sent now.
        """
        kind = message["type"]
        if self.closed:
            raise OSError("the WebSocket is closed")
        if self._frames is not None:
            self._send_open(kind, message)
        else:
            self._send_connecting(kind, message)
        connection = self._connection
        while connection.writing_paused and connection.exchange is self and not self.closed:
            await self._wait(self._senders)

    def _send_connecting(self, kind: str, message: Message) -> None:
        undecided = self._denial is None and self._connection.protocol.own_state is State.IDLE
        if kind == "websocket.accept" and undecided:
            self._accept(message)
        elif kind == "websocket.close" and undecided:
            self._answered()
            self._connection.refuse(403, "Forbidden")
        elif kind == "websocket.http.response.start" and undecided:
            self._denial = response_head(message)
        elif kind == "websocket.http.response.body" and not undecided:
            self._deny(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} before the WebSocket was accepted")

    def _send_open(self, kind: str, message: Message) -> None:
        if kind == "websocket.close":
            code = message.get("code")
            self._close(check_close_code(1000 if code is None else code), message.get("reason") or "")
            return
        if kind != "websocket.send":
            raise RuntimeError(f"{kind} after the WebSocket was accepted")
        octets, text = message.get("bytes"), message.get("text")
        if text is not None and octets is None:
            self._write(frames.TextMessage(text))
        elif octets is not None and text is None:
            self._write(frames.BytesMessage(octets))
        else:
            raise ValueError("websocket.send has either text or bytes")

    def _accept(self, message: Message) -> None:
        connection = self._connection
        lines, deflate = accept_fields(
            self._request, message.get("subprotocol"), self._settings.websocket_max_message
        )
        lines += make_lines(message.get("headers") or ())
        lines += connection.own_fields()
        self._frames = Frames(ConnectionType.SERVER, [deflate] if deflate else [])
        try:
            connection.open_tunnel(Response(101, lines), self)
        except LocalViolation:
            self._frames = None
            raise
        if not connection.closing:
            self._heard(connection.now())
        if connection.registry.draining:
            self.drain()

    def _deny(self, octets: bytes, more: bool) -> None:
        connection, denial = self._connection, self._denial
        self._denial = None
        if denial is not None and not more:
            written = connection.protocol.send_whole(denial, octets)  # raises before anything is sent
            self._answered()
            connection.finish(written)
        elif denial is not None:
            connection.begin_response(denial, octets)
        elif more:
            connection.send_content(octets)
        else:
            self._answered()
            connection.end_response(octets=octets)

    def _answered(self) -> None:
        """The handshake was refused: the connection is free for another exchange."""
        self._connection.exchange = None
        self._tell_disconnect(ABNORMAL, "")

    async def _wait(self, waiting: deque[asyncio.Future[None]]) -> None:
        """Wait among others; each may be cancelled without the others noticing."""
        future = self._connection.loop.create_future()
        waiting.append(future)
        try:
            await future
        finally:
            waiting.remove(future)

    # Frames that leave.

    def _write(self, event: frames.Event) -> None:
        """Write a frame; one that may not be sent any more is dropped."""
        own = self._frames
        if own is not None and own.state is ConnectionState.OPEN and not self._connection.closing:
            self._connection.write(own.send(event))

    def _close(self, code: int, reason: str) -> None:
        """Send our close frame; the end comes with the client's, or when it takes too long."""
        own, connection = self._frames, self._connection
        if own is None or own.state is not ConnectionState.OPEN or connection.closing:
            return
        self._write(frames.CloseConnection(code, reason))
        self._tell_disconnect(code, reason)
        connection.deadline = connection.now() + self._settings.websocket_close_timeout
        self._read_on()  # the client's close frame may be behind messages that nobody wants any more

    def _end(self) -> None:
        """End the connection, so that the client can read to the end."""
        self._connection.end_connection(Reason.TUNNEL)

    # The connection's side.

    def tunnel_received(self, octets: bytes) -> None:
        """Octets of the WebSocket came."""
        if self._frames is None or self._connection.closing:
            return
        self._heard_at = self._connection.now()
        self._pinged = False
        self._frames.receive_data(octets)
        self._read_on()

    def _read_on(self) -> None:
        """Act on the frames that came, until the application has enough to do."""
        if self._frames is None:
            return
        for event in self._frames.events():
            self._on_frame(event)
            if self._connection.closing:
                return
            if len(self._messages) >= self._settings.websocket_held_messages and not self.closed:
                self._connection.pause_reading()
                return
        self._connection.resume_reading()

    def _on_frame(self, event: frames.Event) -> None:
        if isinstance(event, frames.Message):
            self._take_part(event)
        elif isinstance(event, frames.Ping):
            # 6455 §5.5.3: of several pings the last one's answer is enough.
            self._pong = event.response()
            self._send_pong()
        elif isinstance(event, frames.CloseConnection):
            self._closed_by_client(event)

    def _take_part(self, part: frames.Message[Any]) -> None:
        if self.closed:
            return
        try:
            message = self._assembly.add(part)
        except MessageTooBig as error:
            self._fail(CloseReason.MESSAGE_TOO_BIG, str(error))
            return
        if message is not None:
            self._messages.append(message)
            _wake(self._receivers)

    def _send_pong(self) -> None:
        pong = self._pong
        if pong is not None and not self._connection.writing_paused:
            self._pong = None
            self._write(pong)

    def _closed_by_client(self, event: frames.CloseConnection) -> None:
        """Its close frame came; or wsproto says with which one to answer what is no frame."""
        code, reason = int(event.code), event.reason or ""
        if self._frames is not None and self._frames.state is ConnectionState.OPEN:
            self._fail(code, reason)
            return
        if self._frames is not None and self._frames.state is ConnectionState.REMOTE_CLOSING:
            self._connection.write(self._frames.send(event.response()))
        self._tell_disconnect(code, reason)
        self._end()

    def _fail(self, code: int, reason: str) -> None:
        """The client broke the protocol, or sends too much: say so and end. RFC 6455 §7.1.7."""
        logger.warning("connection %d: WebSocket: %s (%d)", self._connection.number, reason, code)
        self._write(frames.CloseConnection(code, reason))
        self._tell_disconnect(code, reason)
        self._end()

    def _tell_disconnect(self, code: int, reason: str) -> None:
        """Let the application know, after the messages that it has not yet taken."""
        if not self.closed:
            self.closed = True
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
            _wake(self._receivers)
            _wake(self._senders)

    def tunnel_ended(self) -> None:
        """The client ended its side without a close frame."""
        self.disconnect()
        self._end()

    def deadline_reached(self, now: float) -> None:
        """The client says nothing: ask whether it is there; end where it was asked already."""
        if self.closed:
            self._end()
            return
        interval, timeout = self._settings.websocket_ping_interval, self._settings.websocket_ping_timeout
        silent_since = self._heard_at
        if interval is None:
            self._heard(now)
        elif now < silent_since + interval or self._connection.reading_paused:
            self._heard(silent_since if now < silent_since + interval else now)
        elif self._pinged:
            self._connection.cut_off(Reason.IDLE_LIMIT)
        else:
            self._pinged = timeout is not None
            self._write(frames.Ping())
            self._connection.deadline = now + (interval if timeout is None else timeout)

    def _heard(self, at: float) -> None:
        self._heard_at = at
        interval = self._settings.websocket_ping_interval
        self._connection.deadline = math.inf if interval is None else at + interval

    def drain(self) -> None:
        """The server shuts down: say so, as far as the WebSocket goes."""
        if self._frames is not None:
            self._close(RESTART, "the server is shutting down")

    def take_content(self, octets: bytes, end: bool) -> None:
        """A handshake has no content: `handshake_fault` refused one that does."""

    def let_senders_go(self) -> None:
        """The client takes octets again."""
        self._send_pong()
        _wake(self._senders)

    def disconnect(self) -> None:
        """The connection is gone."""
        self._tell_disconnect(ABNORMAL, "")


def _wake(waiting: deque[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
