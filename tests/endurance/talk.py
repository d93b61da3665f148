"""One client's connection, octet by octet, and the judgement whether an answer belongs to its request.

It shares no code with what it judges: a reader of its own, strict where a mistake of the server's could
hide (lengths, order, content), and content that says whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from tests import peers
from tests.endurance.application import padding

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
HELD_OCTETS: Final = 65536
LOST: Final = (ConnectionError, asyncio.IncompleteReadError)


class Fault(Exception):
    """The server did what it must not."""


class Wrong(Fault):
    """It answered wrongly, which no lack of time excuses."""


class Stale(Exception):
    """The server ended a connection that lay idle for about as long as it had said; nobody's fault."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A well-formed request and what its answer must be."""

    octets: bytes
    content: bytes
    length: int | None
    """What Content-Length must say; None where the length is not said in advance."""
    head: bool = False


@dataclass(slots=True)
class Answer:
    """A final response."""

    status: int
    fields: dict[bytes, bytes]
    content: bytes
    interims: list[int]

    @property
    def options(self) -> set[bytes]:
        """The connection options."""
        return {option.strip().lower() for option in self.fields.get(b"connection", b"").split(b",")}


def request(
    name: bytes,
    kind: str = "echo",
    *,
    method: bytes = b"GET",
    octets: int = 0,
    version: bytes = b"1.1",
    fields: Sequence[bytes] = (),
) -> Asked:
    """A request without content for /echo/NAME, /stream/NAME, /wait/NAME."""
    target = b"/%b/%b?octets=%d" % (kind.encode(), name, octets)
    lines = [b"%b %b HTTP/%b" % (method, target, version), b"Host: soak", *fields, b"", b""]
    content = name + padding(octets)
    length = None if kind == "stream" else len(content)
    head = method == b"HEAD"
    return Asked(b"\r\n".join(lines), b"" if head else content, length, head)


def upload(
    name: bytes, content: bytes, kind: str = "sum", *, chunk: int = 0, fields: Sequence[bytes] = ()
) -> Asked:
    """A POST to /sum/NAME or /unread/NAME; in chunks of `chunk` octets if that is not 0."""
    answer = b"%b %d %d" % (name, len(content), zlib.crc32(content)) if kind == "sum" else name
    framing = b"Transfer-Encoding: chunked" if chunk else b"Content-Length: %d" % len(content)
    lines = [b"POST /%b/%b HTTP/1.1" % (kind.encode(), name), b"Host: soak", framing, *fields, b"", b""]
    return Asked(b"\r\n".join(lines) + (chunked(content, chunk) if chunk else content), answer, len(answer))


def chunked(content: bytes, chunk: int) -> bytes:
    """Content in chunks, every other one with an extension, and a trailer at the end."""
    starts = range(0, len(content), chunk)
    pieces = [content[start : start + chunk] for start in starts]
    extensions = (b"", b";a=b", b"", b';c="d;e"')
    coded = [b"%x%b\r\n%b\r\n" % (len(piece), extensions[i % 4], piece) for i, piece in enumerate(pieces)]
    return b"".join([*coded, b"0\r\nX-Trailer: 1\r\n\r\n"])


@dataclass(slots=True)
class Talk:
    """One connection to the server.

    Attributes:
        ended: True once the server announced that it closes; it owes no more answers then.
        answered: how many answers were right.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    own: socket.socket
    idle_limit: float
    ended: bool = False
    answered: int = 0
    _last: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @classmethod
    async def dial(cls, port: int, idle_limit: float = 60.0, receive_buffer: int = 0) -> Self:
        """Connect; with a small `receive_buffer` the server soon feels that nobody reads."""
        own = socket.socket()
        own.setblocking(False)
        try:
            if receive_buffer:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await asyncio.get_running_loop().sock_connect(own, (peers.LOOPBACK, port))
            reader, writer = await asyncio.open_connection(sock=own, limit=receive_buffer or HELD_OCTETS)
        except BaseException:
            own.close()
            raise
        return cls(reader, writer, own, idle_limit)

    def send(self, octets: bytes) -> None:
        """Send without waiting: whoever waits before it reads may wait for somebody who does the same."""
        if self.writer.transport.is_closing():  # uvloop would say so by a RuntimeError
            raise ConnectionResetError("the server ended the connection while something was being sent")
        self.writer.write(octets)

    async def ask(self, *asked: Asked) -> None:
        """Send requests at once, and check their answers; nothing once a close was announced.

        Raises:
            Fault: an answer is wrong, or missing though no close was announced.
        """
        idle = asyncio.get_running_loop().time() - self._last
        if not self.ended:
            self.send(b"".join([each.octets for each in asked]))
        for number, each in enumerate(asked):
            if self.ended:
                return
            try:
                await self.check(each)
            except LOST as error:
                if number == 0 and idle > 0.8 * self.idle_limit:
                    raise Stale from None
                where = f"answer {number + 1} of {len(asked)}, {self.answered} before, idle {idle:.2f} s"
                raise Fault(f"{type(error).__name__} in place of {where}: {each.octets[:60]!r}") from error

    async def check(self, asked: Asked) -> Answer:
        """Read the answer to a request, and check that it belongs to it."""
        answer = await self.read(asked.head)
        if answer.status != 200:
            raise Fault(f"{answer.status} {answer.content[:80]!r} for {asked.octets[:60]!r}")
        if answer.content != asked.content:
            found = f"{len(answer.content)} octets {answer.content[:40]!r}"
            expected = f"{len(asked.content)} octets {asked.content[:40]!r}"
            raise Wrong(f"{found} instead of {expected} for {asked.octets[:60]!r}")
        said = answer.fields.get(b"content-length")
        if asked.length is not None and said != b"%d" % asked.length:
            raise Wrong(f"Content-Length {said!r} instead of {asked.length} for {asked.octets[:60]!r}")
        self.answered += 1
        return answer

    async def read(self, head: bool = False) -> Answer:
        """Read one final response.

        Raises:
            Fault: it is no response.
            ConnectionError, IncompleteReadError: the connection ended.
        """
        interims: list[int] = []
        while True:
            status, fields = parse_head(await self.reader.readuntil(b"\r\n\r\n"))
            if status >= 200:
                break
            interims.append(status)
        answer = Answer(status, fields, b"", interims)
        self.ended = b"close" in answer.options
        if not head and status not in (204, 304):
            answer.content = await self._content(answer)
        self._last = asyncio.get_running_loop().time()
        return answer

    async def _content(self, answer: Answer) -> bytes:
        length = answer.fields.get(b"content-length")
        if length is not None:
            return await self.reader.readexactly(int(length))
        if answer.fields.get(b"transfer-encoding") != b"chunked":
            self.ended = True
            return await self.reader.read()
        pieces = []
        while size := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            pieces.append(await self.reader.readexactly(size))
            if await self.reader.readexactly(2) != b"\r\n":
                raise Wrong("a chunk is longer than it says")
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return b"".join(pieces)

    async def read_to_end(self) -> bytes:
        """Everything until the server ends its side; what came before a reset counts too."""
        pieces = []
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(HELD_OCTETS):
                pieces.append(piece)
        return b"".join(pieces)

    async def expect_end(self) -> None:
        """Raise Fault unless the server ends its side in good order, having said nothing more."""
        try:
            octets = await self.reader.read()
        except ConnectionError as error:
            raise Fault(f"{type(error).__name__} in place of the end of the connection") from error
        if octets:
            raise Fault(f"{octets[:80]!r} in place of the end of the connection")

    def reset(self) -> None:
        """End the connection by RST."""
        self.own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.writer.transport.abort()

    def close(self) -> None:
        """End the connection by FIN, or RST where something was left unread; harmless if it has ended."""
        self.writer.close()


def parse_head(octets: bytes) -> tuple[int, dict[bytes, bytes]]:
    """The status and the fields of a response head. Raises Fault where it is none."""
    status_line, *lines = octets[:-4].split(b"\r\n")
    words = status_line.split(b" ", 2)
    if len(words) != 3 or words[0] != b"HTTP/1.1" or not words[1].isdigit():
        raise Wrong(f"{octets[:60]!r} in place of a response")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() in fields:
            raise Wrong(f"two fields {name!r} in a response of ours")
        fields[name.lower()] = value.strip()
    return int(words[1]), fields
