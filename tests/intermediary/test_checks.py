"""Asking an origin from time to time whether it is well: over pooled connections, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perdure.intermediary.gateway import Gateway
from perdure.wire.errors import ReadTimeout
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.virtual import run_virtual
from tests.intermediary.conftest import (
    GET,
    OK,
    POST,
    Play,
    Stage,
    answer,
    play_in_memory,
    status,
    until,
    value,
)

BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
CHECKED = {"health_path": "/health", "health_interval": 10.0, "health_timeout": 2.0}


async def accepted(listener: RawListener) -> RawPeer:
    """The next connection, however long it takes to come."""
    while True:
        try:
            return await listener.accept()
        except (TimeoutError, ReadTimeout):
            continue


class Origin:
    """An origin that answers checks with `response`, and says when each came."""

    def __init__(self, listener: RawListener, response: bytes = OK) -> None:
        self.listener = listener
        self.response = response
        self.checks: list[float] = []
        self.heads: list[bytes] = []
        self.served = 0

    async def serve(self) -> None:
        """Serve connections one after the other, and each until it ends."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._serve_one(await accepted(self.listener)))

    async def _serve_one(self, peer: RawPeer) -> None:
        while True:
            try:
                head = await peer.receive_until(b"\r\n\r\n")
            except (TimeoutError, ReadTimeout):
                continue
            except (EOFError, OSError):
                peer.close()
                return
            if head.startswith(b"GET /health "):
                self.checks.append(asyncio.get_running_loop().time())
                self.heads.append(head)
                peer.send(self.response)
            else:
                self.served += 1
                peer.send(OK)


def play_checked(
    scene: Callable[[Stage, Origin], Awaitable[None]], response: bytes = OK, **settings: object
) -> None:
    """Play a scene with an origin that answers checks."""

    async def with_origin(stage: Stage) -> None:
        origin = Origin(stage.origin, response)
        serving = asyncio.create_task(origin.serve())
        try:
            await scene(stage, origin)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    play_in_memory(with_origin, **{**CHECKED, **settings})


def condition(gateway: Gateway, number: int = 0) -> str:
    return gateway.statistics().servers[number].condition


def test_checks_come_at_the_interval_with_jitter_over_one_connection() -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(605)
        gaps = [later - earlier for earlier, later in zip(origin.checks, origin.checks[1:], strict=False)]
        assert 52 <= len(origin.checks) <= 68
        assert all(9.0 <= gap <= 11.3 for gap in gaps), gaps
        assert len({round(gap, 3) for gap in gaps}) > 10, "they are not all alike"
        (server,) = stage.gateway.statistics().servers
        assert (server.checked, server.dialled, server.requests) == (True, 1, len(origin.checks))
        assert server.reuse_ratio > 0.98
        assert stage.gateway.statistics().requests == 0, "checks are no requests of clients"

    play_checked(scene)


def test_check_is_a_get_for_the_origin_itself() -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(11)
        authority = f"{stage.origin.host}:{stage.origin.port}".encode()
        head = origin.heads[0]
        assert head.startswith(b"GET /health HTTP/1.1\r\nHost: " + authority + b"\r\nUser-Agent: perdure\r\n")
        assert value(head, b"via") is None

    play_checked(scene)


def test_host_of_a_check_may_be_another() -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(11)
        assert value(origin.heads[0], b"host") == b"example.test"

    play_checked(scene, health_host="example.test")


def test_checks_prove_how_long_connections_may_lie_idle() -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(60)
        client = await stage.client()
        seen = len(origin.checks)
        await until(lambda: len(origin.checks) > seen)
        await asyncio.sleep(2)
        client.send(POST)
        assert status((await answer(client))[0]) == 200
        assert stage.gateway.statistics().origins.dialled == 1, (
            "even a POST trusts a connection that was checked"
        )

    play_checked(scene, health_interval=6.0)


def test_origin_is_out_after_three_bad_answers_and_in_again_after_two_good_ones() -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(15)
        assert condition(stage.gateway) == "in"
        origin.response = BAD
        await asyncio.sleep(35)
        assert condition(stage.gateway) == "failed"
        origin.response = OK
        await asyncio.sleep(25)
        assert condition(stage.gateway) == "in"
        assert 3 <= stage.gateway.statistics().servers[0].checks_failed <= 4

    play_checked(scene)


@pytest.mark.parametrize(
    "response", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", b"", b"rubbish\r\n\r\n"]
)
def test_answer_that_is_late_or_none_fails_a_check(response: bytes) -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(50)
        assert condition(stage.gateway) == "failed"
        (server,) = stage.gateway.statistics().servers
        assert server.outstanding == 0
        assert server.connections <= 1, "what a check gave up is closed"

    play_checked(scene, response)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_any_whole_answer_below_400_passes(response: bytes) -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        await asyncio.sleep(45)
        assert condition(stage.gateway) == "in"
        assert stage.gateway.statistics().servers[0].checks_failed == 0
        assert len(origin.checks) >= 3

    play_checked(scene, response)


def test_requests_go_to_others_while_checks_fail() -> None:
    async def scene(stage: Stage, origin: Origin) -> None:
        other = Origin(await RawListener.listen(stage.network))
        serving = asyncio.create_task(other.serve())
        to = [f"http://{one.listener.host}:{one.listener.port}" for one in (origin, other)]
        async with Gateway(to, "127.0.0.1:0", network=stage.network, **CHECKED) as gateway:  # type: ignore[arg-type]
            await asyncio.sleep(45)
            client = await Stage(stage.network, stage.origin, gateway).client()
            assert (condition(gateway, 0), condition(gateway, 1)) == ("failed", "in")
            for _ in range(6):
                client.send(GET)
                await answer(client)
            assert (origin.served, other.served) == (0, 6)
            origin.response = OK
            await asyncio.sleep(25)
            for _ in range(6):
                client.send(GET)
                await answer(client)
            assert (origin.served, other.served) == (3, 9)
            client.abort()
            await client.wait_lost()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    play_checked(scene, BAD)


def test_origin_that_cannot_be_connected_to_fails_its_checks() -> None:
    async def story() -> None:
        network = MemoryNetwork()
        for number in range(9):
            network.script(Fault("server", 0, "refused"), number)
        async with Gateway("http://192.0.2.1", "127.0.0.1:0", network=network, **CHECKED) as gateway:  # type: ignore[arg-type]
            await asyncio.sleep(45)
            assert condition(gateway) == "failed"
            assert gateway.statistics().servers[0].failures == 0, "which counts requests"

    run_virtual(story())


def test_connection_that_went_stale_is_no_fault_and_the_check_is_made_again() -> None:
    async def scene(stage: Stage) -> None:
        inner = await accepted(stage.origin)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        inner.patience = 20.0
        await inner.receive_until(b"\r\n\r\n")
        inner.abort()  # in the very moment in which it is used again
        again = await stage.origin.accept()
        await again.receive_until(b"\r\n\r\n")
        again.send(OK)
        await asyncio.sleep(1)
        (server,) = stage.gateway.statistics().servers
        assert (server.checked, server.checks_failed, server.dialled) == (True, 0, 2)

    play_in_memory(scene, **CHECKED)


@pytest.mark.parametrize("pool_timeout", [1.0, 30.0], ids=["told before the check is over", "told later"])
def test_that_all_connections_are_busy_says_nothing_of_an_origin(pool_timeout: float) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(GET)
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        await asyncio.sleep(50)
        (server,) = stage.gateway.statistics().servers
        assert (server.condition, server.checked, server.checks_failed) == ("in", None, 0)
        inner.send(OK)
        await answer(client)

    play_in_memory(scene, **{**CHECKED, "origin_max_per_origin": 1, "origin_pool_timeout": pool_timeout})


def test_end_of_the_gateway_ends_a_check_under_way(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        await stage.gateway.close()
        assert await inner.at_eof()
        assert stage.gateway.statistics().servers[0].checked is None

    play_virtually(scene, **{**CHECKED, "health_interval": 0.1})
