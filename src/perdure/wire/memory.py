"""Dial and listen in memory: the twin of `LoopNetwork` for tests in virtual time.

    network = MemoryNetwork(latency=0.03)
    network.script(Fault("server", after_octets=10, kind="rst"), connection=0)
    listener = await network.listen(factory, "origin.test:80")
    wire = await network.dial(factory, "origin.test", 80, timeout=10.0)
    network.connections[0].client_octets     # everything that crossed, and when it ended

TLS is not spoken here; the tests of TLS use real sockets.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import itertools
import math
import socket
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from perdure.wire.address import Address, address_text, parse_bind, url_of
from perdure.wire.errors import AddressInUse, connect_error
from perdure.wire.loop import LoopWire
from perdure.wire.network import Permits, permitted
from perdure.wire.pair import READ_OCTETS, Line, MemoryTransport

W = TypeVar("W", bound=LoopWire)

Side = Literal["client", "server"]


class Fault(NamedTuple):
    """What goes wrong on one connection.

    Kinds, once `side` has sent `after_octets`: "fin", the other side sees the end and `side` is
    reset; "rst", both are reset; "stall", nothing more of `side` crosses, and nobody is told.
    Kinds of connecting, where `side` and `after_octets` mean nothing: "refused"; "unanswered".
    """

    side: Side
    after_octets: int
    kind: Literal["fin", "rst", "stall", "refused", "unanswered"]


class Lines(NamedTuple):
    """Both ways between two hosts."""

    there: Line
    back: Line


class MemoryConnection:
    """What happened on one connection: a record, and the place where faults strike.

    Attributes:
        lines: the ways it takes, there from the client's end; None where its attempt led nowhere.
        opened_at: virtual seconds; `math.inf` if it never was.
        client_octets, server_octets: everything that side sent, as far as it crossed.
        client_end_at, server_end_at: when that side's FIN left; `math.inf` if it did not.
        reset_at, reset_by: when it was reset, and by whom; `math.inf` if it was not.
        crossings: (when, side, octets) in order; arrivals: when the last of each has arrived.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lines: Lines | None = None
        self.opened_at = math.inf
        self.client_octets = bytearray()
        self.server_octets = bytearray()
        self.client_end_at = math.inf
        self.server_end_at = math.inf
        self.reset_at = math.inf
        self.reset_by: Side = "client"
        self.crossings: list[tuple[float, Side, bytes]] = []
        self.arrivals: list[float] = []
        self.faults: list[Fault] = []
        self.client: MemoryTransport
        self.server: MemoryTransport
        self._loop = loop

    def octets_of(self, side: Side) -> bytearray:
        """Return everything that a side sent."""
        return self.client_octets if side == "client" else self.server_octets

    def fault_of(self, side: Side) -> Fault | None:
        """Return the fault that awaits the octets of a side."""
        return next((fault for fault in self.faults if fault.side == side), None)

    def strike(self, side: Side) -> None:
        """Let a side's fault happen if the time has come."""
        fault = self.fault_of(side)
        if fault is None or len(self.octets_of(side)) < fault.after_octets or fault.kind == "stall":
            return
        self.faults.remove(fault)
        transport = self.client if side == "client" else self.server
        if fault.kind == "fin":
            self.note_end(side)
            transport.cut(None)
        elif fault.kind == "rst":
            self.note_reset(side)
            transport.cut(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def note_end(self, side: Side) -> None:
        """Record a side's FIN."""
        if side == "client":
            self.client_end_at = self._loop.time()
        else:
            self.server_end_at = self._loop.time()

    def note_reset(self, side: Side) -> None:
        """Record the first RST."""
        if self.reset_at == math.inf:
            self.reset_at, self.reset_by = self._loop.time(), side

    def note_octets(self, side: Side, octets: bytes) -> None:
        """Record octets that left a side."""
        self.octets_of(side).extend(octets)
        self.crossings.append((self._loop.time(), side, octets))
        self.arrivals.append((self.client if side == "client" else self.server).arrives_at)


class _Watch:
    """Stands where one side's octets leave: records them and lets the faults strike."""

    def __init__(self, connection: MemoryConnection, side: Side) -> None:
        self._connection = connection
        self._side = side

    def allowance(self, wanted: int) -> int:
        """All, or what is left before the fault."""
        fault = self._connection.fault_of(self._side)
        if fault is None:
            return wanted
        return min(wanted, fault.after_octets - len(self._connection.octets_of(self._side)))

    def crossed(self, octets: bytes) -> None:
        """Record, then strike."""
        self._connection.note_octets(self._side, octets)
        self._connection.strike(self._side)

    def ended(self) -> None:
        """Record."""
        self._connection.note_end(self._side)

    def was_reset(self) -> None:
        """Record."""
        self._connection.note_reset(self._side)


class MemoryListener:
    """Accepts connections in memory."""

    def __init__(self, network: MemoryNetwork, factory: Callable[[], LoopWire], address: Address) -> None:
        self.addresses: list[Address] = [address]
        self.factory = factory
        self._network = network

    def urls(self, scheme: str) -> list[str]:
        """The address as a URL."""
        return [url_of(scheme, address) for address in self.addresses]

    async def finish(self) -> None:
        """Return at once: nobody waits, as whoever connects is accepted."""

    def close(self) -> None:
        """Accept no more."""
        self._network.forget(self)

    async def wait_closed(self) -> None:
        """Return at once: the address is free again."""
        self.close()


class MemoryNetwork:
    """A network in memory, for `VirtualLoop` (or any loop of asyncio).

    Attributes:
        latency: virtual seconds each way.
        split: the most octets that are delivered at once; None as many as arrived.
        host: the address that dials of this network come from.
        connections: the record of every attempt to connect, in order.
        names: what names resolve to; every other host is taken for an address.
        lookups: the names that `resolve` was asked for, in order.
    """

    def __init__(self, latency: float = 0.0, split: int | None = None) -> None:
        self.latency = latency
        self.split = split
        self.host = "127.0.0.1"
        self.connections: list[MemoryConnection] = []
        self.names: dict[str, list[Address]] = {}
        self.lookups: list[str] = []
        self._listeners: dict[Address, MemoryListener] = {}
        self._faults: dict[int, list[Fault]] = {}
        self._ports = itertools.count(50001)
        self._permits: Permits | None = None
        self._neighbours: Mapping[str, Lines] | None = None

    def seen_from(self, host: str, neighbours: Mapping[str, Lines]) -> MemoryNetwork:
        """Return the same network as one of its hosts sees it.

        Args:
            host: its address.
            neighbours: what it can dial, and the way there. Who shares a `Line` shares its rate.
        """
        view = copy.copy(self)  # everything that is remembered is remembered together
        view.host = host
        view._neighbours = neighbours
        return view

    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    def guarded(self, permits: Permits) -> MemoryNetwork:
        """The same network, records and all, on which only what is permitted is dialled."""
        network = copy.copy(self)
        network._permits = permits
        return network

    def script(self, fault: Fault, connection: int) -> None:
        """Let something go wrong on the connection of this number (0 is the first dialled)."""
        self._faults.setdefault(connection, []).append(fault)

    async def dial(
        self,
        factory: Callable[[], W],
        host: str,
        port: int,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> W:
        """Connect to a listener of this network; as `LoopNetwork.dial`."""
        addresses = self.names.get(host)
        if self._permits is not None:
            known = [address[0] for address in addresses or [(host, port)] if isinstance(address, tuple)]
            good = permitted(self._permits, host, port, known)
            addresses = addresses and [address for address in addresses if address and address[0] in good]
        if addresses is not None:
            wire = await self._dial(factory, addresses, timeout, tls)
            wire.resolved = frozenset(self.names[host])
            return wire
        wildcards = [("", port), ("0.0.0.0", port), ("::", port)]
        return await self._dial(factory, [(host, port), *wildcards], timeout, tls)

    async def resolve(self, host: str, port: int) -> Collection[Address]:
        """Look up `names`; as `LoopNetwork.resolve`."""
        self.lookups.append(host)
        return frozenset(self.names.get(host, ()))

    async def dial_unix(
        self,
        factory: Callable[[], W],
        path: str,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> W:
        """Connect to a listener of this network; as `LoopNetwork.dial_unix`."""
        return await self._dial(factory, [path], timeout, tls)

    async def listen(
        self,
        factory: Callable[[], LoopWire],
        bind: str,
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
        reuse_port: bool = False,
    ) -> MemoryListener:
        """Listen on any host name at all; as `LoopNetwork.listen`."""
        if tls is not None:
            raise ValueError("a MemoryNetwork speaks no TLS")
        host, port, path = parse_bind(bind)
        address: Address = path if path is not None else (host, port or self._free_port())
        if address in self._listeners:
            raise AddressInUse(f"cannot listen on {bind}: the address is in use", bind)
        listener = self._listeners[address] = MemoryListener(self, factory, address)
        return listener

    async def listen_on(
        self,
        factory: Callable[[], LoopWire],
        sockets: Sequence[socket.socket],
        *,
        tls: ssl.SSLContext | None = None,
        backlog: int = 2048,
    ) -> MemoryListener:
        """Raise ValueError: there are no sockets here."""
        raise ValueError("a MemoryNetwork has no sockets")

    def forget(self, listener: MemoryListener) -> None:
        """Free a listener's address; harmless if it is free."""
        for address in listener.addresses:
            if self._listeners.get(address) is listener:
                del self._listeners[address]

    def _free_port(self) -> int:
        return next(self._ports)

    def _way(self, addresses: Sequence[Address], where: str) -> Lines:
        """Return the way to an address."""
        if self._neighbours is None:
            return Lines(Line(self.latency), Line(self.latency))
        hosts = [address[0] for address in addresses if isinstance(address, tuple)]
        for host in hosts:
            if host in self._neighbours:
                return self._neighbours[host]
        raise connect_error(OSError(errno.ENETUNREACH, "Network is unreachable"), where)

    async def _dial(
        self,
        factory: Callable[[], W],
        addresses: Sequence[Address],
        timeout: float,
        tls: ssl.SSLContext | None,
    ) -> W:
        if tls is not None:
            raise ValueError("a MemoryNetwork speaks no TLS")
        where = address_text(addresses[0])
        loop = asyncio.get_running_loop()
        connection = MemoryConnection(loop)
        connection.faults = self._faults.pop(len(self.connections), [])
        self.connections.append(connection)
        kinds = {fault.kind for fault in connection.faults}
        lines = self._way(addresses, where)
        round_trip = lines.there.latency + lines.back.latency
        if "unanswered" in kinds or round_trip > timeout:
            await asyncio.sleep(timeout)
            raise connect_error(TimeoutError(), where, timeout)
        await asyncio.sleep(round_trip)
        listener = next((found for a in addresses if (found := self._listeners.get(a))), None)
        if listener is None or "refused" in kinds:
            refusal = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            raise connect_error(refusal, where)
        connection.lines = lines
        return self._connect(factory, listener, connection, lines, loop)

    def _connect(
        self,
        factory: Callable[[], W],
        listener: MemoryListener,
        connection: MemoryConnection,
        lines: Lines,
        loop: asyncio.AbstractEventLoop,
    ) -> W:
        """Join two transports and call both ends' `connection_made`, the client's first."""
        address = listener.addresses[0]
        own: Address = "" if isinstance(address, str) else (self.host, self._free_port())
        connection.client = MemoryTransport(loop, _Watch(connection, "client"), own, address)
        connection.server = MemoryTransport(loop, _Watch(connection, "server"), address, own)
        connection.client.line, connection.server.line = lines
        for transport in (connection.client, connection.server):
            transport.split = self.split or READ_OCTETS
        wire = factory()
        connection.opened_at = loop.time()
        connection.client.join(connection.server, wire)
        connection.server.join(connection.client, listener.factory())
        connection.client.begin()
        loop.call_soon(connection.server.begin)
        connection.strike("client")
        loop.call_soon(connection.strike, "server")
        return wire
