"""The stage: where a scenario puts its hosts, lets programs run on them, and says what it expects.

    async with stage.act("keep-alive accepted", rtt=0.05) as act:      # links may be others in each act
        await act.serve("server", application, idle_timeout=5.0)       # ours, through their public API
        client = await act.client("client", http_version="1.0")
        await client.get(act.url("server"))
    stage.expect("connections", 1, len(act.lanes))                     # measured from what crossed the links

An act begins with nothing under way. When it ends, what its links carried becomes its lanes; then its
programs are stopped. Where it runs is the backend's business (`backend`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

from perdure.client.aio import AsyncClient
from perdure.client.log import log_closed
from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.intermediary.gateway import Gateway
from perdure.intermediary.proxy import Proxy
from perdure.lab.backend import Backend
from perdure.lab.lanes import Lane, Note, Timeline
from perdure.lab.link import Link
from perdure.lab.relay import BlindRelay
from perdure.lab.table import Table
from perdure.lab.verdict import Claim, Holds, seconds_text
from perdure.server.asgi import Application
from perdure.server.serve import ListeningServer, Server
from perdure.wire.address import Address
from perdure.wire.network import Network
from perdure.wire.raw import RawListener, RawPeer

T = TypeVar("T")

PORT: Final = 8000
SETTLING_SECONDS: Final = 0.05
"""Beyond a round trip and a half: how long what is under way may take to arrive when an act ends."""
STOPPING_SECONDS: Final = 5.0

Ended = Callable[[Address, Reason], None]


class Stage:
    """One scenario's hosts, links, acts and claims.

    Attributes:
        backend: where it runs; `backend.kernel_tcp` says what can be measured there.
        links: as they are declared.
        acts: what happened, in order.
        claims: what was expected of it.
        tables: figures side by side, as far as the scenario puts some there.
    """

    def __init__(
        self, backend: Backend, links: Sequence[Link], progress: Callable[[str], None] = lambda text: None
    ) -> None:
        self.backend = backend
        self.links = tuple(links)
        self.acts: list[Timeline] = []
        self.claims: list[Claim] = []
        self.tables: list[Table] = []
        self._progress = progress

    @property
    def kernel_tcp(self) -> bool:
        """True where handshakes, slow start and retransmission are the kernel's."""
        return self.backend.kernel_tcp

    @asynccontextmanager
    async def act(self, name: str, **changes: Any) -> AsyncIterator[Act]:
        """Begin an act, and end it.

        Args:
            name: for the timeline.
            changes: of every link during this act: fields of `Link`, such as rtt=0.3 (seconds).

        On leaving, the lanes are there, and every program of the act is stopped.
        """
        self._progress(name)
        links = [dataclasses.replace(link, **changes) for link in self.links]
        for index, link in enumerate(links):
            await self.backend.shape(index, link)
        await self.backend.take(0.0)
        timeline = Timeline(name, _links_text(links))
        self.acts.append(timeline)
        async with AsyncExitStack() as programs:
            act = Act(self, timeline, programs, max((link.rtt for link in links), default=0.0))
            yield act
            await act.finish()

    # What a scenario claims.

    def expect(
        self, what: str, expected: object, measured: object, holds: bool | None = None, *, why: str = ""
    ) -> None:
        """Claim that something holds.

        Args:
            what: in words, such as "connections".
            expected, measured: values, or words for them.
            holds: whether it does; None: whether the two are equal.
            why: the section or source that says so.
        """
        agreed = expected == measured if holds is None else holds
        outcome = Holds.YES if agreed else Holds.NO
        self.claims.append(Claim(what, str(expected), str(measured), outcome, why))

    def expect_seconds(
        self, what: str, expected: float, measured: float, *, within: float, why: str = ""
    ) -> None:
        """Claim a time: `measured` is at most `within` seconds from `expected`."""
        holds = abs(measured - expected) <= within
        words = f"{seconds_text(expected)} ± {seconds_text(within)}"
        self.expect(what, words, seconds_text(measured), holds, why=why)

    def expect_of_kernel(
        self, what: str, expected: object, measured: object, holds: bool | None = None, *, why: str = ""
    ) -> None:
        """Claim what only the kernel's TCP can show; elsewhere it is noted as not shown."""
        if self.kernel_tcp:
            self.expect(what, expected, measured, holds, why=why)
            return
        words = f"not shown on {self.backend.name}"
        self.claims.append(Claim(what, str(expected), words, Holds.NOT_SHOWN, why))


class Act:
    """A part of a scenario, with programs of its own.

    Attributes:
        timeline: what happened; complete after the act.
        relays: the blind relays that were started, in order.
    """

    def __init__(self, stage: Stage, timeline: Timeline, programs: AsyncExitStack, rtt: float) -> None:
        self.timeline = timeline
        self.relays: list[BlindRelay] = []
        self._stage = stage
        self._backend = stage.backend
        self._programs = programs
        self._rtt = rtt
        self._loop = asyncio.get_running_loop()
        self._began_at = timeline.began_at = self._loop.time()
        self._reasons: dict[tuple[str, int], str] = {}

    # What happened.

    @property
    def lanes(self) -> list[Lane]:
        """Its connections; [] before it is over."""
        return self.timeline.lanes

    def between(self, client: str, server: str) -> list[Lane]:
        """Its connections from one host to another."""
        return self.timeline.between(client, server)

    @property
    def seconds(self) -> float:
        """How long it took, as far as the scenario is concerned: up to `stop_clock`, or to its end."""
        return self.timeline.seconds

    @property
    def packets(self) -> int:
        """That entered links."""
        return self.timeline.packets

    def now(self) -> float:
        """Seconds since the act began."""
        return self._loop.time() - self._began_at

    def stop_clock(self) -> None:
        """What comes now is no part of what the act took."""
        self.timeline.seconds = self.now()

    def note(self, host: str, text: str) -> None:
        """Write something into the timeline, at this moment."""
        self.timeline.notes.append(Note(self.now(), host, text))

    async def rest(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def waiting_connections(self, host: str) -> int | None:
        """How many connections are in TIME-WAIT at a host; None where the backend does not know."""
        return self._backend.waiting_connections(host)

    # Programs.

    def url(self, host: str, path: str = "/", port: int = PORT) -> str:
        """Where a host serves."""
        return f"http://{self._backend.address(host)}:{port}{path}"

    def bind(self, host: str, port: int = PORT) -> str:
        """Where a program of a host listens, as servers want it."""
        return f"{self._backend.address(host)}:{port}"

    def network(self, host: str) -> Network:
        """Where programs of a host dial and listen."""
        return self._backend.network(host)

    async def serve(
        self, host: str, application: Application, *, port: int = PORT, **settings: Any
    ) -> Server:
        """Run our origin server on a host until the act ends; settings as of `perdure.Server`."""
        server = Server(
            application, self.bind(host, port), network=self.network(host), **_quick_end(settings)
        )
        await self._run_server(host, server)
        return server

    async def gateway(
        self, host: str, to: str | Sequence[str], *, port: int = PORT, **settings: Any
    ) -> Gateway:
        """Run our gateway on a host until the act ends; settings as of `perdure.Gateway`."""
        gateway = Gateway(to, self.bind(host, port), network=self.network(host), **_quick_end(settings))
        await self._run_server(host, gateway)
        return gateway

    async def proxy(self, host: str, *, port: int = PORT, **settings: Any) -> Proxy:
        """Run our forward proxy on a host until the act ends; settings as of `perdure.Proxy`.

        It may go to every host of the stage, whose addresses are private ones.
        """
        proxy = Proxy(
            self.bind(host, port), network=self.network(host), **_quick_end({"allow": ("*",), **settings})
        )
        await self._run_server(host, proxy)
        return proxy

    async def client(self, host: str, **settings: Any) -> AsyncClient:
        """Make our client on a host; it is closed when the act ends. Settings as of `perdure.AsyncClient`."""
        client = AsyncClient(network=self.network(host), trust_env=False, **{"proxy": None, **settings})
        told = self._teller(host)

        def ended(entry: Entry[Any], reason: Reason) -> None:
            log_closed(entry, reason)
            told(entry.handle.own_address, reason)

        client.shared.pool.ended = ended
        await self._programs.enter_async_context(client)
        return client

    async def relay(self, host: str, to: str, *, port: int = PORT, to_port: int = PORT) -> BlindRelay:
        """Run a blind relay on a host, toward another, until the act ends."""
        relay = BlindRelay(self.network(host), self.bind(host, port), self._backend.address(to), to_port)
        await relay.start()
        self._programs.push_async_callback(relay.close)
        self.relays.append(relay)
        return relay

    async def dial(self, host: str, to: str, port: int = PORT) -> RawPeer:
        """Connect as a client of literal octets."""
        peer = await RawPeer.dial(self.network(host), self._backend.address(to), port)
        self._programs.callback(peer.abort)
        return peer

    async def listen(self, host: str, port: int = PORT) -> RawListener:
        """Listen as a server of literal octets."""
        listener = await RawListener.listen(self.network(host), self.bind(host, port))

        def close() -> None:
            listener.close()
            for peer in listener.peers:
                peer.abort()

        self._programs.callback(close)
        return listener

    async def run(self, host: str, command: Sequence[str], seconds: float = 60.0) -> tuple[int, bytes, bytes]:
        """Run a real program on a host to its end.

        Returns:
            Its exit status, and what it wrote to its standard output and standard error.

        Raises:
            CannotStage: this backend runs none, or it was not found.
            subprocess.TimeoutExpired: it took longer; it was ended.
        """
        pipe = subprocess.PIPE
        process = self._backend.start(host, command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        try:
            out, errors = await asyncio.to_thread(process.communicate, None, seconds)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        return process.returncode, out, errors

    def start(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a real program on a host; it is ended with the act. Options as of `subprocess.Popen`."""
        process = self._backend.start(host, command, **options)
        self._programs.push_async_callback(_stop, process)
        return process

    def background(self, what: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let something go on beside the scenario; it is cancelled with the act. Its errors are its own."""
        task = self._loop.create_task(what)
        self._programs.callback(task.cancel)
        return task

    def on_end(self, what: Callable[[], Awaitable[object]]) -> None:
        """Await something when the act ends, before what was started earlier is stopped."""
        self._programs.push_async_callback(what)

    async def finish(self) -> None:
        """Take what the links have seen. The stage calls it once."""
        if not self.timeline.seconds:
            self.stop_clock()
        await asyncio.sleep(1.5 * self._rtt + SETTLING_SECONDS)
        self.timeline.lanes = await self._backend.take(self._began_at)
        for lane in self.timeline.lanes:
            for host, port in ((lane.client, lane.client_port), (lane.server, lane.seen_port)):
                if reason := self._reasons.get((host, port)):
                    lane.reasons[host] = reason

    async def _run_server(self, host: str, server: ListeningServer) -> None:
        told = self._teller(host)
        server.registry.ended = lambda connection, reason: told(connection.peer_address, reason)
        await self._programs.enter_async_context(server)

    def _teller(self, host: str) -> Ended:
        def told(address: Address, reason: Reason) -> None:
            if isinstance(address, tuple) and (host, address[1]) not in self._reasons:
                self._reasons[host, address[1]] = str(reason)

        return told


def _quick_end(settings: dict[str, Any]) -> dict[str, Any]:
    """Nobody is left to send a last request when an act ends."""
    return {"drain_grace": 0.0, "drain_timeout": 1.0, **settings}


def _links_text(links: Sequence[Link]) -> str:
    """What is between the hosts; links that are alike are told as one."""
    if len({link.text() for link in links}) == 1:
        return links[0].text()
    return "; ".join(f"{link.a}-{link.b}: {link.text()}" for link in links)


async def _stop(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
