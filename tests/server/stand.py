"""A server on any of the networks, peers of literal octets, and applications to serve."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from perdure.core import Reason
from perdure.server.asgi import Application, Message, Receive, Scope, Send
from perdure.server.serve import Server
from perdure.wire.network import Network
from perdure.wire.raw import RawPeer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Scene = Callable[[Network], Coroutine[Any, Any, None]]


class Answer(NamedTuple):
    """A response as a simple reader sees it; names of fields in lower case."""

    status: int
    fields: dict[bytes, bytes]
    """Lines of the same name joined by commas."""
    content: bytes
    head: bytes

    @property
    def options(self) -> set[bytes]:
        """The connection options."""
        return {option.strip() for option in self.fields.get(b"connection", b"").split(b",")} - {b""}


async def answer_from(peer: RawPeer, method: bytes = b"GET") -> Answer:
    """Read one response."""
    head = await peer.receive_until(b"\r\n\r\n")
    start, *lines = head[:-4].split(b"\r\n")
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) .*", start)
    assert match, start
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b": ")
        lowered = name.lower()
        fields[lowered] = fields[lowered] + b"," + value if lowered in fields else value
    status = int(match[1])
    if method == b"HEAD" or status in (204, 304) or status < 200:
        return Answer(status, fields, b"", head)
    return Answer(status, fields, await _content(peer, fields), head)


async def _content(peer: RawPeer, fields: dict[bytes, bytes]) -> bytes:
    if fields.get(b"transfer-encoding") == b"chunked":
        return await _chunks(peer)
    if b"content-length" in fields:
        return await peer.receive_exactly(int(fields[b"content-length"]))
    return await peer.receive_all()


async def _chunks(peer: RawPeer) -> bytes:
    content = b""
    while size := int(await peer.receive_until(b"\r\n"), 16):
        content += (await peer.receive_exactly(size + 2))[:-2]
    await peer.receive_until(b"\r\n")
    return content


async def let_pass(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(seconds, passed.set_result, None)
    await passed


class Stand:
    """A running server and whoever talks to it."""

    def __init__(self, server: Server, network: Network) -> None:
        self.server = server
        self.network = network
        self.peers: list[RawPeer] = []

    async def dial(self) -> RawPeer:
        """A new connection to the server."""
        host, port = re.fullmatch(r"http://(.*):(\d+)", self.server.urls[0]).groups()  # type: ignore[union-attr]  # it has that form
        peer = await RawPeer.dial(self.network, host, int(port))
        self.peers.append(peer)
        return peer

    async def ask(self, octets: bytes = GET) -> tuple[RawPeer, Answer]:
        """Say something on a new connection, and read one response."""
        peer = await self.dial()
        peer.send(octets)
        return peer, await answer_from(peer, octets.partition(b" ")[0])

    async def until(self, holds: Callable[[], object], seconds: float = 10.0) -> None:
        """Look again at each millisecond of the loop's time until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                await let_pass(0.001)

    async def closes(self, count: int = 1) -> Counter[Reason]:
        """Leave every peer, and wait until so many connections have ended: why they did."""
        for peer in self.peers:
            peer.close()
        await self.until(lambda: self.server.registry.closes.total() >= count)
        return self.server.registry.closes


@asynccontextmanager
async def serving(network: Network, application: Application, **settings: Any) -> AsyncIterator[Stand]:
    """Serve an application; at the end the peers go, then the server."""
    settings.setdefault("drain_timeout", 5.0)
    stand = Stand(Server(application, "127.0.0.1:0", network=network, **settings), network)
    await stand.server.start()
    try:
        yield stand
    finally:
        for peer in stand.peers:
            peer.abort()
        await stand.server.close()


def plain(body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> list[Message]:
    """The messages of a whole response."""
    return [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]


def saying(*messages: Message) -> Application:
    """An application that says these messages to every request."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for message in messages:
                await send(message)

    return application


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the method, the path and the content that was read."""
    if scope["type"] != "http":
        raise NotImplementedError
    content = await read_all(receive)
    for message in plain(b"%b %b %b" % (scope["method"].encode(), scope["raw_path"], content)):
        await send(message)


async def ignoring(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the path, and never ask for content."""
    for message in plain(b"ignored " + scope.get("raw_path", b"")):
        await send(message)


async def read_all(receive: Receive) -> bytes:
    """The whole content of a request."""
    content = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        content += message["body"]
        more = message["more_body"]
    return bytes(content)


class Gated:
    """An application that answers when it is told to, and notes who began and ended."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.began: list[bytes] = []
        self.ended: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait at the gate for each request whose path begins with /slow."""
        if scope["type"] != "http":
            raise NotImplementedError
        path = scope["raw_path"]
        self.began.append(path)
        if path.startswith(b"/slow"):
            await self.gate.wait()
        for message in plain(path):
            await send(message)
        self.ended.append(path)


class Heard:
    """An application that keeps every message it receives, and tells the outcome of a script.

    Args:
        script: what it does with each request.
    """

    def __init__(self, script: Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]) -> None:
        self.script = script
        self.scopes: list[Scope] = []
        self.errors: list[BaseException] = []
        self.done = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the script; keep what it raises."""
        if scope["type"] != "http":
            raise NotImplementedError
        self.scopes.append(scope)
        try:
            await self.script(scope, receive, send)
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.done.set()
