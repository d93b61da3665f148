"""A relay that delays octets and the ends of connections, in each direction.

    client ──▶ near ═══ delayed ═══▶ far ──▶ server
           ◀──      ◀═══ delayed ═══     ◀──

The handshake of TCP is not delayed: the kernel answers it before any program hears of it. So a client that
takes the time of its dial for the round trip is misled here, as it is behind a real proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

REQUEST_LINE: Final = re.compile(rb"(?:^|\n)([A-Z]+ /[0-9]+-[0-9]+) HTTP/1")
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: a close becomes a reset."""


class Passage:
    """One direction: what enters comes out after the delay, in order."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, delay: float, come_out: Callable[[Any], None]
    ) -> None:
        self._loop = loop
        self._delay = delay
        self._come_out = come_out
        self._on_the_way: deque[tuple[float, Any]] = deque()

    def enter(self, what: Any) -> None:
        self._on_the_way.append((self._loop.time() + self._delay, what))
        if len(self._on_the_way) == 1:
            self._loop.call_later(self._delay, self._arrive)

    def _arrive(self) -> None:
        while self._on_the_way:
            due = self._on_the_way[0][0] - self._loop.time()
            if due > 0:
                self._loop.call_later(max(due, 0.001), self._arrive)
                return
            self._come_out(self._on_the_way.popleft()[1])


class End(asyncio.Protocol):
    """One connection of the relay. What it hears enters `passage`; `take` is what came out of the other one.

    Octets pass as they are; None stands for a FIN, an exception for a reset.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.passage: Passage
        self.before: list[bytes | Exception | None] = []
        self.finished = self.heard_end = self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        for what in self.before:
            self.take(what)

    def data_received(self, data: bytes) -> None:
        self.passage.enter(data)

    def eof_received(self) -> bool:
        self.heard_end = True
        self.passage.enter(None)
        return not self.finished  # otherwise the other direction goes on

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if error is not None:
            self.passage.enter(error)

    def take(self, what: bytes | Exception | None) -> None:
        if self.transport is None:
            self.before.append(what)
        elif self.lost:
            return
        elif isinstance(what, bytes):
            self.transport.write(what)
        elif what is None:
            self._finish(self.transport)
        else:
            reset(self.transport)

    def _finish(self, transport: asyncio.Transport) -> None:
        self.finished = True
        if self.heard_end:
            transport.close()
            return
        with contextlib.suppress(OSError):  # the peer has just reset it; `connection_lost` is about to come
            transport.write_eof()


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a RST."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


@dataclass
class Seen:
    """What went by.

    Attributes:
        dials: connections of the client.
        sent: how often each request was begun, by method and path.
    """

    dials: int = 0
    sent: Counter[bytes] = field(default_factory=Counter)


class Near(End):
    """The end toward the client; it dials the server as it is made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int, delay: float, seen: Seen) -> None:
        super().__init__()
        self._loop = loop
        self._port = port
        self._seen = seen
        self.far = End()
        self.passage = Passage(loop, delay, self.far.take)
        self.far.passage = Passage(loop, delay, self.take)
        self.dialling: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._seen.dials += 1
        dial = self._loop.create_connection(lambda: self.far, "127.0.0.1", self._port)
        self.dialling = self._loop.create_task(dial)

    def data_received(self, data: bytes) -> None:
        self._seen.sent.update(REQUEST_LINE.findall(data))
        super().data_received(data)


async def listen(port: int, delay: float, seen: Seen) -> tuple[asyncio.Server, int]:
    """Relay from any free port of loopback to another; what goes by is noted in `seen`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Near(loop, port, delay, seen), "127.0.0.1", 0, backlog=1024)
    return server, int(server.sockets[0].getsockname()[1])
