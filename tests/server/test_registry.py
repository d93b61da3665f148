"""All connections of one server: pressure, drain, and what is left behind."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from perdure.core import Reason
from perdure.server.asgi import Receive, Scope, Send
from perdure.server.registry import Registry
from perdure.server.settings import ServerSettings
from perdure.wire.network import Network
from perdure.wire.raw import RawPeer
from tests.server.stand import GET, Gated, answer_from, hello, ignoring, let_pass, serving
from tests.wire.conftest import Play


@pytest.mark.row("R112", "S7")
def test_under_pressure_the_least_recently_used_idle_connections_go_first(play: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated, max_connections=16) as stand:
            busy = await stand.dial()
            busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            idle = [(await stand.ask())[0] for _ in range(14)]
            idle[0].send(GET)
            await answer_from(idle[0])
            assert not stand.server.registry.closes
            newest, _ = await stand.ask()
            assert await idle[1].at_eof(), "by FIN, the one that rested longest"
            idle[0].send(GET)
            assert (await answer_from(idle[0])).status == 200
            gated.gate.set()
            assert (await answer_from(busy)).content == b"/slow"
            newest.send(GET)
            assert (await answer_from(newest)).status == 200

    play(scene)


def test_when_nobody_is_idle_a_connection_too_many_is_refused(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated, max_connections=2) as stand:
            busy = [await stand.dial() for _ in range(2)]
            for peer in busy:
                peer.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await stand.until(lambda: len(gated.began) == 2)
            refused = await stand.dial()
            assert await refused.at_eof()
            refused.close()
            gated.gate.set()
            for peer in busy:
                assert (await answer_from(peer)).status == 200
            await stand.until(lambda: stand.server.registry.closes[Reason.PRESSURE] == 1)
            assert (await stand.ask())[1].status == 200

    play(scene)
    assert "refused, 2 are open and none is idle" in caplog.text


@pytest.mark.row("R115", "S16")
def test_a_drain_lets_exchanges_finish_and_announces_the_close(play: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated, drain_grace=0.3) as stand:
            busy, idle, waiting, silent = [await stand.dial() for _ in range(4)]
            idle.send(GET)
            await answer_from(idle)
            waiting.send(GET)
            await answer_from(waiting)
            busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
            await stand.until(lambda: b"/slow" in gated.began)
            draining = asyncio.create_task(stand.server.drain())
            await stand.until(lambda: stand.server.registry.draining)
            idle.send(GET)
            last = await answer_from(idle)
            assert (last.status, last.options) == (200, {b"close"})
            assert await idle.at_eof()
            assert await waiting.at_eof(), "nothing came within the grace"
            assert await silent.at_eof(), "nor here: no 408 to who never asked"
            gated.gate.set()
            answer = await answer_from(busy)
            assert (answer.content, answer.options) == (b"/slow", {b"close"})
            assert await busy.at_eof()
            for peer in stand.peers:
                peer.close()
            await draining
            assert not stand.server.registry.connections
            assert stand.server.registry.closes == {Reason.DRAIN: 4}

    play(scene)


def test_a_drain_ends_with_the_grace_though_idle_clients_stay(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, drain_grace=0.3, linger_idle=3600.0) as stand:
            asked, _ = await stand.ask()
            silent = await stand.dial()
            await stand.until(lambda: len(stand.server.registry.connections) == 2)
            async with asyncio.timeout(10.0):
                await stand.server.drain()
            assert await asked.at_eof()
            assert await silent.at_eof()
            assert not asked.reset
            assert stand.server.registry.closes == {Reason.DRAIN: 2}

    play(scene)


def test_a_drain_ends_as_soon_as_the_idle_clients_have_gone(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, drain_grace=100.0, drain_timeout=200.0) as stand:
            peer, _ = await stand.ask()
            began = network.now()
            drained = asyncio.ensure_future(stand.server.drain())
            await stand.until(lambda: stand.server.registry.draining)
            peer.close()
            await drained
            assert network.now() - began < 1.0

    play_in_time(scene)


def test_an_evicted_connection_is_gone_though_its_client_stays(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_connections=16, linger_idle=3600.0) as stand:
            idle = [(await stand.ask())[0] for _ in range(64)]
            registry = stand.server.registry
            await stand.until(lambda: len(registry.connections) <= 16)
            assert await idle[0].at_eof()
            assert not idle[0].reset
            assert registry.closes == {Reason.PRESSURE: 64 - len(registry.connections)}

    play(scene)


def test_who_was_told_the_end_makes_room_without_confirming_it(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_connections=16) as stand:
            registry = stand.server.registry
            for _ in range(40):
                peer = await stand.dial()
                peer.send(GET)
                await answer_from(peer)  # sooner than the sweeper looks who has confirmed it
                assert len(registry.connections) <= 17

    play_in_time(scene)


def test_each_one_of_a_burst_that_needs_room_is_made_room_for(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_connections=64, linger_idle=3600.0) as stand:
            registry = stand.server.registry
            await asyncio.gather(*[stand.ask() for _ in range(60)])
            await asyncio.gather(*[stand.ask() for _ in range(31)])  # sooner than the sweeper looks
            assert len(registry.connections) <= 64

    play_in_time(scene)


def test_a_connection_that_comes_about_during_the_drain_gets_one_exchange(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            port = int(stand.server.urls[0].rpartition(":")[2])
            dialling = asyncio.create_task(RawPeer.dial(network, "127.0.0.1", port))
            first, _ = await stand.ask()
            draining = asyncio.create_task(stand.server.registry.drain())
            peer = await dialling
            peer.send(GET)
            assert (await answer_from(peer)).options == {b"close"}
            peer.close()
            first.close()
            await draining

    play_in_time(scene)


def test_after_the_drain_timeout_what_is_left_is_reset_and_cancelled(play: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated, drain_timeout=0.3) as stand:
            peer = await stand.dial()
            peer.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await stand.until(lambda: gated.began)
            await stand.server.drain()
            await peer.wait_lost()
            assert peer.reset
            assert stand.server.registry.closes == {Reason.DRAIN_TIMEOUT: 1}
            assert not stand.server.registry.tasks
            assert gated.ended == []

    play(scene)


def test_a_drain_waits_for_what_goes_on_after_the_response(play: Play) -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def background(scope: Scope, receive: Receive, send: Send) -> None:
        await ignoring(scope, receive, send)
        if scope["type"] == "http":
            await gate.wait()
            done.append("background")

    async def scene(network: Network) -> None:
        gate.clear()
        async with serving(network, background) as stand:
            peer, _ = await stand.ask()
            peer.abort()
            draining = asyncio.create_task(stand.server.drain())
            await stand.until(lambda: not stand.server.registry.connections)
            assert len(stand.server.registry.tasks) == 1
            gate.set()
            await draining
            assert not stand.server.registry.tasks
        assert done.pop() == "background"

    play(scene)


def test_a_task_that_will_not_be_cancelled_does_not_hold_the_shutdown(
    play_in_time: Play, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await ignoring(scope, receive, send)
        while scope["type"] == "http" and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def scene(network: Network) -> None:
        async with serving(network, stubborn, drain_timeout=1.0) as stand:
            await stand.ask()
        release.set()
        await let_pass(0.1)

    play_in_time(scene)
    assert "1 tasks of the application go on although they were cancelled" in caplog.text


def test_a_request_may_shut_its_own_server_down(play: Play) -> None:
    async def scene(network: Network) -> None:
        stopping: list[asyncio.Task[None]] = []

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                stopping.append(asyncio.create_task(stand.server.drain()))
            await ignoring(scope, receive, send)

        async with serving(network, application) as stand:
            peer, answer = await stand.ask()
            assert answer.status == 200
            peer.close()
            await stopping[0]

    play(scene)


def test_counters_count(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            registry = stand.server.registry
            first, _ = await stand.ask()
            second = await stand.dial()
            await stand.until(lambda: registry.opened == 2)
            assert (len(registry.connections), len(registry.idle), registry.requests) == (2, 1, 1)
            first.abort()
            second.abort()
            await stand.until(lambda: not registry.connections)
            assert registry.closes.total() == 2
            assert not registry.idle

    play(scene)


def test_the_end_of_a_connection_is_told_with_its_reason(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            await stand.ask(b"GET / HTTP/1.0\r\n\r\n")
            await stand.closes()

    with caplog.at_level(logging.DEBUG, "perdure.server"):
        play(scene)
    assert "connection 1: closed after 1 requests" in caplog.text
    assert "HTTP/1.0 without the keep-alive option (9112 §9.3)" in caplog.text


def test_one_address_may_have_only_so_many_connections(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_per_address=2) as stand:
            first, _ = await stand.ask()
            await stand.ask()
            refused = await stand.dial()
            assert await refused.receive_all() == b""
            assert (await stand.closes())[Reason.PRESSURE] == 1
            first.close()
            await stand.closes(2)
            await stand.ask()

    play(scene)


@pytest.mark.parametrize(
    ("descriptors", "most"), [(None, 100), (1000, 100), (132, 100), (131, 99), (40, 8), (10, 1)]
)
def test_connections_leave_some_descriptors_for_everything_else(descriptors: int | None, most: int) -> None:
    registry = Registry(ServerSettings(max_connections=100))
    registry.fit_descriptors(descriptors)
    assert registry.most == most


def test_who_wants_to_know_is_told_of_each_connections_end_and_its_reason(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_requests=1) as stand:
            told: list[tuple[object, Reason]] = []
            stand.server.registry.ended = lambda connection, reason: told.append(
                (connection.peer_address, reason)
            )
            peer, _ = await stand.ask()
            assert await peer.at_eof()
            peer.close()
            await stand.until(lambda: bool(told))
            assert told == [(peer.own_address, Reason.MAX_REQUESTS)]

    play(scene)


def test_registry_goes_on_with_the_settings_and_log_of_another(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("old", "new")]
    old, new = (
        Registry(ServerSettings(idle_timeout=seconds, access_log="combined", access_log_file=file))
        for seconds, file in zip((5.0, 9.0), files, strict=True)
    )
    new.fit_descriptors(1024)
    log = new.access_log
    old.opened = 7
    old.adopt(new)
    assert (old.opened, old.settings.idle_timeout, old.idle_seconds) == (7, 9.0, 10.0)
    assert old.most == new.most < 1024
    assert old.terms.keep_alive_timeout == 9
    assert log is not None
    assert (old.access_log, new.access_log) == (log, None)
    log.close()


def test_registry_that_drains_keeps_the_grace_of_idle_connections() -> None:
    registry = Registry(ServerSettings(drain_grace=1.0))
    registry.draining = True
    registry.idle_seconds = 1.0
    registry.adopt(Registry(ServerSettings(max_per_address=3)))
    assert registry.idle_seconds == 1.0
