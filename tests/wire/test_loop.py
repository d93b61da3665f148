"""LoopWire: the same behaviour in memory, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import socket

import pytest

from perdure.core.reason import Reason
from perdure.wire.errors import ConnectFailed, PeerReset
from perdure.wire.network import Network
from perdure.wire.raw import RawListener
from perdure.wire.sweep import Sweeper
from tests.wire.conftest import Play
from tests.wire.recorder import MEBIBYTE, Recorder, joined


def test_octets_written_by_one_side_reach_the_other(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write(b"ping")
        assert await peer.receive_exactly(4) == b"ping"
        wire.write_all([b"one ", b"two"])
        assert await peer.receive_exactly(7) == b"one two"
        peer.send(b"pong")
        peer.close()
        await wire.until("end")
        assert bytes(wire.received) == b"pong"
        wire.close()
        await wire.until("lost")

    play(scene)


def test_a_wire_knows_both_addresses_and_when_it_was_opened(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        assert wire.peer_address == peer.own_address
        assert wire.own_address == peer.peer_address
        assert isinstance(wire.peer_address, tuple)
        assert wire.peer_text == f"127.0.0.1:{wire.peer_address[1]}"
        assert 0 <= wire.now() - wire.opened_at < 5
        assert not wire.tls
        wire.abort()

    play(scene)


def test_small_octets_leave_at_once_because_nagle_is_off(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        for end in (wire, peer):
            connection = end.transport.get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        wire.abort()
        await peer.wait_lost()

    play_on_sockets(scene)


def test_our_side_stays_open_when_the_peer_ends_its_own(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.send(b"last words")
        assert peer.half_close()
        await wire.until("end")
        assert bytes(wire.received) == b"last words"
        assert wire.end_received_already
        assert "lost" not in wire.story
        wire.write(b"answer")
        assert await peer.receive_exactly(6) == b"answer"
        wire.close()
        assert await peer.at_eof()
        peer.close()
        await wire.until("lost")
        assert wire.error is None

    play(scene)


def test_half_close_sends_everything_then_the_end_and_goes_on_reading(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write(b"x" * MEBIBYTE)
        assert wire.half_close()
        assert len(await peer.receive_all()) == MEBIBYTE
        assert peer.ended
        assert not peer.reset
        peer.send(b"answer")
        peer.close()
        await wire.until("end")
        assert bytes(wire.received) == b"answer"
        wire.close()
        await wire.until("lost")

    play(scene)


def test_close_flushes_before_the_end(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write(b"x" * MEBIBYTE)
        wire.close()
        assert len(await peer.receive_all()) == MEBIBYTE
        assert peer.ended
        peer.close()
        await wire.until("lost")
        assert wire.error is None

    play(scene)


def test_abort_resets_the_connection(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.abort()
        await peer.wait_lost()
        assert peer.reset
        assert isinstance(peer.error, PeerReset)
        assert peer.error.reason is Reason.PEER_RESET
        await wire.until("lost")
        assert wire.error is None, "our own abort is no error"

    play(scene)


def test_a_reset_by_the_peer_is_told_once_as_an_error_with_its_address(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.abort()
        await wire.until("lost")
        assert wire.story == ["opened", "lost"]
        assert isinstance(wire.error, PeerReset)
        assert str(wire.error).startswith(wire.peer_text)

    play(scene)


@pytest.mark.parametrize("ending", ["close", "abort", "linger", "peer closes", "peer aborts"])
def test_every_way_to_end_calls_wire_lost_exactly_once(play: Play, ending: str) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        if ending == "close":
            wire.close()
        elif ending == "abort":
            wire.abort()
        elif ending == "linger":
            wire.linger(1000, 1.0, 1.0)
        elif ending == "peer closes":
            peer.close()
            await wire.until("end")
            wire.close()
        else:
            peer.abort()
        peer.close()
        await wire.until("lost")
        wire.close()
        wire.abort()
        wire.linger(1, 1.0, 1.0)
        wire.write(b"nobody hears this")
        wire.write_all([b"nor this"])
        wire.pause_reading()
        wire.resume_reading()
        assert not wire.half_close()
        await peer.wait_lost()
        assert wire.story.count("lost") == 1
        assert wire.lost
        assert len(Sweeper.of(wire.loop)) == 0

    play(scene)


def test_a_peer_that_does_not_read_stops_the_writer(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.pause_reading()
        written = 0
        while "full" not in wire.story:
            wire.write(b"x" * 65536)
            written += 65536
            await asyncio.sleep(0)
            assert written < 64 * MEBIBYTE, "nothing held the writer back"
        assert wire.transport.get_write_buffer_size() < 4 * 65536
        peer.resume_reading()
        await wire.until("drained")
        assert not wire.writing_paused, "it may write again"
        wire.close()
        assert len(await peer.receive_all()) == written
        peer.close()

    play(scene)


def test_a_paused_reader_receives_nothing_until_it_resumes(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.pause_reading()
        wire.pause_reading()
        peer.send(b"held back")
        wire.write(b"sync")
        await peer.receive_exactly(4)
        assert wire.received == b""
        wire.resume_reading()
        wire.resume_reading()
        await wire.until("octets")
        assert wire.received == b"held back"
        wire.abort()

    play(scene)


def test_a_peer_that_takes_nothing_is_reported_and_reset(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write_timeout = 0.3
        peer.pause_reading()
        while not wire.writing_paused:
            wire.write(b"x" * 262144)
            await asyncio.sleep(0)
        await wire.until("lost")
        assert wire.story[-2:] == ["stalled", "lost"]
        peer.resume_reading()
        await peer.receive_all()
        assert peer.reset

    play(scene)


def test_closing_does_not_wait_for_ever_for_a_peer_that_takes_nothing(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write_timeout = 0.3
        peer.pause_reading()
        wire.write(b"x" * 8 * MEBIBYTE)
        wire.close()
        await wire.until("lost")
        peer.abort()

    play(scene)


def test_dialling_where_nobody_listens_says_where(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        listener.close()
        await listener.listener.wait_closed()
        with pytest.raises(ConnectFailed, match=f"127.0.0.1:{listener.port}: connecting failed") as caught:
            await network.dial(Recorder, "127.0.0.1", listener.port, timeout=5.0)
        assert caught.value.reason is Reason.CONNECT_FAILED

    play(scene)


def test_the_kernel_may_be_asked_to_probe_the_peer(play_on_sockets: Play) -> None:
    class Probing(Recorder):
        tcp_keepalive = True

    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        wire = await network.dial(Probing, listener.host, listener.port, timeout=5.0)
        connection = wire.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        wire.abort()
        await (await listener.accept()).wait_lost()
        listener.close()

    play_on_sockets(scene)
