"""What the clients of the soak do: well-behaved, slow, rude, broken. Each takes one connection.

A behaviour raises `Fault` when the server does what it must not; it decides nothing else.
The times are those of `FLAGS`, which the server is started with.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.endurance.talk import Asked, Fault, Talk, chunked, request, upload

IDLE_SECONDS: Final = 3
MAX_BODY: Final = 1048576
FLAGS: Final = (
    *("--idle-timeout", str(IDLE_SECONDS), "--head-timeout", "10", "--body-grace", "20"),
    *("--write-timeout", "10", "--max-body", str(MAX_BODY), "--max-requests", "200", "--max-age", "20"),
)
"""Short, so that every limit is reached often."""
SLOW_PAUSE_SECONDS: Final = 0.1
THINK_SECONDS: Final = 1.0
"""At most; well within the idle time, and long enough that all clients have connections at once."""
SMALL_BUFFER: Final = 16384
REFUSALS: Final = frozenset({400, 405, 408, 411, 413, 414, 417, 421, 431, 501, 505})


@dataclass(slots=True)
class Client:
    """One client: where it connects, its own random numbers, its own names for requests."""

    port: int
    number: int
    chance: random.Random
    _count: Iterator[int] = field(default_factory=itertools.count)

    async def dial(self, receive_buffer: int = 0) -> Talk:
        """Open a connection."""
        return await Talk.dial(self.port, IDLE_SECONDS, receive_buffer)

    def name(self) -> bytes:
        """A name for a request that no other has."""
        return b"%d-%d" % (self.number, next(self._count))

    async def think(self) -> None:
        """Now and then wait a moment between two requests, as people and their programs do."""
        if self.chance.random() < 0.5:
            await asyncio.sleep(self.chance.random() * THINK_SECONDS)

    def any_request(self) -> Asked:
        """A well-formed request of any kind that persists."""
        chance = self.chance
        kind = chance.randrange(10)
        if kind < 5:
            return request(self.name(), octets=chance.choice((0, 10, 500, 20000)))
        if kind == 5:
            return request(self.name(), method=b"HEAD", octets=chance.choice((0, 5000)))
        if kind == 6:
            return request(self.name(), "stream", octets=chance.choice((0, 100, 40000)))
        if kind == 7:
            return request(self.name(), "wait")
        content = chance.randbytes(chance.choice((1, 100, 3000, 30000)))
        return upload(self.name(), content, chunk=chance.choice((0, 1000, 4096)))


Behaviour = Callable[[Client, Talk], Awaitable[None]]


async def keep_alive(client: Client, talk: Talk) -> None:
    """One request after the other."""
    for _ in range(client.chance.randint(1, 60)):
        if talk.ended:
            await talk.expect_end()
            return
        await talk.ask(client.any_request())
        await client.think()


async def pipelined(client: Client, talk: Talk) -> None:
    """Several times 1 to 32 requests at once."""
    for _ in range(client.chance.randint(1, 5)):
        if talk.ended:
            return
        await talk.ask(*[client.any_request() for _ in range(client.chance.randint(1, 32))])
        await client.think()


async def slow_reader(client: Client, talk: Talk) -> None:
    """Ask for a mebibyte, and take it a little at a time."""
    asked = request(client.name(), client.chance.choice(("echo", "stream")), octets=MAX_BODY)
    talk.send(asked.octets)
    # The limit of the reader is small: between two turns the server feels that nobody reads.
    reading = asyncio.ensure_future(talk.check(asked))
    try:
        for _ in range(10):
            talk.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can
            await asyncio.sleep(SLOW_PAUSE_SECONDS)
            talk.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        await reading
    finally:
        reading.cancel()


async def slow_sender(client: Client, talk: Talk) -> None:
    """Send a request with content in many small pieces."""
    content = client.chance.randbytes(client.chance.randint(10, 4000))
    asked = upload(client.name(), content, chunk=client.chance.choice((0, 7)))
    pieces = client.chance.randint(2, 25)
    size = len(asked.octets) // pieces + 1
    for start in range(0, len(asked.octets), size):
        talk.send(asked.octets[start : start + size])
        await asyncio.sleep(SLOW_PAUSE_SECONDS)
    await talk.check(asked)
    await talk.ask(client.any_request())


async def aborted_request(client: Client, talk: Talk) -> None:
    """Go away in the middle of a request, by FIN or RST."""
    await talk.ask(*[client.any_request() for _ in range(client.chance.randint(0, 2))])
    if talk.ended:
        return
    asked = upload(client.name(), client.chance.randbytes(2000), chunk=client.chance.choice((0, 500)))
    talk.send(asked.octets[: client.chance.randrange(1, len(asked.octets))])
    await leave(client, talk)


async def aborted_response(client: Client, talk: Talk) -> None:
    """Go away in the middle of a response, by FIN or RST, or before any of it."""
    kind = client.chance.choice(("echo", "stream", "wait"))
    talk.send(request(client.name(), kind, octets=MAX_BODY).octets)
    if client.chance.random() < 0.7:
        await talk.reader.read(client.chance.randint(1, 100000))
    await leave(client, talk)


async def leave(client: Client, talk: Talk) -> None:
    """End the connection, by FIN or RST, now or a little later."""
    if client.chance.random() < 0.5:
        await asyncio.sleep(client.chance.random() * SLOW_PAUSE_SECONDS)
    if client.chance.random() < 0.5:
        talk.reset()
    else:
        talk.close()


async def half_closed(client: Client, talk: Talk) -> None:
    """Ask, end our side at once, and want every answer all the same."""
    asked = [client.any_request() for _ in range(client.chance.randint(1, 8))]
    talk.send(b"".join([each.octets for each in asked]))
    talk.writer.write_eof()
    for each in asked:
        if talk.ended:
            break
        await talk.check(each)
    await talk.expect_end()


async def garbage(client: Client, talk: Talk) -> None:
    """Send what is no HTTP; whatever comes of it, it must come to an end."""
    chance = client.chance
    octets = bytearray(chance.randbytes(chance.randint(1, 3000)))
    broken = chance.random() < 0.6
    if broken:
        octets = bytearray(client.any_request().octets)
        for _ in range(chance.randint(1, 5)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
    talk.send(bytes(octets))
    if chance.random() < 0.5:
        talk.writer.write_eof()
    said = await talk.read_to_end()
    if said and not said.startswith(b"HTTP/1.1 "):
        raise Fault(f"{said[:60]!r} in answer to garbage")
    if not broken and said[9:10] == b"2":
        raise Fault(f"{said[:60]!r} in answer to {bytes(octets[:60])!r}")


async def oversized(client: Client, talk: Talk) -> None:
    """Send a head that is too large in one of four ways, and want to be told so."""
    long = b"a" * 9000
    status, octets = client.chance.choice(
        (
            (414, b"GET /%b HTTP/1.1\r\nHost: soak\r\n\r\n" % long),
            (431, b"GET / HTTP/1.1\r\nHost: soak\r\nX: %b\r\n\r\n" % long),
            (431, b"GET / HTTP/1.1\r\nHost: soak\r\n%b\r\n" % (b"X: y\r\n" * 200)),
            (431, b"GET / HTTP/1.1\r\nHost: soak\r\n%b\r\n" % (b"X: %b\r\n" % long[:1000] * 90)),
        )
    )
    await refused(talk, status, octets)


async def too_much(client: Client, talk: Talk) -> None:
    """Upload more than is allowed, and go on sending while the refusal comes."""
    content = client.chance.randbytes(1000) * (3 * MAX_BODY // 1000)
    head = b"POST /sum/%b HTTP/1.1\r\nHost: soak\r\n" % client.name()
    if client.chance.random() < 0.5:
        await refused(talk, 413, head + b"Content-Length: %d\r\n\r\n" % len(content) + content)
    else:
        await refused(talk, 413, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(content, 10000))


async def refused(talk: Talk, status: int, octets: bytes) -> None:
    """Send, and raise Fault unless the refusal arrives, says close, and is followed by the end."""
    talk.send(octets)
    answer = await talk.read()
    if answer.status != status or not talk.ended:
        raise Fault(f"{answer.status}, options {answer.options}, for {octets[:40]!r}, {len(octets)} octets")
    if left := await talk.read_to_end():
        raise Fault(f"{left[:60]!r} after a refusal")


async def http_10(client: Client, talk: Talk) -> None:
    """HTTP/1.0 without keep-alive: one answer, then the end."""
    kind = client.chance.choice(("echo", "stream"))
    asked = request(client.name(), kind, octets=client.chance.choice((0, 9000)), version=b"1.0")
    talk.send(asked.octets)
    answer = await talk.check(asked)
    if b"keep-alive" in answer.options or b"transfer-encoding" in answer.fields:
        raise Fault(f"{answer.fields} for HTTP/1.0")
    await talk.expect_end()


async def http_10_keep_alive(client: Client, talk: Talk) -> None:
    """HTTP/1.0 with keep-alive persists as long as the answers say so."""
    fields = (b"Connection: keep-alive",)
    for _ in range(client.chance.randint(1, 20)):
        asked = request(client.name(), octets=100, version=b"1.0", fields=fields)
        talk.send(asked.octets)
        answer = await talk.check(asked)
        if b"keep-alive" not in answer.options:
            await talk.expect_end()
            return
        await client.think()


async def expecting(client: Client, talk: Talk) -> None:
    """Wait for 100 (Continue) before content is sent; a final answer does as well."""
    kind = client.chance.choice(("sum", "unread"))
    asked = upload(client.name(), client.chance.randbytes(5000), kind, fields=(b"Expect: 100-continue",))
    head, _, content = asked.octets.partition(b"\r\n\r\n")
    talk.send(head + b"\r\n\r\n")
    if kind == "unread":
        answer = await talk.check(asked)
        if answer.interims:
            raise Fault(f"{answer.interims} though the content was not asked for")
        return
    interim = await talk.reader.readuntil(b"\r\n\r\n")
    if not interim.startswith(b"HTTP/1.1 100 "):
        raise Fault(f"{interim[:60]!r} in place of 100 (Continue)")
    talk.send(content)
    await talk.check(asked)
    await talk.ask(client.any_request())


async def unread(client: Client, talk: Talk) -> None:
    """Upload to somebody who does not read it; what comes after it is answered, or a close announced."""
    for _ in range(client.chance.randint(1, 4)):
        size = client.chance.choice((1, 1000, 50000, 200000))
        content = client.chance.randbytes(size)
        await talk.ask(upload(client.name(), content, "unread", chunk=client.chance.choice((0, 5000))))
        await talk.ask(client.any_request())
        if talk.ended:
            return


async def announced(client: Client, talk: Talk) -> None:
    """Say close: one answer that says it too, then the end, whatever was sent behind it."""
    asked = request(client.name(), octets=2000, fields=(b"Connection: close",))
    talk.send(asked.octets + client.any_request().octets)
    answer = await talk.check(asked)
    if b"close" not in answer.options:
        raise Fault(f"options {answer.options} in answer to close")
    await talk.expect_end()


async def idle(client: Client, talk: Talk) -> None:
    """Ask once, then lie idle until the server ends the connection, in good order and not too soon."""
    await talk.ask(client.any_request())
    began = asyncio.get_running_loop().time()
    await talk.expect_end()
    lasted = asyncio.get_running_loop().time() - began
    if not talk.ended and lasted < IDLE_SECONDS:
        raise Fault(f"the end came after {lasted:.2f} s idle, {IDLE_SECONDS} were said")


async def silent(client: Client, talk: Talk) -> None:
    """Say nothing, or not all of a head, until the server has had enough."""
    talk.send(request(client.name()).octets[: client.chance.choice((0, 3, 30))])
    said = await talk.read_to_end()
    if said and not said.startswith(b"HTTP/1.1 408 "):
        raise Fault(f"{said[:60]!r} in answer to silence")


WEIGHTS: Final[dict[Behaviour, int]] = {
    keep_alive: 20,
    pipelined: 12,
    slow_reader: 4,
    slow_sender: 8,
    aborted_request: 8,
    aborted_response: 8,
    half_closed: 6,
    garbage: 8,
    oversized: 4,
    too_much: 2,
    http_10: 4,
    http_10_keep_alive: 4,
    expecting: 4,
    unread: 5,
    announced: 4,
    idle: 5,
    silent: 3,
}
"""How often each is chosen."""
SMALL_BUFFERS: Final = frozenset({slow_reader, aborted_response})


async def act(client: Client, behaviour: Behaviour, seconds: float) -> int:
    """Open a connection, behave, close it.

    Returns:
        How many answers were right.

    Raises:
        Fault: the server did what it must not, or nothing at all for `seconds`.
    """
    talk = None
    try:
        async with asyncio.timeout(seconds):
            talk = await client.dial(SMALL_BUFFER if behaviour in SMALL_BUFFERS else 0)
            await behaviour(client, talk)
    except TimeoutError as error:
        raise Fault(f"no end in {seconds} s" if talk else f"no connection in {seconds} s") from error
    except (OSError, asyncio.IncompleteReadError) as error:
        if behaviour not in _MAY_BREAK:
            raise Fault(f"{type(error).__name__}: {error}") from error
    finally:
        if talk is not None:
            talk.close()
    return talk.answered if talk is not None else 0


_MAY_BREAK: Final = frozenset({aborted_request, aborted_response, garbage})
"""Those whose own rudeness may reset the connection."""
