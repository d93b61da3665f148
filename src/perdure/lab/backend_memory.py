"""The backend of a stage in memory: virtual time, so that a scenario takes milliseconds and always the same.

A connection comes about after one round trip; octets take their time on the line and nothing is lost. There
is no slow start and no acknowledgement, so packets are not known here.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from perdure.lab.backend import CannotStage
from perdure.lab.lanes import CONTENT_OCTETS, Crossing, Kind, Lane, Side
from perdure.lab.link import Link
from perdure.wire.memory import Lines, MemoryConnection, MemoryNetwork
from perdure.wire.network import Network
from perdure.wire.pair import Line
from perdure.wire.virtual import run_virtual

T = TypeVar("T")


class MemoryBackend:
    """Hosts are views of one network in memory; see `backend.Backend`."""

    name = "memory"
    kernel_tcp = False
    real_programs = False

    def __init__(self) -> None:
        self._network = MemoryNetwork()
        self._hosts: list[str] = []
        self._views: dict[str, Network] = {}
        self._lines: list[Lines] = []
        self._taken = 0

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it in virtual time."""
        return run_virtual(main)

    async def open(self, hosts: Sequence[str], links: Sequence[Link], congestion: str) -> None:
        """Make the views; congestion control means nothing here."""
        self._hosts = list(hosts)
        self._lines = [Lines(Line(), Line()) for _ in links]
        for index, link in enumerate(links):
            await self.shape(index, link)
        for host in hosts:
            neighbours = {self.address(host): Lines(Line(), Line())}
            for link, (there, back) in zip(links, self._lines, strict=True):
                if link.a == host:
                    neighbours[self.address(link.b)] = Lines(there, back)
                if link.b == host:
                    neighbours[self.address(link.a)] = Lines(back, there)
            self._views[host] = self._network.seen_from(self.address(host), neighbours)

    async def close(self) -> None:
        """Nothing is left when the event loop ends."""

    def network(self, host: str) -> Network:
        """The network as this host sees it."""
        return self._views[host]

    def address(self, host: str) -> str:
        """10.77.0.1 for the first host, and so on."""
        return f"10.77.0.{self._hosts.index(host) + 1}"

    async def shape(self, index: int, link: Link) -> None:
        """Set latency and rate."""
        for line in self._lines[index]:
            line.latency = link.rtt / 2
            line.rate = link.rate

    async def take(self, began_at: float) -> list[Lane]:
        """Make lanes of what the network has recorded."""
        names = {self.address(host): host for host in self._hosts}
        fresh = self._network.connections[self._taken :]
        self._taken = len(self._network.connections)
        lanes: list[Lane] = []
        for connection in fresh:
            if connection.opened_at < math.inf:
                lanes.append(_lane(len(lanes) + 1, connection, began_at, names))
        return lanes

    def start(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Raise CannotStage."""
        raise CannotStage(f"{command[0]} cannot run in memory")

    def waiting_connections(self, host: str) -> int | None:
        """There is no TIME-WAIT: None."""
        return None


def _lane(number: int, connection: MemoryConnection, began_at: float, names: dict[str, str]) -> Lane:
    wire = connection.client
    own, peer = (wire.get_extra_info(name) for name in ("sockname", "peername"))
    lane = Lane(number, names[own[0]], names.get(peer[0], peer[0]), own[1], peer[1])
    lane.crossings = sorted(_crossings(connection, began_at), key=lambda crossing: crossing.sent_at)
    return lane


def _crossings(connection: MemoryConnection, began_at: float) -> Iterator[Crossing]:
    lines = connection.lines
    assert lines is not None
    there, back = lines.there.latency, lines.back.latency
    opened = connection.opened_at - began_at
    yield Crossing("client", Kind.SYN, opened - there - back, opened - back, packets=0)
    yield Crossing("server", Kind.SYN_ACK, opened - back, opened, packets=0)
    for arrived, crossing in zip(connection.arrivals, connection.crossings, strict=True):
        sent, side, octets = crossing
        arrival = arrived - began_at
        yield Crossing(
            side, Kind.CONTENT, sent - began_at, arrival, len(octets), 0, 0, octets[:CONTENT_OCTETS]
        )
    ends: tuple[tuple[Side, float, float], ...] = (
        ("client", connection.client_end_at, there),
        ("server", connection.server_end_at, back),
    )
    for side, at, latency in ends:
        if at < math.inf:
            yield Crossing(side, Kind.FIN, at - began_at, at - began_at + latency, packets=0)
    if connection.reset_at < math.inf:
        at = connection.reset_at - began_at
        yield Crossing(connection.reset_by, Kind.RST, at, at + there, packets=0)
