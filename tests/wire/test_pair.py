"""The joined transports behave as TCP does: windows, FIN, RST."""

from __future__ import annotations

import asyncio
import math

import pytest

from perdure.wire.errors import PeerReset
from perdure.wire.memory import MemoryNetwork
from perdure.wire.pair import WINDOW_OCTETS, Line
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.virtual import run_virtual

HOST, PORT = "origin.test", 80


async def joined(network: MemoryNetwork) -> tuple[RawPeer, RawPeer]:
    listener = await RawListener.listen(network, f"{HOST}:{PORT}")
    client = await RawPeer.dial(network, HOST, PORT)
    server = await listener.accept()
    listener.close()
    return client, server


def test_octets_may_be_delivered_in_small_pieces() -> None:
    class Pieces(RawPeer):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[bytes] = []

        def data_received(self, octets: bytes) -> None:
            self.pieces.append(octets)
            super().data_received(octets)

    async def scene() -> None:
        network = MemoryNetwork(split=2)
        listener = await RawListener.listen(network)
        client = await network.dial(Pieces, listener.host, listener.port, timeout=1.0)
        server = await listener.accept()
        server.send(b"abcde")
        server.close()
        assert await client.receive_all() == b"abcde"
        assert client.pieces == [b"ab", b"cd", b"e"]

    run_virtual(scene())


def test_no_more_than_a_window_is_under_way_to_a_peer_that_does_not_read() -> None:
    async def scene() -> None:
        network = MemoryNetwork(latency=0.01)
        client, server = await joined(network)
        server.pause_reading()
        client.send(b"x" * (5 * WINDOW_OCTETS))
        assert client.writing_paused
        client.deadline = network.now() + 10
        reached = asyncio.Event()
        client.deadline_reached = lambda now: reached.set()  # type: ignore[method-assign]  # a test's ear
        await reached.wait()
        assert len(network.connections[0].client_octets) == WINDOW_OCTETS
        server.resume_reading()
        client.close()
        assert len(await server.receive_all()) == 5 * WINDOW_OCTETS

    run_virtual(scene())


def test_closing_with_unread_octets_resets_as_kernels_do() -> None:
    async def scene() -> None:
        network = MemoryNetwork(latency=0.01)
        client, server = await joined(network)
        server.pause_reading()
        client.send(b"unread")
        server.deadline = network.now() + 1
        reached = asyncio.Event()
        server.deadline_reached = lambda now: reached.set()  # type: ignore[method-assign]  # a test's ear
        await reached.wait()
        server.close()
        await client.wait_lost()
        assert isinstance(client.error, PeerReset)
        assert network.connections[0].reset_at < math.inf

    run_virtual(scene())


def test_a_reset_destroys_what_was_not_read_yet() -> None:
    async def scene() -> None:
        network = MemoryNetwork(latency=0.01)
        client, server = await joined(network)
        server.send(b"response")
        server.close()
        client.send(b"more")  # arrives after the close: answered with RST
        client.pause_reading()
        await client.wait_lost()
        assert client.reset
        assert client.received == b""

    run_virtual(scene())


def test_the_transport_keeps_the_manners_of_asyncios() -> None:
    async def scene() -> None:
        network = MemoryNetwork()
        client, server = await joined(network)
        transport = client.transport
        assert transport.get_protocol() is client
        assert transport.get_write_buffer_limits() == (16384, 65536)
        transport.set_write_buffer_limits(high=100)
        assert transport.get_write_buffer_limits() == (25, 100)
        assert transport.is_reading()
        assert not transport.is_closing()
        client.half_close()
        with pytest.raises(RuntimeError, match="after write_eof"):
            client.write(b"too late")
        client.close()
        assert transport.is_closing()
        await server.receive_all()
        server.close()
        await server.wait_lost()

    run_virtual(scene())


def test_line_with_a_rate_sends_packets_one_after_the_other() -> None:
    line = Line(0.1, 8 * 1514)  # a full packet a second
    assert [len(piece) for piece in line.pieces(bytes(3000))] == [1448, 1448, 104]
    assert line.arrival(10.0, 1448) == pytest.approx(11.1)
    assert line.arrival(10.0, 1448) == pytest.approx(12.1)
    assert line.arrival(20.0, 1448) == pytest.approx(21.1)


def test_line_without_a_rate_sends_all_at_once() -> None:
    line = Line(0.1)
    assert line.pieces(bytes(3000)) == [bytes(3000)]
    assert [line.arrival(10.0, 1448) for _ in range(2)] == [pytest.approx(10.1)] * 2
