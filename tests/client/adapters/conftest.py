"""The stages of the httpx transports: both packages, sync and async, peers of literal octets.

Time is virtual on both kinds of stage. A scene is written once, as a coroutine; on the sync stage
nothing is ever awaited, as in tests/client/conftest.py.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest
import trustme

from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.core.pool import Statistics
from perdure.wire.memory import MemoryNetwork
from perdure.wire.scripted import CLIENT_END, Script, ScriptedNetwork, Until
from perdure.wire.virtual import run_virtual
from tests.client.adapters.local_origin import authority, authority_file, origin, tls_origin
from tests.client.conftest import BLANK, LATENCY, Peer, ScriptedPeer, answer, finish, silent

__all__ = ["authority", "authority_file", "origin", "tls_origin"]

BASE = "http://origin.test"


class Stage(Protocol):
    """What a scene has: a client of httpx, and a view of what the peers saw."""

    package: Any

    async def ask(self, method: str = "GET", path: str = "/", **options: Any) -> Any:
        """Ask the scripted origin, and read the response."""

    async def open(self, method: str = "GET", path: str = "/", **options: Any) -> Any:
        """Ask, and read the head alone."""

    def pieces(self, response: Any) -> AsyncIterator[bytes]:
        """The content, as it comes."""

    async def close(self, response: Any) -> None:
        """Read no more of it."""

    def heard(self, connection: int = 0) -> bytes:
        """What the peer of a connection has received."""

    def statistics(self) -> Statistics:
        """The transport's."""

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time pass."""


Scene = Callable[[Stage], Coroutine[Any, Any, None]]
Perform = Callable[..., None]


@pytest.fixture(scope="package", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One authority is trusted unless a test says otherwise, and it signed nothing here.

    Each transport reads what the system trusts: 150 certificates, a twentieth of a second.
    """
    path = tmp_path_factory.mktemp("trusted") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


class SyncStage:
    """A `Client` of httpx, and scripts."""

    def __init__(self, package: Any, client: Any, transport: Transport, network: ScriptedNetwork) -> None:
        self.package = package
        self.transport = transport
        self._client = client
        self._network = network

    async def ask(self, method: str = "GET", path: str = "/", **options: Any) -> Any:
        return self._client.request(method, BASE + path, **options)

    async def open(self, method: str = "GET", path: str = "/", **options: Any) -> Any:
        return self._client.send(self._client.build_request(method, BASE + path, **options), stream=True)

    async def pieces(self, response: Any) -> AsyncIterator[bytes]:
        for piece in response.iter_raw():
            yield piece

    async def close(self, response: Any) -> None:
        response.close()

    def heard(self, connection: int = 0) -> bytes:
        return bytes(self._network.connections[connection].client_octets)

    def statistics(self) -> Statistics:
        return self.transport.statistics()

    async def pass_time(self, seconds: float) -> None:
        self._network.clock.advance(seconds)


class AsyncStage:
    """An `AsyncClient` of httpx, and peers that play scripts."""

    def __init__(
        self, package: Any, client: Any, transport: AsyncTransport, peers: list[ScriptedPeer], base: str
    ) -> None:
        self.package = package
        self.transport = transport
        self._client = client
        self._peers = peers
        self._base = base

    async def ask(self, method: str = "GET", path: str = "/", **options: Any) -> Any:
        return await self._client.request(method, self._base + path, **options)

    async def open(self, method: str = "GET", path: str = "/", **options: Any) -> Any:
        request = self._client.build_request(method, self._base + path, **options)
        return await self._client.send(request, stream=True)

    def pieces(self, response: Any) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = response.aiter_raw()
        return pieces

    async def close(self, response: Any) -> None:
        await response.aclose()

    def heard(self, connection: int = 0) -> bytes:
        return bytes(self._peers[connection].received)

    def statistics(self) -> Statistics:
        return self.transport.statistics()

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # virtual


def sync(package: Any, scene: Scene, *scripts: Peer, **arguments: Any) -> None:
    """Perform with a `Client`, in virtual time.

    Args:
        arguments: of the transport; with `as_proxy` the peers are proxies on the way to BASE, and it makes
            `proxy` of where they are, such as "proxy.test:3128".
    """
    network = ScriptedNetwork(scripts)
    if (make_proxy := arguments.pop("as_proxy", None)) is not None:
        arguments["proxy"] = make_proxy("proxy.test:3128")
    transport = Transport(network=network, **arguments)
    with package.Client(transport=transport, timeout=None) as client:
        finish(scene(SyncStage(package, client, transport, network)))


def on_loop(package: Any, scene: Scene, *scripts: Peer, **arguments: Any) -> None:
    """Perform with an `AsyncClient`, in virtual time. Arguments as of `sync`."""
    run_virtual(_on_loop(package, scene, scripts, arguments))


async def _on_loop(package: Any, scene: Scene, scripts: Sequence[Peer], arguments: dict[str, Any]) -> None:
    async with scripted_origin(scripts) as (network, peers, base):
        if (make_proxy := arguments.pop("as_proxy", None)) is not None:
            arguments["proxy"], base = make_proxy(base.partition("//")[2]), BASE
        transport = AsyncTransport(network=network, **arguments)
        async with package.AsyncClient(transport=transport, timeout=None) as client:
            await scene(AsyncStage(package, client, transport, peers, base))


@asynccontextmanager
async def scripted_origin(
    scripts: Sequence[Peer],
) -> AsyncIterator[tuple[MemoryNetwork, list[ScriptedPeer], str]]:
    """Peers in memory that play scripts, one for each connection."""
    network = MemoryNetwork(latency=LATENCY)
    peers: list[ScriptedPeer] = []
    waiting = iter(scripts)

    def make() -> ScriptedPeer:
        peers.append(ScriptedPeer(next(waiting, silent)(), asyncio.Event()))
        return peers[-1]

    listener = await network.listen(make, "127.0.0.1:0")
    try:
        yield network, peers, listener.urls("http")[0]
    finally:
        listener.close()
        for peer in peers:
            peer.playing.cancel()
            peer.abort()
        await asyncio.gather(*[peer.playing for peer in peers], return_exceptions=True)


@pytest.fixture(params=["httpx", "httpx2"])
def package(request: pytest.FixtureRequest) -> Any:
    """Each of the two packages."""
    return importlib.import_module(request.param)


@pytest.fixture(params=[sync, on_loop], ids=["sync", "async"])
def perform(request: pytest.FixtureRequest, package: Any) -> Perform:
    """Each kind of client of each package."""

    def performed(scene: Scene, *scripts: Peer, **arguments: Any) -> None:
        request.param(package, scene, *scripts, **arguments)

    return performed


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that refuses connections: it is bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


HELLO = answer(b"hello", b"Content-Type: text/plain")
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"


def silent_after(octets: bytes) -> Peer:
    """A peer that says this to the first request and nothing more."""

    def peer() -> Script:
        yield Until(BLANK)
        if octets:
            yield octets
        yield CLIENT_END

    return peer
