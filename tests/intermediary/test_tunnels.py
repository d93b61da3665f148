"""How a tunnel is opened: nothing crosses before the answer, and nothing is read as HTTP after a refusal."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

from perdure.client.urls import NextProxy
from perdure.core import Reason, Request
from perdure.intermediary.inbound import GatewayConnection
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.raw import RawListener
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, until, value
from tests.intermediary.connecting import OPENED, Connecting, ConnectingConnection, connect_to, tunnelled


@pytest.mark.row("R154", "R44")
def test_2xx_says_nothing_of_a_length_and_octets_then_cross_both_ways(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, far = await tunnelled(stage)
        client.send(b"\x16\x03 GET / HTTP/1.1\r\n\r\n")
        assert await far.receive_exactly(21) == b"\x16\x03 GET / HTTP/1.1\r\n\r\n"
        far.send(b"HTTP/1.1 200 OK\r\n\r\nno response")
        assert await client.receive_exactly(30) == b"HTTP/1.1 200 OK\r\n\r\nno response"
        statistics = stage.gateway.statistics()
        assert (statistics.connections, statistics.idle, statistics.tunnels) == (1, 0, 1)

    play(scene, kind=Connecting)


def test_octets_that_came_with_the_request_follow_into_the_tunnel(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(connect_to(stage) + b"early")
        far = await stage.origin.accept()
        client.send(b", later")
        assert await far.receive_exactly(12) == b"early, later"
        assert await client.receive_until(b"\r\n\r\n") == OPENED

    play(scene, kind=Connecting)


def test_a_far_side_that_speaks_first_is_heard_behind_the_2xx(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(connect_to(stage))
        far = await stage.origin.accept()
        far.send(b"220 ready\r\n")
        assert await client.receive_until(b"ready\r\n") == OPENED + b"220 ready\r\n"

    play(scene, kind=Connecting)


def test_octets_before_the_answer_wait_in_bounds(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        stage.network.script(Fault("server", 0, "unanswered"), connection=1)
        client = await stage.client()
        client.send(connect_to(stage) + bytes(1 << 20))
        await asyncio.sleep(1)
        assert client.transport.get_write_buffer_size() > 1 << 19
        head, _ = await answer(client)
        assert status(head) == 504

    play_virtually(scene, kind=Connecting)


class EndingAtOnce(Connecting):
    """Everything is cut off after a CONNECT was read, and before its far side is dialled."""

    def make_connection(self) -> GatewayConnection:
        return EndingConnection(self)


class EndingConnection(ConnectingConnection):
    __slots__ = ()

    def _answers_itself(self, request: Request) -> bool:
        self.loop.call_soon(self.registry.end_all, Reason.DRAIN_TIMEOUT)
        return super()._answers_itself(request)


def test_a_far_side_is_not_dialled_for_who_is_gone_before(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(connect_to(stage))
        await until(lambda: not stage.gateway.registry.connections)
        await until(lambda: not stage.gateway.registry.tasks)
        assert not stage.origin.peers

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        play(scene, kind=EndingAtOnce)
        gc.collect()
    assert not [str(one.message) for one in warned if "never awaited" in str(one.message)]


@pytest.mark.row("R168")
def test_nothing_behind_a_connect_that_failed_is_read(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        target = connect_to(stage)
        stage.origin.close()
        client = await stage.client()
        client.send(target + GET)
        head, _ = await answer(client)
        assert status(head) == 502
        assert value(head, b"connection") == b"close"
        assert value(head, b"proxy-status") == b"perdure; error=connection_refused"
        assert await client.receive_all() == b""
        await until(lambda: stage.gateway.registry.closes[Reason.CONNECT_REJECTED] == 1)

    play(scene, kind=Connecting, linger_idle=0.1)


@pytest.mark.row("R168", "R121")
def test_a_client_that_leaves_while_it_is_dialled_leaves_nothing_behind(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        stage.network.script(Fault("server", 0, "unanswered"), connection=1)
        client = await stage.client()
        client.send(connect_to(stage))
        await asyncio.sleep(1)
        assert len(stage.gateway.registry.tasks) == 1
        client.abort()
        await until(lambda: not stage.gateway.registry.connections)
        await until(lambda: not stage.gateway.registry.tasks)

    play_virtually(scene, kind=Connecting)


def test_a_client_that_ended_its_side_while_it_was_dialled_hears_all_of_the_answer(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(connect_to(stage) + b"question")
        client.half_close()
        far = await stage.origin.accept()
        assert await far.receive_all() == b"question"
        assert await client.receive_until(b"\r\n\r\n") == OPENED
        far.send(b"answer")
        far.close()
        assert await client.receive_all() == b"answer"

    play(scene, kind=Connecting)


def test_a_dial_that_fails_unexpectedly_is_answered(
    play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(self: object, origin: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("perdure.client.loop_dialling.LoopDialler.dial", failing)

    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(connect_to(stage))
        head, _ = await answer(client)
        assert status(head) == 502
        assert "a tunnel could not be opened" in caplog.text

    play(scene, kind=Connecting)


# Through a parent proxy


class ThroughParent(Connecting):
    """Far sides are connected through a proxy."""

    parent = NextProxy("http", "127.0.0.1", 3128, tunnel=True)


@pytest.mark.row("R167")
def test_a_parent_is_asked_with_connect_and_hears_no_octet_before_it_agreed(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        parent = await RawListener.listen(stage.network, "127.0.0.1:3128")
        client = await stage.client()
        client.send(connect_to(stage) + b"early")
        peer = await parent.accept()
        head = await peer.receive_until(b"\r\n\r\n")
        assert head.startswith(connect_to(stage).partition(b"\r\n")[0])
        await asyncio.sleep(1)
        assert peer.received == head
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        assert await client.receive_until(b"\r\n\r\n") == OPENED
        assert await peer.receive_exactly(5) == b"early"
        peer.send(b"back")
        assert await client.receive_exactly(4) == b"back"
        peer.abort()
        parent.close()

    play_virtually(scene, kind=ThroughParent)


@pytest.mark.row("R168")
def test_a_parent_that_refuses_ends_the_clients_connection(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        parent = await RawListener.listen(stage.network, "127.0.0.1:3128")
        client = await stage.client()
        client.send(connect_to(stage) + GET)
        peer = await parent.accept()
        await peer.receive_until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (502, b"close")
        assert await client.receive_all() == b""
        await peer.wait_lost()
        parent.close()

    play_virtually(scene, kind=ThroughParent)


# Beside other requests


@pytest.mark.row("R103")
def test_a_tunnel_opens_behind_pipelined_requests_in_its_turn(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(GET + connect_to(stage) + b"early")
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"
        assert await client.receive_until(b"\r\n\r\n") == OPENED
        far = await stage.origin.accept()
        assert await far.receive_exactly(5) == b"early"

    play(scene, kind=Connecting)


def test_closing_waits_for_far_sides_and_resets_those_that_take_too_long(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, far = await tunnelled(stage)
        far.pause_reading()
        client.send(bytes(1 << 20))
        await until(lambda: stage.gateway.statistics().tunnels == 1)
        await asyncio.sleep(0.05)
        await stage.gateway.close()
        await client.wait_lost()
        far.resume_reading()
        await far.wait_lost()
        assert far.reset

    play(scene, kind=Connecting, drain_timeout=0.1)
