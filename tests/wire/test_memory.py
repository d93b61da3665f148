"""MemoryNetwork: latency, faults and the record of what crossed, in virtual time."""

from __future__ import annotations

import asyncio
import math
import ssl

import pytest

from perdure.wire.errors import AddressProhibited, ConnectFailed, ConnectTimeout
from perdure.wire.memory import Fault, Lines, MemoryNetwork, Side
from perdure.wire.pair import Line
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.virtual import run_virtual

HOST, PORT = "origin.test", 80


async def joined(network: MemoryNetwork) -> tuple[RawPeer, RawPeer]:
    listener = await RawListener.listen(network, f"{HOST}:{PORT}")
    client = await RawPeer.dial(network, HOST, PORT)
    server = await listener.accept()
    listener.close()
    return client, server


def test_connecting_takes_a_round_trip_and_octets_take_half_of_one() -> None:
    async def scene() -> None:
        network = MemoryNetwork(latency=0.25)
        client, server = await joined(network)
        assert network.now() == pytest.approx(0.5)
        client.send(b"ping")
        await server.receive_exactly(4)
        assert network.now() == pytest.approx(0.75)
        server.send(b"pong")
        server.close()
        assert await client.receive_all() == b"pong"
        assert network.now() == pytest.approx(1.0)

    run_virtual(scene())


def test_everything_that_crossed_is_recorded() -> None:
    async def scene() -> None:
        network = MemoryNetwork(latency=0.25)
        client, server = await joined(network)
        client.send(b"ping")
        await server.receive_exactly(4)
        server.send(b"pong")
        server.close()
        await client.receive_all()
        client.close()
        await client.wait_lost()
        [record] = network.connections
        assert record.client_octets == b"ping"
        assert record.server_octets == b"pong"
        assert [(side, octets) for _, side, octets in record.crossings] == [
            ("client", b"ping"),
            ("server", b"pong"),
        ]
        assert record.opened_at == pytest.approx(0.5)
        assert record.server_end_at == pytest.approx(0.75)
        assert record.client_end_at == pytest.approx(1.0)
        assert record.reset_at == math.inf

    run_virtual(scene())


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("kind", ["fin", "rst"])
@pytest.mark.parametrize("after_octets", [0, 3])
def test_a_fault_ends_the_connection_after_so_many_octets(side: Side, kind: str, after_octets: int) -> None:
    async def scene() -> None:
        network = MemoryNetwork(latency=0.01)
        network.script(Fault(side, after_octets, "fin" if kind == "fin" else "rst"), connection=0)
        client, server = await joined(network)
        sender, receiver = (client, server) if side == "client" else (server, client)
        if after_octets:
            sender.send(b"abcdef")
        await sender.wait_lost()
        assert sender.reset
        heard = await receiver.receive_all()
        assert receiver.reset == (kind == "rst")
        if kind == "fin":
            assert heard == b"abcdef"[:after_octets]
        assert network.connections[0].octets_of(side) == b"abcdef"[:after_octets]

    run_virtual(scene())


def test_a_stall_holds_octets_back_without_a_word() -> None:
    async def scene() -> None:
        network = MemoryNetwork()
        network.script(Fault("server", 3, "stall"), connection=0)
        client, server = await joined(network)
        client.patience = 30.0
        server.send(b"abcdef")
        assert await client.receive_exactly(3) == b"abc"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await client.receive_exactly(1)
        assert not client.ended
        client.abort()

    run_virtual(scene())


@pytest.mark.parametrize(("kind", "error"), [("refused", ConnectFailed), ("unanswered", ConnectTimeout)])
def test_connecting_can_be_made_to_fail(kind: str, error: type[ConnectFailed]) -> None:
    async def scene() -> None:
        network = MemoryNetwork()
        network.script(Fault("server", 0, "refused" if kind == "refused" else "unanswered"), connection=0)
        listener = await RawListener.listen(network)
        with pytest.raises(error):
            await network.dial(RawPeer, listener.host, listener.port, timeout=3.0)
        assert network.now() == (3.0 if kind == "unanswered" else 0.0)
        await network.dial(RawPeer, listener.host, listener.port, timeout=3.0)

    run_virtual(scene())


def test_no_tls_is_spoken_in_memory() -> None:
    async def scene() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ValueError, match="no TLS"):
            await MemoryNetwork().dial(RawPeer, HOST, PORT, timeout=1.0, tls=context)
        with pytest.raises(ValueError, match="no TLS"):
            await MemoryNetwork().listen(RawPeer, "a:1", tls=context)
        with pytest.raises(ValueError, match="no sockets"):
            await MemoryNetwork().listen_on(RawPeer, [])

    run_virtual(scene())


def test_a_guarded_network_judges_names_by_what_they_resolve_to() -> None:
    async def scene() -> None:
        network = MemoryNetwork()
        listener = await RawListener.listen(network, "10.0.0.1:80")
        network.names["inner.test"] = [("10.0.0.1", 80)]
        network.names["both.test"] = [("10.0.0.1", 80), ("10.0.0.2", 80)]
        guarded = network.guarded(lambda host, address: address != "10.0.0.1")
        for host in "inner.test", "10.0.0.1":
            with pytest.raises(AddressProhibited):
                await RawPeer.dial(guarded, host, 80)
        with pytest.raises(ConnectFailed, match=r"10\.0\.0\.2:80: connecting failed"):
            await RawPeer.dial(guarded, "both.test", 80)
        assert len(network.connections) == 1
        listener.close()

    run_virtual(scene())


def test_each_host_sees_its_own_ways_and_those_who_share_a_line_share_its_rate() -> None:
    async def scene() -> None:
        network = MemoryNetwork()
        near, far = Lines(Line(0.1), Line(0.1)), Lines(Line(0.5, 8 * 1514), Line(0.5))  # a packet a second
        client = network.seen_from("10.0.0.1", {"10.0.0.2": near, "10.0.0.3": far})
        listener = await RawListener.listen(network.seen_from("10.0.0.3", {}), "10.0.0.3:80")
        began = network.now()
        first, second = [await RawPeer.dial(client, "10.0.0.3", 80) for _ in range(2)]
        assert network.now() - began == pytest.approx(2.0)
        peers = [await listener.accept() for _ in range(2)]
        assert peers[0].peer_address == ("10.0.0.1", first.own_address[1])  # type: ignore[index]  # no path
        began = network.now()
        first.send(bytes(1448))
        second.send(bytes(1448))
        await peers[1].receive_exactly(1448)
        assert network.now() - began == pytest.approx(2.5)
        assert network.connections[1].arrivals == [pytest.approx(began + 2.5)]

    run_virtual(scene())


def test_host_that_is_no_neighbour_is_unreachable() -> None:
    async def scene() -> None:
        network = MemoryNetwork()
        await RawListener.listen(network, "10.0.0.3:80")
        with pytest.raises(ConnectFailed, match="unreachable"):
            await RawPeer.dial(network.seen_from("10.0.0.1", {}), "10.0.0.3", 80)

    run_virtual(scene())
