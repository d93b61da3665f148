"""Lingering close: the peer reads our last response while it still sends. RFC 9112 §9.6."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from perdure.wire.linger import break_off
from perdure.wire.network import Network
from perdure.wire.raw import RawListener
from tests.wire.conftest import Play, play_in_memory
from tests.wire.recorder import MEBIBYTE, Recorder, joined


@pytest.mark.row("R120")
def test_linger_lets_the_peer_read_the_response_while_it_still_uploads(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.send(b"u" * MEBIBYTE)
        await wire.until("octets")
        seen = len(wire.received)
        wire.write(b"413 too much")
        wire.linger(8 * MEBIBYTE, 2.0, 10.0)
        assert await peer.receive_all() == b"413 too much"
        assert peer.ended
        assert not peer.reset
        peer.close()
        await wire.until("lost")
        assert wire.error is None
        assert len(wire.received) == seen, "nothing is delivered while lingering"

    play(scene)


def test_linger_beyond_its_octets_still_lets_the_peer_read_the_response(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write(b"413 too much")
        wire.linger(1000, 0.4, 10.0)
        peer.send(b"u" * 16 * MEBIBYTE)
        assert await peer.receive_all() == b"413 too much"
        assert not peer.reset
        began = wire.now()
        await wire.until("lost")
        assert wire.now() - began < 8
        await peer.wait_lost()

    play(scene)


def test_linger_gives_up_on_a_silent_peer(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        began = wire.now()
        wire.write(b"bye")
        wire.linger(1000, 0.2, 5.0)
        await wire.until("lost")
        assert 0.15 < wire.now() - began < 4.5
        assert await peer.receive_all() == b"bye"
        peer.close()

    play(scene)


def test_linger_gives_up_on_a_peer_that_never_stops(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.linger(1 << 40, 5.0, 0.3)
        began = wire.now()
        while not wire.lost:
            peer.send(b"more")
            await asyncio.sleep(0.01)
        assert wire.now() - began < 4.5
        peer.abort()

    play(scene)


def test_linger_gives_up_on_a_peer_that_neither_reads_nor_ends(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.write_timeout = 0.3
        peer.pause_reading()
        # The kernel takes all of it and cannot deliver it: the transport's own buffer is empty.
        wire.write(b"x" * (MEBIBYTE // 2))
        wire.linger(1000, 0.1, 0.2)
        began = wire.now()
        await wire.until("lost")
        assert wire.now() - began < 10
        peer.abort()

    play(scene)


def test_linger_after_the_peers_end_is_a_plain_close(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.half_close()
        await wire.until("end")
        wire.write(b"bye")
        wire.linger(1000, 100.0, 100.0)
        assert await peer.receive_all() == b"bye"
        await wire.until("lost")
        peer.close()

    play(scene)


def test_a_linger_may_be_cut_short(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.pause_reading()
        wire.linger(1000, 100.0, 100.0)
        wire.close()
        await wire.until("lost")
        assert await peer.receive_all() == b""
        peer.close()

    play(scene)


def test_a_parting_wire_is_gone_as_soon_as_the_peer_has_its_fin(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.part(3600.0)
        await wire.until("lost")
        assert wire.error is None
        assert await peer.at_eof(), "though it has not ended its own side"
        peer.close()

    play(scene)


@pytest.mark.row("R109")
def test_what_crosses_the_fin_is_dropped_and_its_sender_not_reset(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.pause_reading()
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        wire.part(3600.0)
        assert await peer.receive_all() == b""
        assert not peer.reset
        await wire.until("lost")
        assert wire.received == b""
        peer.close()

    play(scene)


class Unconfirmed(Recorder):
    """Its peer's kernel is gone and acknowledges nothing."""

    def unsent_octets(self) -> int:
        return 1


def test_a_peer_that_acknowledges_nothing_is_left_in_time(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        wire = await network.dial(Unconfirmed, listener.host, listener.port, timeout=5.0)
        peer = await listener.accept()
        listener.close()
        wire.part(0.3)
        began = wire.now()
        await wire.until("lost")
        assert wire.now() - began >= 0.298  # uvloop's clock counts whole milliseconds
        peer.close()

    play(scene)


def test_a_parting_wire_may_be_closed_at_once(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        wire = await network.dial(Unconfirmed, listener.host, listener.port, timeout=5.0)
        peer = await listener.accept()
        listener.close()
        wire.part(3600.0)
        wire.part(3600.0)
        wire.close()
        await wire.until("lost")
        assert await peer.at_eof()
        assert not peer.reset
        wire.part(3600.0)
        peer.close()

    play(scene)


def test_parting_after_the_peers_end_is_a_plain_close(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.half_close()
        await wire.until("end")
        wire.part(3600.0)
        await wire.until("lost")
        peer.close()

    play(scene)


# Breaking off


@pytest.mark.row("R154")
def test_what_breaks_off_delivers_what_was_written_and_is_reset_then(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.pause_reading()
        wire.write(b"w" * 2 * MEBIBYTE)
        break_off(wire)
        peer.send(b"unheard")
        assert not wire.lost
        peer.resume_reading()
        await peer.wait_lost()
        assert len(peer.received) == 2 * MEBIBYTE
        assert peer.reset
        await wire.until("lost")
        assert (wire.error, len(wire.received)) == (None, 0)

    play(scene)


def test_a_peer_that_ends_its_side_meanwhile_still_gets_everything(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.pause_reading()
        peer.pause_reading()
        wire.write(b"w" * 2 * MEBIBYTE)
        peer.half_close()
        break_off(wire)
        break_off(wire)
        peer.resume_reading()
        await peer.wait_lost()
        assert len(peer.received) == 2 * MEBIBYTE
        await wire.until("lost")
        assert wire.end_received_already
        break_off(wire)

    play(scene)


def test_what_breaks_off_does_not_wait_for_a_peer_that_takes_nothing() -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.pause_reading()
        wire.write(b"w" * MEBIBYTE)
        break_off(wire)
        began = wire.now()
        async with asyncio.timeout(2 * wire.write_timeout):
            while not wire.lost:
                wire.changed.clear()
                await wire.changed.wait()
        assert wire.now() - began <= wire.write_timeout + 0.2
        peer.abort()

    play_in_memory(scene)


# A reset that nobody has read yet


@pytest.mark.parametrize("how", ["half_close", "linger", "part", "break_off"])
def test_the_end_may_be_said_to_a_peer_that_has_reset_the_connection(play: Play, how: str) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.pause_reading()
        peer.abort()
        await asyncio.sleep(0.02)
        ways: dict[str, Callable[[], object]] = {
            "half_close": wire.half_close,
            "linger": lambda: wire.linger(1000, 0.4, 10.0),
            "part": lambda: wire.part(2.0),
            "break_off": lambda: break_off(wire),
        }
        ways[how]()
        wire.resume_reading()
        await wire.until("lost")

    play(scene)
