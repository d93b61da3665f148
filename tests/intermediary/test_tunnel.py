"""What a tunnel carries: all octets in order, each side's end, and how it ends when something goes wrong."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
import trustme

from perdure.client.urls import NextProxy
from perdure.core import Reason
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import client_context, server_context
from tests.intermediary.conftest import Play, Stage, until
from tests.intermediary.connecting import OPENED, Connecting, connect_to, tunnelled

MEBIBYTE = 1 << 20
PATTERN = bytes(range(251)) * (MEBIBYTE // 251 + 1)
"""Not of a length that any buffer has, so that a piece that is lost or doubled shows."""


def sides(client: RawPeer, far: RawPeer, first: str) -> tuple[RawPeer, RawPeer]:
    """The side that acts first, and the other one."""
    return (client, far) if first == "client" else (far, client)


both_sides = pytest.mark.parametrize("first", ["client", "far"])


async def ended(stage: Stage, reason: Reason) -> None:
    """Wait until the one connection is gone, for this reason, and nothing is left of its tunnel."""
    registry = stage.gateway.registry
    await until(lambda: not registry.connections)
    assert registry.closes == {reason: 1}
    assert stage.gateway.statistics().tunnels == 0
    await until(lambda: not stage.gateway._shared.tunnels.far_wires)


# The end of one side


@pytest.mark.row("R154", "R121")
@both_sides
def test_the_end_of_one_side_is_handed_on_behind_its_octets_and_the_other_goes_on(
    play: Play, first: str
) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        one.send(PATTERN)
        one.half_close()
        assert await other.receive_all() == PATTERN
        assert stage.gateway.statistics().tunnels == 1
        other.send(PATTERN)
        assert await one.receive_exactly(len(PATTERN)) == PATTERN
        other.close()
        assert await one.at_eof()
        await ended(stage, Reason.TUNNEL)

    play(scene, kind=Connecting)


@pytest.mark.row("R154")
@both_sides
def test_ends_of_both_sides_with_a_mebibyte_queued_each_way_lose_nothing(play: Play, first: str) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        for peer in (one, other):
            peer.pause_reading()
            peer.send(PATTERN)
            peer.half_close()
        await asyncio.sleep(0.05)
        one.resume_reading()
        assert await one.receive_all() == PATTERN
        other.resume_reading()
        assert await other.receive_all() == PATTERN
        await ended(stage, Reason.TUNNEL)

    play(scene, kind=Connecting)


# Back-pressure


@both_sides
def test_a_side_that_takes_nothing_stops_the_other_one(play_virtually: Play, first: str) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        other.pause_reading()
        one.send(PATTERN * 4)
        await asyncio.sleep(20)
        (relay,) = stage.gateway._shared.tunnels.open_ones
        held = [wire.transport.get_write_buffer_size() for wire in (relay._near, relay._far)]
        assert 65536 < max(held) <= 65536 + 262144  # one piece above the mark at which reading pauses
        assert one.transport.get_write_buffer_size() > 3 * MEBIBYTE
        other.resume_reading()
        assert await other.receive_exactly(4 * len(PATTERN)) == PATTERN * 4

    play_virtually(scene, kind=Connecting)


@both_sides
def test_a_side_that_takes_nothing_does_not_stop_what_it_says(play: Play, first: str) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        other.pause_reading()
        one.send(PATTERN * 8)
        other.send(b"still here")
        assert await one.receive_exactly(10) == b"still here"

    play(scene, kind=Connecting)


# Time


@both_sides
def test_a_tunnel_through_which_nothing_passes_ends_with_fin_both_ways(
    play_virtually: Play, first: str
) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        one.patience = other.patience = 20
        for _ in range(3):
            await asyncio.sleep(8)
            one.send(b"x")
        began = stage.network.now()
        assert await one.at_eof()
        assert await other.receive_all() == b"xxx"
        assert not other.reset
        assert 10 <= stage.network.now() - began < 10.3
        one.close()
        other.close()
        await ended(stage, Reason.IDLE_LIMIT)

    play_virtually(scene, kind=Connecting, tunnel_timeout=10)


@pytest.mark.slow
def test_an_hour_is_the_limit_unless_it_is_set_and_none_is_no_limit(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, far = await tunnelled(stage)
        client.patience = far.patience = 3605
        await asyncio.sleep(3590)
        timeout = stage.gateway._shared.tunnels.timeout
        assert client.ended is False
        await asyncio.sleep(15)
        assert client.ended is (timeout == 3600)

    play_virtually(scene, kind=Connecting)
    play_virtually(scene, kind=Connecting, tunnel_timeout=None)


@both_sides
def test_octets_that_are_taken_slowly_are_no_idleness(play_virtually: Play, first: str) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        one.send(PATTERN * 4)
        for rounds in range(1, 9):
            other.pause_reading()
            await asyncio.sleep(8)
            other.resume_reading()
            await until(lambda: len(other.received) > rounds * 200_000)  # noqa: B023 - awaited at once
        assert len(other.received) < 4 * MEBIBYTE
        assert not one.ended

    play_virtually(scene, kind=Connecting, tunnel_timeout=10)


@both_sides
def test_a_side_that_takes_nothing_for_write_timeout_breaks_the_tunnel(
    play_virtually: Play, first: str
) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        other.pause_reading()
        one.send(PATTERN * 4)
        one.patience = 40
        await one.wait_lost()
        assert one.reset
        other.resume_reading()
        await other.wait_lost()
        assert other.reset
        await ended(stage, Reason.WRITE_TIMEOUT)

    play_virtually(scene, kind=Connecting, write_timeout=20)


# What breaks off


@both_sides
def test_a_reset_crosses_behind_the_octets_before_it(play: Play, first: str) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        one.send(b"the last words")
        assert await other.receive_exactly(14) == b"the last words"
        one.abort()
        await other.wait_lost()
        assert other.reset
        await ended(stage, Reason.PEER_RESET if first == "client" else Reason.TUNNEL_BROKEN)

    play(scene, kind=Connecting)


@both_sides
def test_octets_of_a_side_that_broke_off_are_delivered_before_the_other_is_reset(
    play_on_sockets: Play, first: str
) -> None:
    async def scene(stage: Stage) -> None:
        one, other = sides(*await tunnelled(stage), first)
        other.pause_reading()
        one.send(PATTERN[:200_000])
        directions = next(iter(stage.gateway._shared.tunnels.open_ones))
        await until(lambda: directions.outward.octets + directions.inward.octets == 200_000)
        one.abort()
        await until(lambda: stage.gateway.statistics().tunnels == 0)
        other.resume_reading()
        await other.wait_lost()
        assert bytes(other.received).endswith(PATTERN[:200_000])
        assert other.reset

    play_on_sockets(scene, kind=Connecting)


def test_a_far_side_that_is_reset_before_the_answer_is_out_breaks_the_tunnel(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        stage.network.script(Fault("server", 0, "rst"), connection=1)
        client = await stage.client()
        client.send(connect_to(stage))
        assert await client.receive_all() == OPENED
        await client.wait_lost()
        assert client.reset
        await ended(stage, Reason.TUNNEL_BROKEN)

    play_virtually(scene, kind=Connecting)


# Shutting down, counting


def test_a_shutdown_waits_for_tunnels_and_cuts_them_off_in_time(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, far = await tunnelled(stage)
        began = stage.network.now()
        closing = asyncio.create_task(stage.gateway.close())
        await asyncio.sleep(15)
        client.send(b"still served")
        assert await far.receive_exactly(12) == b"still served"
        client.patience = far.patience = 30
        await client.wait_lost()
        await far.wait_lost()
        assert 20 <= stage.network.now() - began < 20.3
        assert client.reset
        assert far.reset
        await closing
        assert stage.gateway.registry.closes == {Reason.DRAIN_TIMEOUT: 1}

    play_virtually(scene, kind=Connecting, drain_timeout=20)


def test_a_shutdown_ends_as_soon_as_the_tunnels_have(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, far = await tunnelled(stage)
        closing = asyncio.create_task(stage.gateway.close())
        await asyncio.sleep(1)
        far.close()
        assert await client.at_eof()
        client.close()
        await asyncio.wait_for(closing, 1)

    play_virtually(scene, kind=Connecting, drain_timeout=20)


def test_tunnels_count_against_max_connections_and_are_not_evicted(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        ends = [await tunnelled(stage) for _ in range(2)]
        refused = await stage.client()
        assert await refused.receive_all() == b""
        for client, far in ends:
            client.send(b"here")
            assert await far.receive_exactly(4) == b"here"

    play(scene, kind=Connecting, max_connections=2)


def test_a_tunnel_is_logged_with_its_octets_and_its_end(
    play: Play, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "access.log"
    log.write_text("")

    async def scene(stage: Stage) -> None:
        client, far = await tunnelled(stage)
        client.send(b"four")
        assert await far.receive_exactly(4) == b"four"
        far.send(b"seven..")
        far.close()
        assert await client.receive_all() == b"seven.."
        client.close()
        await until(lambda: not stage.gateway.registry.connections)

    with caplog.at_level(logging.DEBUG, "perdure.gateway"):
        play(scene, kind=Connecting, access_log="combined", access_log_file=str(log))
    assert "4 octets there and 7 back: the connection became a tunnel (9110 §9.3.6)" in caplog.text
    assert '" 200 7 ' in log.read_text()


# TLS, where there is no half-close


def certified(tmp_path: Path) -> tuple[str, str]:
    """Files of a certificate for 127.0.0.1, and of the authority that gave it."""
    authority = trustme.CA()
    certificate, trusted = tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(trusted)
    return str(certificate), str(trusted)


@pytest.mark.slow
@both_sides
def test_over_tls_the_end_of_one_side_is_the_end_of_the_tunnel_and_nothing_before_it_is_lost(
    play_on_sockets: Play, tmp_path: Path, first: str
) -> None:
    certificate, trusted = certified(tmp_path)

    async def scene(stage: Stage) -> None:
        listener = await RawListener.listen(stage.network, tls=server_context(certificate))
        async with Connecting("http://127.0.0.1:9", "127.0.0.1:0", tls_cert=certificate) as gateway:
            gateway.parent = NextProxy("https", "127.0.0.1", listener.port, tunnel=True)
            gateway.tls = client_context(ca_file=trusted)
            port = int(gateway.urls[0].rpartition(":")[2])
            client = await RawPeer.dial(stage.network, "127.0.0.1", port, tls=client_context(ca_file=trusted))
            client.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
            far = await listener.accept()
            await far.receive_until(b"\r\n\r\n")
            far.send(b"HTTP/1.1 200 OK\r\n\r\n")
            assert await client.receive_until(b"\r\n\r\n") == OPENED
            one, other = sides(client, far, first)
            one.send(PATTERN)
            one.close()
            assert await other.receive_all() == PATTERN
            await one.wait_lost()
            await other.wait_lost()
            assert not other.reset
            await until(lambda: not gateway.registry.connections)
            assert gateway.registry.closes == {Reason.TUNNEL: 1}
        listener.close()

    play_on_sockets(scene)
