"""The backend of a stage on loopback, for who may not make network namespaces.

    client ──▶ near ═══ delayed, octet by octet ═══▶ far ──▶ server        everything on 127.0.0.1

Sockets and programs are real. The link is a relay inside this process, and the kernel's TCP ends on either
side of it: the handshake is a pause of one round trip, and there is no slow start, loss or retransmission
between the hosts. A report says so.
"""

from __future__ import annotations

import asyncio
import errno
import math
import subprocess
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from perdure.lab.backend import CannotStage
from perdure.lab.lanes import CONTENT_OCTETS, Crossing, Kind, Lane, Side
from perdure.lab.link import Link
from perdure.wire.address import parse_bind
from perdure.wire.errors import WireError, connect_error
from perdure.wire.listening import SocketListener
from perdure.wire.loop import LoopWire
from perdure.wire.memory import Lines
from perdure.wire.network import LoopNetwork, Network, run
from perdure.wire.pair import Line
from perdure.wire.tls import TlsContext

T = TypeVar("T")
W = TypeVar("W", bound=LoopWire)

HERE = "127.0.0.1"


class LoopbackBackend:
    """Hosts share this machine's loopback; see `backend.Backend`."""

    name = "loopback"
    kernel_tcp = False
    real_programs = False

    def __init__(self) -> None:
        self._hosts: list[str] = []
        self._links: list[Link] = []
        self._lines: list[Lines] = []
        self._ports: dict[tuple[str, int], int] = {}
        self._relays: dict[tuple[str, int], SocketListener] = {}
        self._near: list[_Near] = []

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it on asyncio's own loop: uvloop's time is as coarse as a millisecond."""
        return run(main, prefer_uvloop=False)

    async def open(self, hosts: Sequence[str], links: Sequence[Link], congestion: str) -> None:
        """Nothing is made before it is dialled; congestion control is the loopback's own."""
        self._hosts = list(hosts)
        self._links = list(links)
        self._lines = [Lines(Line(), Line()) for _ in links]
        for index, link in enumerate(links):
            await self.shape(index, link)

    async def close(self) -> None:
        """Close the relays."""
        for listener in self._relays.values():
            listener.close()
        for near in self._near:
            near.give_up()
        for listener in self._relays.values():
            await listener.wait_closed()
        self._relays.clear()

    def network(self, host: str) -> Network:
        """Loopback, as this host is to see it."""
        return _HostNetwork(self, host)

    def address(self, host: str) -> str:
        """An address that only the backend knows: 10.77.0.1 for the first host, and so on."""
        return f"10.77.0.{self._hosts.index(host) + 1}"

    async def shape(self, index: int, link: Link) -> None:
        """Set latency and rate."""
        for line in self._lines[index]:
            line.latency, line.rate = link.rtt / 2, link.rate

    async def take(self, began_at: float) -> list[Lane]:
        """Make lanes of what the relays have seen."""
        fresh, self._near = self._near, [near for near in self._near if not near.lost]
        lanes: list[Lane] = []
        for near in fresh:
            if near.taken:
                continue
            near.taken = True
            lanes.append(near.lane(len(lanes) + 1, began_at))
        return lanes

    def start(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Raise CannotStage: such a program would find the addresses of the hosts nowhere."""
        raise CannotStage(f"{command[0]} runs in network namespaces only")

    def waiting_connections(self, host: str) -> int | None:
        """Those of the relays would be counted too: None."""
        return None

    # What the hosts' networks ask.

    def enter(self, address: str, port: int, real_port: int) -> None:
        """Note where a host listens in truth."""
        self._ports[address, port] = real_port

    def lines(self, host: str, address: str) -> Lines | None:
        """Return the way from a host to an address; None where there is none."""
        if address == self.address(host):
            return Lines(Line(), Line())
        for link, (there, back) in zip(self._links, self._lines, strict=True):
            if link.a == host and self.address(link.b) == address:
                return Lines(there, back)
            if link.b == host and self.address(link.a) == address:
                return Lines(back, there)
        return None

    async def relay_port(self, host: str, address: str, port: int, lines: Lines) -> int:
        """Return the port of the relay from a host to an address; 0 where nobody listens there."""
        target = self._ports.get((address, port))
        if target is None:
            return 0
        listener = self._relays.get((host, target))
        if listener is None:
            server = self._hosts[int(address.rpartition(".")[2]) - 1]
            listener = await LoopNetwork().listen(
                lambda: self._make_near(host, server, port, target, lines), f"{HERE}:0"
            )
            self._relays[host, target] = listener
        where = listener.addresses[0]
        assert isinstance(where, tuple)
        return where[1]

    def _make_near(self, client: str, server: str, port: int, target: int, lines: Lines) -> _Near:
        near = _Near(client, server, port, target, lines)
        self._near.append(near)
        return near


class _HostNetwork(LoopNetwork):
    """Loopback, with a relay in the place of each link."""

    def __init__(self, backend: LoopbackBackend, host: str) -> None:
        self._backend = backend
        self._host = host

    async def dial(
        self,
        factory: Callable[[], W],
        host: str,
        port: int,
        *,
        timeout: float,
        tls: TlsContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> W:
        """Connect through the relay, after the round trip that a handshake takes."""
        lines = self._backend.lines(self._host, host)
        where = f"{host}:{port}"
        if lines is None:
            raise connect_error(OSError(errno.ENETUNREACH, "Network is unreachable"), where)
        self._permitted(host, port, [host])
        await asyncio.sleep(min(timeout, lines.there.latency + lines.back.latency))
        relay = await self._backend.relay_port(self._host, host, port, lines)
        if not relay:
            raise connect_error(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), where)
        return await LoopNetwork().dial(
            factory, HERE, relay, timeout=timeout, tls=tls, server_hostname=server_hostname or host
        )

    async def listen(
        self,
        factory: Callable[[], LoopWire],
        bind: str,
        *,
        tls: TlsContext | None = None,
        backlog: int = 2048,
        reuse_port: bool = False,
    ) -> SocketListener:
        """Listen on any free port of loopback; other hosts dial the address that was asked for."""
        host, port, _ = parse_bind(bind)
        listener = await super().listen(factory, f"{HERE}:0", tls=tls, backlog=backlog)
        where = listener.addresses[0]
        assert isinstance(where, tuple)
        self._backend.enter(host, port or where[1], where[1])
        listener.addresses = [(host, port or where[1])]
        return listener


class _End(LoopWire):
    """One end of the relay: what it hears comes out of the other end later."""

    def __init__(self) -> None:
        super().__init__()
        self.other: _End
        self.line: Line
        self.side: Side
        self.crossings: list[Crossing]
        self._before: list[bytes | WireError | None] = []

    def wire_opened(self) -> None:
        """Say what has come before."""
        for item in self._before:
            self.take(item)

    def data_received(self, octets: bytes) -> None:
        """Send it on its way."""
        for piece in self.line.pieces(octets):
            self._enter(Kind.CONTENT, piece, piece)

    def end_received(self) -> None:
        """The end, too."""
        self._enter(Kind.FIN, None)

    def wire_lost(self, error: WireError | None) -> None:
        """And a reset."""
        if error is not None:
            self._enter(Kind.RST, error)

    def take(self, item: bytes | WireError | None) -> None:
        """Something has come out at this end."""
        if self.arriving:
            self._before.append(item)
        elif isinstance(item, bytes):
            self.write(item)
        elif item is not None:
            self.abort()
        elif self.end_received_already:
            self.close()
        else:
            self.half_close()

    def _enter(self, kind: Kind, item: bytes | WireError | None, octets: bytes = b"") -> None:
        sent = self.now()
        arrival = self.line.arrival(sent, len(octets))
        self.crossings.append(
            Crossing(self.side, kind, sent, arrival, len(octets), 0, 0, octets[:CONTENT_OCTETS])
        )
        self.loop.call_at(arrival, self.other.take, item)


class _Near(_End):
    """The end toward the client; it dials the server as it is made."""

    def __init__(self, client: str, server: str, port: int, target: int, lines: Lines) -> None:
        super().__init__()
        self.taken = False
        self.far = _End()
        self.side, self.far.side = "client", "server"
        self.other, self.far.other = self.far, self
        self.line, self.far.line = lines
        self.crossings = self.far.crossings = []
        self._hosts = (client, server)
        self._port, self._target = port, target
        self._dialling: asyncio.Task[None] | None = None

    def wire_opened(self) -> None:
        """Dial the server."""
        there, back = self.line.latency, self.far.line.latency
        opened = self.opened_at
        self.crossings.append(Crossing("client", Kind.SYN, opened - there - back, opened - back, packets=0))
        self.crossings.append(Crossing("server", Kind.SYN_ACK, opened - back, opened, packets=0))
        self._dialling = self.loop.create_task(self._dial())
        super().wire_opened()

    def give_up(self) -> None:
        """End both connections at once."""
        if self._dialling is not None:
            self._dialling.cancel()
        for end in (self, self.far):
            if not end.arriving:
                end.abort()

    async def _dial(self) -> None:
        try:
            await LoopNetwork().dial(lambda: self.far, HERE, self._target, timeout=5.0)
        except WireError as error:
            self.take(error)

    def lane(self, number: int, began_at: float) -> Lane:
        """What was seen so far."""
        client, server = self._hosts
        near, far = self.peer_address, self.far.own_address
        ports = [address[1] if isinstance(address, tuple) else 0 for address in (near, far)]
        lane = Lane(number, client, server, ports[0], self._port, seen_port=ports[1])
        for each in sorted(self.crossings, key=lambda each: each.sent_at):
            arrived = math.inf if each.arrived_at is None else each.arrived_at
            lane.crossings.append(
                each._replace(sent_at=each.sent_at - began_at, arrived_at=arrived - began_at)
            )
        return lane
