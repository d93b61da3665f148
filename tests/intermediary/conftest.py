"""A gateway between a client and an origin of literal octets: in memory, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from perdure.intermediary.gateway import Gateway
from perdure.intermediary.proxy import Proxy
from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import LoopNetwork, Network, run
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.virtual import run_virtual

PATIENCE_SECONDS = 30.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Stage:
    """What a scene plays on.

    Attributes:
        network: where everything happens.
        origin: accepts the gateway's connections.
        gateway: under test; its settings are those of `play(scene, **settings)`.
    """

    def __init__(self, network: Network, origin: RawListener, gateway: Gateway) -> None:
        self.network = network
        self.origin = origin
        self.gateway = gateway
        self.clients: list[RawPeer] = []

    async def client(self) -> RawPeer:
        """Connect a new client to the gateway."""
        host, _, port = self.gateway.urls[0].rpartition("//")[2].rpartition(":")
        peer = await RawPeer.dial(self.network, host, int(port))
        self.clients.append(peer)
        return peer

    async def asked(self, octets: bytes = GET) -> tuple[RawPeer, RawPeer, bytes]:
        """A new client sends a request: the client, the origin's new connection, the head it got."""
        client = await self.client()
        client.send(octets)
        inner = await self.origin.accept()
        return client, inner, await inner.receive_until(b"\r\n\r\n")

    async def warmed(self) -> tuple[RawPeer, RawPeer]:
        """The same after one exchange: both connections are idle."""
        client, inner, _ = await self.asked()
        inner.send(OK)
        await answer(client)
        return client, inner


Scene = Callable[[Stage], Awaitable[None]]


async def answer(client: RawPeer) -> tuple[bytes, bytes]:
    """The next response with a Content-Length, or without content: its head and content."""
    head = await client.receive_until(b"\r\n\r\n")
    length = value(head, b"content-length")
    return head, await client.receive_exactly(int(length)) if length else b""


async def until(holds: Callable[[], bool]) -> None:
    """Wait until the gateway has come so far."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.0005)


def status(head: bytes) -> int:
    return int(head[9:12])


def values(head: bytes, name: bytes) -> list[bytes]:
    """The values of a field, in order."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip() for field, _, value in lines if field.lower() == name]


def value(head: bytes, name: bytes) -> bytes | None:
    """The value of a field that is there once; None if it is absent."""
    found = values(head, name)
    assert len(found) < 2, found
    return found[0] if found else None


async def staged(scene: Scene, network: Network, settings: dict[str, Any]) -> None:
    origin = await RawListener.listen(network, "127.0.0.1:0")
    to = f"http://{origin.host}:{origin.port}"
    kind: Callable[..., Gateway] = settings.pop("kind", Gateway)
    async with kind(to, "127.0.0.1:0", network=network, **settings) as gateway:
        stage = Stage(network, origin, gateway)
        try:
            await scene(stage)
        finally:
            origin.close()
            for peer in [*stage.clients, *origin.peers]:
                peer.abort()
                await peer.wait_lost()


Play = Callable[..., None]


def play_in_memory(scene: Scene, **settings: Any) -> None:
    """Play a scene in virtual time."""
    run_virtual(staged(scene, MemoryNetwork(latency=0.001), settings))


def play_on_asyncio(scene: Scene, **settings: Any) -> None:
    """Play a scene on real sockets, standard loop."""
    run(asyncio.wait_for(staged(scene, LoopNetwork(), settings), PATIENCE_SECONDS), prefer_uvloop=False)


def play_on_uvloop(scene: Scene, **settings: Any) -> None:
    """Play a scene on real sockets, uvloop."""
    run(asyncio.wait_for(staged(scene, LoopNetwork(), settings), PATIENCE_SECONDS))


@pytest.fixture(params=[play_in_memory, play_on_asyncio, play_on_uvloop], ids=["memory", "asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Play:
    """Each of the three."""
    player: Play = request.param
    return player


@pytest.fixture(params=[play_on_asyncio, play_on_uvloop], ids=["asyncio", "uvloop"])
def play_on_sockets(request: pytest.FixtureRequest) -> Play:
    """Both real loops."""
    player: Play = request.param
    return player


@pytest.fixture
def play_virtually() -> Play:
    """Virtual time only: for what takes long."""
    return play_in_memory


class ProxyStage(Stage):
    """What a scene with a forward proxy plays on; `proxy` is under test."""

    def __init__(self, network: Network, origin: RawListener, proxy: Proxy) -> None:
        super().__init__(network, origin, cast(Gateway, proxy))
        self.proxy = proxy

    @property
    def authority(self) -> bytes:
        """Of the origin, such as b"127.0.0.1:50001"."""
        return f"{self.origin.host}:{self.origin.port}".encode()

    def get(self, path: bytes = b"/", *lines: bytes, version: bytes = b"1.1") -> bytes:
        """A request for a path of the origin in absolute-form; its Host is another's."""
        fields = b"".join(line + b"\r\n" for line in lines)
        return b"GET http://%b%b HTTP/%b\r\nHost: other.test\r\n%b\r\n" % (
            self.authority,
            path,
            version,
            fields,
        )


async def staged_proxy(scene: Scene, network: Network, settings: dict[str, Any]) -> None:
    origin = await RawListener.listen(network, "127.0.0.1:0")
    settings = {"allow": ["127.0.0.1"], "connect_ports": [origin.port], **settings}
    if "parent" in settings:
        settings["parent"] = settings["parent"].replace("ORIGIN", f"{origin.host}:{origin.port}")
    async with Proxy("127.0.0.1:0", network=network, **settings) as proxy:
        stage = ProxyStage(network, origin, proxy)
        try:
            await scene(stage)
        finally:
            origin.close()
            for peer in [*stage.clients, *origin.peers]:
                peer.abort()
                await peer.wait_lost()


def play_proxy_in_memory(scene: Scene, **settings: Any) -> None:
    """Play a scene with a forward proxy in virtual time."""
    run_virtual(staged_proxy(scene, MemoryNetwork(latency=0.001), settings))


def play_proxy_on_asyncio(scene: Scene, **settings: Any) -> None:
    """The same on real sockets, standard loop."""
    run(asyncio.wait_for(staged_proxy(scene, LoopNetwork(), settings), PATIENCE_SECONDS), prefer_uvloop=False)


def play_proxy_on_uvloop(scene: Scene, **settings: Any) -> None:
    """The same on real sockets, uvloop."""
    run(asyncio.wait_for(staged_proxy(scene, LoopNetwork(), settings), PATIENCE_SECONDS))


@pytest.fixture(
    params=[play_proxy_in_memory, play_proxy_on_asyncio, play_proxy_on_uvloop],
    ids=["memory", "asyncio", "uvloop"],
)
def play_proxy(request: pytest.FixtureRequest) -> Play:
    """Each of the three."""
    player: Play = request.param
    return player


@pytest.fixture
def play_proxy_virtually() -> Play:
    """Virtual time only."""
    return play_proxy_in_memory
