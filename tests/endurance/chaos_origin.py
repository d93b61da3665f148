"""An origin that answers well, or lies: a process of its own on plain asyncio, which may be killed.

    python -m tests.endurance.chaos_origin PORT LOG SEED LIES HINT

Each request is noted in LOG when its head has arrived, before anything is said: number of the connection,
place on it, method, token. LIES is the share of requests that are answered badly; a number on standard input
changes it. HINT is what is promised of idle connections in Keep-Alive, in seconds; 0 for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from tests.endurance.chaos_words import EVIL, chunked, content_of, digest

RESET: Final = struct.pack("ii", 1, 0)
FLOOD_OCTETS: Final = 4 * 1024 * 1024
HANG_SECONDS: Final = 12.0
INTERIM: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Token: interim\r\n\r\n"


def response(
    token: bytes, *lines: bytes, content: bytes | None = None, version: bytes = b"1.1", head: bool = False
) -> bytes:
    """An answer with a token; its content is the token's unless another is given."""
    content = content_of(token) if content is None else content
    if not any(
        line.startswith((b"Content-Length", b"Transfer-Encoding", b"X-Lie: unsized")) for line in lines
    ):
        lines = (*lines, b"Content-Length: %d" % len(content))
    start = b"HTTP/%b 200 OK" % version
    octets = b"\r\n".join([start, b"X-Token: " + token, *lines, b"", b""])
    return octets if head else octets + content


UNASKED: Final = response(EVIL, content=EVIL)
REQUEST_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
GARBAGE: Final = b"\x16\x03\x01 this is no HTTP \r\n\r\n\0"


class Told:
    """One request that arrived, and how to answer it.

    Attributes:
        ended: the connection has been ended; nothing more is served on it.
    """

    def __init__(self, origin: Origin, writer: asyncio.StreamWriter, method: bytes, token: bytes) -> None:
        self.random = origin.random
        self.hint = origin.hint
        self.writer = writer
        self.token = token
        self.head = method == b"HEAD"
        self.digest = b"X-Upload: none"
        self.ended = False

    async def say(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    def honest(self, *lines: bytes) -> bytes:
        """The right answer; it persists unless a line says otherwise."""
        hint = (b"Keep-Alive: timeout=%d" % self.hint, b"Connection: keep-alive")
        return response(self.token, self.digest, *(lines or hint if self.hint else lines), head=self.head)

    def finish(self) -> None:
        self.ended = True

    def reset(self) -> None:
        own = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()
        self.ended = True

    def cut(self) -> bytes:
        """Some of an honest answer, the end missing."""
        whole = self.honest()
        return whole[: self.random.randrange(1, len(whole))]

    async def pause(self, most: float) -> None:
        await asyncio.sleep(self.random.random() * most)


# The lies. One is missing: a response that nobody asked for and that comes alone. Where it crosses the next
# request on its way, nobody could tell it from the answer; bench/matrix shows it on an idle connection.


async def short(told: Told) -> None:
    content = content_of(told.token)
    length = b"Content-Length: %d" % (len(content) // 2)
    await told.say(
        response(told.token, told.digest, length, b"X-Lie: short", content=content, head=told.head)
    )


async def long(told: Told) -> None:
    content = content_of(told.token)
    length = b"Content-Length: %d" % (len(content) + 100)
    await told.say(response(told.token, told.digest, length, content=content, head=told.head))
    told.finish()


async def unsized(told: Told) -> None:
    await told.say(response(told.token, told.digest, b"X-Lie: unsized", head=told.head))
    told.finish()


async def chunks(told: Told) -> None:
    coded = chunked(content_of(told.token), 1000)
    await told.say(
        response(told.token, told.digest, b"Transfer-Encoding: chunked", content=coded, head=told.head)
    )


async def chunks_cut(told: Told) -> None:
    coded = chunked(content_of(told.token), 1000)[:-5]
    await told.say(
        response(told.token, told.digest, b"Transfer-Encoding: chunked", content=coded, head=told.head)
    )
    told.finish()


async def chunks_bad(told: Told) -> None:
    coded = chunked(content_of(told.token), 1000)[:-5] + b"zz\r\n"
    await told.say(
        response(told.token, told.digest, b"Transfer-Encoding: chunked", content=coded, head=told.head)
    )


async def surplus(told: Told) -> None:
    await told.say(told.honest() + UNASKED)


async def garbage_later(told: Told) -> None:
    await told.say(told.honest())
    await told.pause(0.02)
    await told.say(GARBAGE)


async def timeout_later(told: Told) -> None:
    await told.say(told.honest())
    await told.pause(0.05)
    await told.say(REQUEST_TIMEOUT)
    told.finish()


async def timeout_instead(told: Told) -> None:
    await told.say(REQUEST_TIMEOUT)
    told.finish()


async def garbage(told: Told) -> None:
    await told.say(GARBAGE)


async def end_before(told: Told) -> None:
    told.finish()


async def reset_before(told: Told) -> None:
    told.reset()


async def end_inside(told: Told) -> None:
    await told.say(told.cut())
    told.finish()


async def reset_inside(told: Told) -> None:
    await told.say(told.cut())
    told.reset()


async def end_behind(told: Told) -> None:
    await told.say(told.honest())
    told.finish()


async def end_soon(told: Told) -> None:
    await told.say(told.honest())
    await told.pause(0.05)
    told.finish()


async def reset_soon(told: Told) -> None:
    await told.say(told.honest())
    await told.pause(0.05)
    told.reset()


async def announced(told: Told) -> None:
    await told.say(told.honest(b"Connection: close"))
    told.finish()


async def old(told: Told) -> None:
    await told.say(response(told.token, told.digest, version=b"1.0", head=told.head))
    told.finish()


async def interims(told: Told) -> None:
    await told.say(INTERIM * told.random.randrange(1, 20) + told.honest())


async def flood(told: Told) -> None:
    for _ in range(FLOOD_OCTETS // (len(INTERIM) * 500)):
        await told.say(INTERIM * 500)
    told.reset()


async def slow(told: Told) -> None:
    await told.pause(0.5)
    whole = told.honest()
    half = len(whole) // 2
    await told.say(whole[:half])
    await told.pause(0.5)
    await told.say(whole[half:])


async def hang(told: Told) -> None:
    await asyncio.sleep(HANG_SECONDS)
    told.reset()


LIES: Final[tuple[Callable[[Told], Awaitable[None]], ...]] = (
    short, long, unsized, chunks, chunks_cut, chunks_bad, surplus, garbage_later, timeout_later,
    timeout_instead, garbage, end_before, reset_before, end_inside, reset_inside, end_behind, end_soon,
    reset_soon, announced, old, interims, flood, slow,
)  # fmt: skip
RARE: Final = hang
HANGS_PER_LIE: Final = 0.01
"""A connection that hangs is one of few for as long as the gateway waits."""


class Origin:
    """What all connections share."""

    def __init__(self, log: int, seed: str, lies: float, hint: int) -> None:
        self.random = random.Random(seed)
        self.lies = lies
        self.hint = hint
        self._log = log
        self._connections = 0
        self._run = os.getpid()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one of both ends it."""
        self._connections += 1
        number, place = self._connections, 0
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._exchange(reader, writer, number, place):
                place += 1
        writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, place: int
    ) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        start, *lines = head[:-4].split(b"\r\n")
        method, target, _ = start.split(b" ")
        fields = dict(line.lower().split(b": ", 1) for line in lines)
        token = target.removeprefix(b"/")
        os.write(self._log, b"%d:%d %d %b %b\n" % (self._run, number, place, method, token))
        told = Told(self, writer, method, token)
        upload = await self._upload(reader, fields)
        if upload is not None:
            told.digest = b"X-Upload: " + digest(upload)
        if self.random.random() >= self.lies:
            await told.say(told.honest())
        elif self.random.random() < HANGS_PER_LIE:
            await RARE(told)
        else:
            await self.random.choice(LIES)(told)
        return not told.ended

    async def _upload(self, reader: asyncio.StreamReader, fields: dict[bytes, bytes]) -> bytes | None:
        if b"transfer-encoding" in fields:
            upload = b""
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                upload += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            return upload
        if b"content-length" in fields:
            return await reader.readexactly(int(fields[b"content-length"]))
        return None


async def obey(origin: Origin) -> None:
    """Take a new share of lies from each line; end when there are no more."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        origin.lies = float(line)


async def main(port: int, path: str, seed: str, lies: float, hint: int) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    origin = Origin(log, seed, lies, hint)
    server = await asyncio.start_server(origin.serve, "127.0.0.1", port, backlog=512, limit=1 << 20)
    async with server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        await obey(origin)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])))
