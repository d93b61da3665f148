"""One behavioural suite, four stages: in memory in virtual time, asyncio, uvloop, and blocking.

A scene asks through a `Stage`; the peers are scripts of literal octets, one per connection, the
same on every stage. On the blocking stage nothing is ever awaited, so a scene runs to its end in
one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

import perdure
from perdure.core.pool import Statistics
from perdure.wire.errors import WireError
from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import LoopNetwork, Network, run
from perdure.wire.raw import RawPeer
from perdure.wire.scripted import (
    CLIENT_END,
    FIN,
    RST,
    Exactly,
    Pause,
    Script,
    ScriptedNetwork,
    Sign,
    Stall,
    Step,
    Until,
)
from perdure.wire.virtual import VirtualLoop, run_virtual

PATIENCE_SECONDS = 20.0
LATENCY = 0.001
BASE = "http://origin.test"
BLANK = b"\r\n\r\n"

Peer = Callable[[], Script]


class Stage(Protocol):
    """What a scene has: a client, and a view of what the peers saw."""

    async def ask(self, method: str = "GET", path: str = "/", **options: Any) -> perdure.Response:
        """Ask the scripted origin."""

    def stream(
        self, method: str = "GET", path: str = "/", **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Streamed]:
        """Ask, and read the response piece by piece."""

    def heard(self, connection: int = 0) -> bytes:
        """What the peer of a connection has received."""

    def ended(self, connection: int = 0) -> bool:
        """Whether the client has ended a connection."""

    @property
    def connections(self) -> int:
        """How many there were."""

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let the peers catch up until something holds."""

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time pass."""

    def statistics(self) -> Statistics:
        """The client's."""


class Streamed(Protocol):
    """A response that is read piece by piece, on either kind of stage."""

    @property
    def response(self) -> perdure.Response:
        """Its head."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The content."""

    async def close(self) -> None:
        """Read no more."""


Scene = Callable[[Stage], Coroutine[Any, Any, None]]
Perform = Callable[..., None]


class LoopStage:
    """An `AsyncClient`, and raw peers that play scripts."""

    def __init__(
        self, client: perdure.AsyncClient, peers: list[ScriptedPeer], base: str, changed: asyncio.Event
    ) -> None:
        self._changed = changed
        self.client = client
        self.peers = peers
        self._base = base

    async def ask(self, method: str = "GET", path: str = "/", **options: Any) -> perdure.Response:
        return await self.client.request(method, self._base + path, **options)

    @asynccontextmanager
    async def stream(self, method: str = "GET", path: str = "/", **options: Any) -> AsyncIterator[Streamed]:
        async with self.client.stream(method, self._base + path, **options) as response:
            yield LoopStreamed(response)

    def heard(self, connection: int = 0) -> bytes:
        return bytes(self.peers[connection].received)

    def ended(self, connection: int = 0) -> bool:
        peer = self.peers[connection]
        return peer.ended or peer.lost

    @property
    def connections(self) -> int:
        return len(self.peers)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # virtual

    def statistics(self) -> Statistics:
        return self.client.statistics()


class LoopStreamed:
    def __init__(self, response: perdure.AsyncStreamedResponse) -> None:
        self.response = response

    def pieces(self) -> AsyncIterator[bytes]:
        return self.response.aiter_bytes()

    async def close(self) -> None:
        await self.response.aclose()


class BlockingStage:
    """A `Client`, and scripts; nothing here ever waits."""

    def __init__(self, client: perdure.Client, network: ScriptedNetwork) -> None:
        self.client = client
        self._network = network

    async def ask(self, method: str = "GET", path: str = "/", **options: Any) -> perdure.Response:
        return self.client.request(method, f"http://origin.test{path}", **options)

    @asynccontextmanager
    async def stream(self, method: str = "GET", path: str = "/", **options: Any) -> AsyncIterator[Streamed]:
        with self.client.stream(method, f"http://origin.test{path}", **options) as response:
            yield BlockingStreamed(response)

    def heard(self, connection: int = 0) -> bytes:
        return bytes(self._network.connections[connection].client_octets)

    def ended(self, connection: int = 0) -> bool:
        return bool(self._network.connections[connection].ended_by_client)

    @property
    def connections(self) -> int:
        return len(self._network.connections)

    async def until(self, holds: Callable[[], bool]) -> None:
        assert holds()

    async def pass_time(self, seconds: float) -> None:
        self._network.clock.advance(seconds)

    def statistics(self) -> Statistics:
        return self.client.statistics()


class BlockingStreamed:
    def __init__(self, response: perdure.StreamedResponse) -> None:
        self.response = response

    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self.response.iter_bytes():
            yield piece

    async def close(self) -> None:
        self.response.close()


class ScriptedPeer(RawPeer):
    """A raw peer that plays a script as soon as it is connected to."""

    def __init__(self, script: Script, changed: asyncio.Event) -> None:
        super().__init__()
        self._changed = changed
        self.patience = math.inf  # the client's limits are what is tested
        self.playing: asyncio.Task[None]
        self._script = script

    def wire_opened(self) -> None:
        self.playing = self.loop.create_task(self._play())

    def data_received(self, octets: bytes) -> None:
        super().data_received(octets)
        self._changed.set()

    def end_received(self) -> None:
        super().end_received()
        self._changed.set()

    def wire_lost(self, error: WireError | None) -> None:
        super().wire_lost(error)
        self._changed.set()

    async def _play(self) -> None:
        """Play; the end of the client's side ends the play."""
        with contextlib.suppress(StopIteration, EOFError):
            answer: bytes | None = None
            while True:
                answer = await self._perform(
                    next(self._script) if answer is None else self._script.send(answer)
                )

    async def _perform(self, step: Step) -> bytes | None:
        if isinstance(step, Until):
            return await self.receive_until(step.separator)
        if isinstance(step, Exactly):
            return await self.receive_exactly(step.octets)
        if step is CLIENT_END:
            return await self.receive_all()
        if isinstance(step, bytes):
            self.send(step)
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds if isinstance(self.loop, VirtualLoop) else 0)
        elif isinstance(step, Stall):
            self.pause_reading()
        elif step is FIN:
            self.half_close()
        elif step is RST:
            self.abort()
        return None


async def direct(network: Network, scene: Scene, scripts: Sequence[Peer], settings: Any) -> None:
    """Set the stage on an event loop, perform, and clear it away.

    Args:
        settings: of the client; `as_proxy` with user information, such as "alice:secret@", makes the peers
            proxies on the way to http://origin.test, instead of the origin, and `through` says
            how they are spoken to.
    """
    peers: list[ScriptedPeer] = []
    changed = asyncio.Event()
    waiting = iter(scripts)

    def make() -> ScriptedPeer:
        peers.append(ScriptedPeer(next(waiting, silent)(), changed))
        return peers[-1]

    listener = await network.listen(make, "127.0.0.1:0")
    base = listener.urls("http")[0]
    if (user := settings.pop("as_proxy", None)) is not None:
        settings["proxy"], base = _proxies(settings, base.replace("//", f"//{user}")), BASE
    try:
        async with perdure.AsyncClient(network=network, **settings) as client:
            await scene(LoopStage(client, peers, base, changed))
    finally:
        listener.close()
        for peer in peers:
            peer.playing.cancel()
            peer.abort()
        await asyncio.gather(*[peer.playing for peer in peers], return_exceptions=True)
        for peer in peers:
            await peer.wait_lost()


def _proxies(settings: dict[str, Any], url: str) -> perdure.Proxies:
    through: perdure.Proxies = settings.pop("through", perdure.Proxies())
    return dataclasses.replace(through, url=url)


def silent() -> Script:
    """A peer that was not expected: it says nothing."""
    yield CLIENT_END


def in_memory(scene: Scene, *scripts: Peer, **settings: Any) -> None:
    """Perform in virtual time."""
    run_virtual(direct(MemoryNetwork(latency=LATENCY), scene, scripts, settings))


def on_asyncio(scene: Scene, *scripts: Peer, **settings: Any) -> None:
    """Perform on real sockets, standard loop."""
    limited = asyncio.wait_for(direct(LoopNetwork(), scene, scripts, settings), PATIENCE_SECONDS)
    run(limited, prefer_uvloop=False)


def on_uvloop(scene: Scene, *scripts: Peer, **settings: Any) -> None:
    """Perform on real sockets, uvloop."""
    run(asyncio.wait_for(direct(LoopNetwork(), scene, scripts, settings), PATIENCE_SECONDS))


def blocking(scene: Scene, *scripts: Peer, **settings: Any) -> None:
    """Perform with the client of threads, in virtual time."""
    network = ScriptedNetwork(scripts)  # time passes only while the client waits
    if (user := settings.pop("as_proxy", None)) is not None:
        settings["proxy"] = _proxies(settings, f"http://{user}proxy.test:3128")
    with perdure.Client(network=network, **settings) as client:
        finish(scene(BlockingStage(client, network)))


def finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise AssertionError("the blocking stage waited")


@pytest.fixture(
    params=[in_memory, on_asyncio, on_uvloop, blocking], ids=["memory", "asyncio", "uvloop", "blocking"]
)
def perform(request: pytest.FixtureRequest) -> Perform:
    """Each of the four."""
    performer: Perform = request.param
    return performer


@pytest.fixture(params=[in_memory, blocking], ids=["memory", "blocking"])
def perform_in_time(request: pytest.FixtureRequest) -> Perform:
    """The two in which time is virtual."""
    performer: Perform = request.param
    return performer


@pytest.fixture(params=[in_memory, on_asyncio, on_uvloop], ids=["memory", "asyncio", "uvloop"])
def perform_on_loop(request: pytest.FixtureRequest) -> Perform:
    """The three with an event loop."""
    performer: Perform = request.param
    return performer


def answer(content: bytes = b"hello", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with a Content-Length."""
    lines = [b"HTTP/1.1 " + status, *fields, b"Content-Length: %d" % len(content)]
    return b"\r\n".join(lines) + BLANK + content


def says(*answers: bytes) -> Peer:
    """A peer that answers each request without content with the next of these octets."""

    def peer() -> Script:
        for octets in answers:
            yield Until(BLANK)
            yield octets

    return peer


def last_words(octets: bytes, *signs: Sign) -> Peer:
    """A peer that answers one request with octets and then ends so."""

    def peer() -> Script:
        yield Until(BLANK)
        if octets:
            yield octets
        yield from signs

    return peer
