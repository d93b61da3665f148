"""One request and its response, as the application sees them: its `receive` and `send`.

What the application may say, in this order; anything else raises RuntimeError in the application:

    NOTHING ─start─▶ STARTED ─body─▶ STREAMING ─last body─▶ COMPLETE
                        │                 └─last body, trailers announced─▶ TRAILERS ─last trailers─▶ COMPLETE
                        └─the only body─▶ COMPLETE

The head of a response waits for its first content, so that a small response is one write and gets
its Content-Length, and an application that fails in between can still be answered for with a 500.

ASGI specification 3.0, HTTP 2.5; RFC 9110 §10.1.1 (100-continue is sent when the application asks
for content).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from perdure.core import Interim, Reason, Request, Response, State, make_line, make_lines
from perdure.server.gathering import Gathering
from perdure.server.pathsend import PIECE_OCTETS, open_file, sized
from perdure.server.response_heads import response_head

if TYPE_CHECKING:
    from perdure.server.asgi import AsgiConnection

logger = logging.getLogger("perdure.server")

Message = MutableMapping[str, Any]

CONTENT_HELD: Final = 65536
"""Request content held for the application before reading pauses (asyncio's own high water)."""
HEARING_PASSES: Final = 8
"""How often the loop goes round before a `send` to a client that is gone raises: a task of the application
that listens for the disconnect acts first. Django's cancels the sender and cleans up; where the sender fails
before, it does neither."""

# Where the application is in its response.
NOTHING, STARTED, STREAMING, TRAILERS, COMPLETE = range(5)
STAGES: Final = (
    "before http.response.start",
    "after it",
    "in its content",
    "before its trailers",
    "complete",
)

_IDLE = State.IDLE


class AsgiExchange:
    """One request and its response: the application's `receive` and `send`.

    Attributes:
        request: what the application was given.
        task: runs it, unless one began with a request before it (`pipeline`).
    """

    __slots__ = (
        "_complete",
        "_connection",
        "_content",
        "_disconnected",
        "_gathering",
        "_head",
        "_held_octets",
        "_receivers",
        "_senders",
        "_stage",
        "_told_end",
        "_trailers",
        "request",
        "task",
    )

    def __init__(self, connection: AsgiConnection, request: Request) -> None:
        self.request = request
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._stage = NOTHING
        self._disconnected = False
        self._head: Response | None = None  # while STARTED
        self._trailers: list[Any] | None = None  # None: none were announced
        self._gathering: Gathering | None = None
        # Of the request's content.
        self._content: list[bytes] | None = None
        self._held_octets = 0
        self._complete = request.end
        self._told_end = False
        # Futures of the application's tasks: several may wait at once, and each may be cancelled.
        self._receivers: list[asyncio.Future[None]] | None = None
        self._senders: list[asyncio.Future[None]] | None = None

    # The application's side.

    async def receive(self) -> Message:
        """The next message for the application: content, or the disconnect."""
        connection = self._connection
        while connection.exchange is self and not (self._content or (self._complete and not self._told_end)):
            if connection.protocol.awaits_continue:
                connection.send_interim(Interim(100))
            self._receivers = self._receivers or []
            await self._wait(self._receivers)
        if connection.exchange is not self:
            return {"type": "http.disconnect"}
        content, self._content = self._content, None
        self._held_octets = 0
        self._told_end = self._complete
        if not self._complete:
            connection.resume_reading()
        octets = b"" if content is None else content[0] if len(content) == 1 else b"".join(content)
        return {"type": "http.request", "body": octets, "more_body": not self._complete}

    async def send(self, message: Message) -> None:
        """Take a message of the application's: start, body, trailers, early hint."""
        kind = message["type"]
        connection = self._connection
        if connection.exchange is not self:
            if self._disconnected:
                for _ in range(HEARING_PASSES):
                    await asyncio.sleep(0)
                raise OSError("the client has disconnected")
            raise RuntimeError(f"{kind} after the response was complete")
        if kind == "http.response.start":
            if self._stage != NOTHING:
                raise self._unexpected(kind)
            self._head = response_head(message)
            self._trailers = [] if message.get("trailers") else None
            self._stage = STARTED
        elif kind == "http.response.body":
            self._send_body(message)
            while connection.writing_paused and connection.exchange is self:
                await self._wait_to_send()
        elif kind == "http.response.trailers":
            self._send_trailers(message)
        elif kind == "http.response.pathsend":
            await self._send_file(message["path"])
        elif kind == "http.response.early_hint":
            links = [make_line(b"Link", link) for link in message["links"]]
            connection.send_interim(Interim(103, links))
        else:
            raise RuntimeError(f"{kind} is not a message that an HTTP application sends")

    def _send_body(self, message: Message) -> None:
        if self._stage != STARTED and self._stage != STREAMING:
            raise self._unexpected("http.response.body")
        connection = self._connection
        octets = message.get("body", b"")
        if type(octets) is not bytes:
            octets = memoryview(octets).tobytes()
        last = not message.get("more_body", False)
        head = self._head
        if head is not None:
            if last and self._trailers is None:
                if connection.driver is None and connection.respond_again(head, octets):
                    self._finish()
                    return
                written = connection.protocol.send_whole(head, octets)  # raises before anything is sent
                self._finish()
                connection.finish(written)
                return
            self._head = None
            self._stage = TRAILERS if last else STREAMING
            if not last and connection.protocol.needs_length(head):
                self._gathering = Gathering(head, connection.registry.settings.buffer_http10)
                self._gather(self._gathering, octets)
            else:
                connection.begin_response(head, octets)
        elif self._gathering is not None:
            self._gather(self._gathering, octets, last)
        elif not last:
            connection.send_content(octets)
        elif self._trailers is None:
            self._finish()
            connection.end_response(octets=octets)
        else:
            self._stage = TRAILERS
            connection.send_content(octets)

    def _gather(self, gathering: Gathering, octets: bytes, last: bool = False) -> None:
        """Keep a response to HTTP/1.0 back: with its length known the connection can live."""
        gathering.take(octets)
        connection = self._connection
        if last and self._trailers is None:
            self._gathering = None
            written = connection.protocol.send_whole(gathering.head, gathering.content())
            self._finish()
            connection.finish(written)
        elif gathering.too_much or last:
            self._gathering = None
            self._stage = TRAILERS if last else STREAMING
            connection.begin_response(gathering.head, gathering.content())

    async def _send_file(self, path: str) -> None:
        """Send a file as the whole content."""
        head, connection = self._head, self._connection
        if self._stage != STARTED or head is None:
            raise self._unexpected("http.response.pathsend")
        in_thread = connection.loop.run_in_executor
        file, left = await in_thread(None, open_file, path)
        with file:
            self._head = sized(head, left)
            more = True
            while more:
                octets = await in_thread(None, file.read, min(PIECE_OCTETS, left)) or b""
                if connection.exchange is not self:
                    raise OSError("the client has disconnected")
                left -= len(octets)
                if left and not octets:
                    raise RuntimeError(f"{path} became shorter by {left} octets while it was sent")
                # A response to HEAD is complete with its head, whatever the file holds.
                more = left > 0 and connection.protocol.own_state is not State.DONE
                self._send_body({"body": octets, "more_body": more})
                while connection.writing_paused and connection.exchange is self:
                    await self._wait_to_send()

    def _send_trailers(self, message: Message) -> None:
        if self._stage != TRAILERS or self._trailers is None:
            raise self._unexpected("http.response.trailers")
        self._trailers += make_lines(message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._finish()
            self._connection.end_response(self._trailers)

    def _finish(self) -> None:
        """The next octets are the last ones: the connection is free for another exchange."""
        self._stage = COMPLETE
        self._connection.exchange = None
        if self._receivers:
            _wake(self._receivers)

    async def _wait_to_send(self) -> None:
        self._senders = self._senders or []
        await self._wait(self._senders)

    async def _wait(self, waiting: list[asyncio.Future[None]]) -> None:
        """Wait among others; each may be cancelled without the others noticing."""
        future = self._connection.loop.create_future()
        waiting.append(future)
        try:
            await future
        finally:
            waiting.remove(future)

    def _unexpected(self, kind: str) -> RuntimeError:
        return RuntimeError(f"{self}: {kind} {STAGES[self._stage]}")

    # The connection's side.

    def returned(self) -> None:
        """The application returned, and the response is not complete."""
        self._give_up("the application returned without completing its response")

    def cancelled(self) -> None:
        """The application was cancelled."""
        self._give_up("the application was cancelled")

    def failed(self) -> None:
        """The application raised what is being handled; nobody is to blame if its client is gone."""
        if not self._disconnected:
            logger.exception("%s: the application raised", self)
        self._give_up(None)

    def _give_up(self, why: str | None) -> None:
        connection = self._connection
        if connection.exchange is not self:
            return
        if why is not None:
            logger.error("%s: %s, %s", self, why, STAGES[self._stage])
        connection.exchange = None
        state = connection.protocol.own_state
        if state is _IDLE:
            connection.refuse(500, "Internal Server Error")
        elif state is State.DONE:  # of a response without content nothing is missing
            connection.finish(b"")
        else:
            connection.abandon_response(Reason.LOCAL_FAULT)

    def take_content(self, octets: bytes, end: bool) -> None:
        """Content came; hold it until the application asks."""
        if octets:
            if self._content is None:
                self._content = [octets]
            else:
                self._content.append(octets)
            self._held_octets += len(octets)
        self._complete = end
        if self._receivers:
            _wake(self._receivers)
        if self._held_octets > CONTENT_HELD and not end:
            self._connection.pause_reading()

    def let_senders_go(self) -> None:
        """The client takes octets again."""
        _wake(self._senders)

    def disconnect(self) -> None:
        """The client is gone: `receive` says so, `send` raises."""
        self._disconnected = True
        _wake(self._receivers)
        _wake(self._senders)

    def __str__(self) -> str:
        request = self.request
        return f"{request.method.decode('ascii')} {request.target.decode('latin-1')}"


def _wake(waiting: list[asyncio.Future[None]] | None) -> None:
    for future in waiting or ():
        if not future.done():
            future.set_result(None)
