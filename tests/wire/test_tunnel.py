"""A wire that was diverted: octets go to another end, everything else stays the wire's business."""

from __future__ import annotations

import asyncio

import pytest

from perdure.wire.network import Network
from perdure.wire.raw import RawPeer
from perdure.wire.tunnel import divert
from tests.wire.conftest import Play, play_in_memory
from tests.wire.recorder import MEBIBYTE, Recorder, joined


class End:
    """Notes what came through the tunnel, and in which order."""

    def __init__(self) -> None:
        self.story: list[bytes | str] = []
        self.changed = asyncio.Event()

    def tunnel_received(self, octets: bytes) -> None:
        self.story.append(octets)
        self.changed.set()

    def tunnel_ended(self) -> None:
        self.story.append("end")
        self.changed.set()

    async def until(self, *story: bytes | str) -> None:
        """Wait until it is told this, however the octets were cut."""
        async with asyncio.timeout(10):
            while self.told() != list(story):
                self.changed.clear()
                await self.changed.wait()

    def told(self) -> list[bytes | str]:
        """The story, neighbouring octets joined."""
        told: list[bytes | str] = []
        for one in self.story:
            if told and isinstance(one, bytes) and isinstance(told[-1], bytes):
                told[-1] = told[-1] + one
            else:
                told.append(one)
        return told


async def leave(wire: Recorder, peer: RawPeer) -> None:
    """End both sides, however far they are."""
    peer.abort()
    wire.abort()
    await wire.until("lost")
    await peer.wait_lost()


def test_octets_and_their_end_go_to_the_tunnel_alone(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.send(b"before")
        await wire.until("octets")
        end = End()
        divert(wire, end)
        peer.send(b"within")
        await end.until(b"within")
        peer.half_close()
        await end.until(b"within", "end")
        assert bytes(wire.received) == b"before"
        assert "end" not in wire.story
        assert wire.end_received_already
        wire.write(b"our side is open")
        assert await peer.receive_exactly(16) == b"our side is open"
        wire.close()
        assert await peer.at_eof()
        assert wire.error is None
        await leave(wire, peer)

    play(scene)


@pytest.mark.row("R147")
def test_octets_that_came_too_early_are_first_and_paused_reading_goes_on(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.pause_reading()
        peer.send(b"later")
        end = End()
        divert(wire, end, b"early, ")
        assert end.story == [b"early, "]
        await end.until(b"early, later")
        await leave(wire, peer)

    play(scene)


def test_an_end_that_came_too_early_is_told(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.half_close()
        await wire.until("end")
        end = End()
        divert(wire, end, b"last")
        assert end.story == [b"last", "end"]
        await leave(wire, peer)

    play(scene)


def test_an_end_of_the_tunnel_that_closes_at_once_is_told_nothing_more(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.half_close()
        await wire.until("end")

        class Closing(End):
            def tunnel_received(self, octets: bytes) -> None:
                super().tunnel_received(octets)
                wire.close()

        end = Closing()
        divert(wire, end, b"last")
        await wire.until("lost")
        await leave(wire, peer)
        assert end.story == [b"last"]

    play(scene)


def test_flow_control_stays_with_the_wire(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.pause_reading()
        divert(wire, End())
        for _ in range(32):
            wire.write(bytes(MEBIBYTE))
        assert "full" in wire.story
        peer.resume_reading()
        await wire.until("drained")
        assert not wire.writing_paused
        await leave(wire, peer)

    play(scene)


def test_a_peer_that_takes_nothing_is_noticed() -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        peer.pause_reading()
        divert(wire, End())
        wire.write(bytes(32 * MEBIBYTE))
        async with asyncio.timeout(3 * wire.write_timeout):
            while "stalled" not in wire.story:
                wire.changed.clear()
                await wire.changed.wait()

    play_in_memory(scene)


def test_a_reset_is_told_to_the_wire(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        end = End()
        divert(wire, end)
        peer.abort()
        await wire.until("lost")
        await leave(wire, peer)
        assert end.story == []

    play(scene)


def test_a_wire_that_is_lost_or_closing_is_not_diverted(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        end = End()
        wire.close()
        divert(wire, end, b"late")
        await leave(wire, peer)
        divert(wire, end, b"late")
        assert end.story == []

    play(scene)
