"""What one pipelined request does to its task is not met by the request behind it."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from perdure.server.asgi import Receive, Scope, Send
from perdure.server.pipeline import SHARED_SECONDS
from perdure.wire.network import Network
from tests.server.stand import GET, answer_from, plain, serving
from tests.server.test_pipeline import Tasks, answers, get
from tests.wire.conftest import Play


def test_tasks_are_shared_only_where_that_is_allowed(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        tasks = Tasks()
        async with serving(network, tasks, share_tasks=False) as stand:
            peer = await stand.dial()
            peer.send(GET * 4)
            assert [(await answer_from(peer)).status for _ in range(4)] == [200] * 4
            assert tasks.groups == [1, 1, 1, 1]

    play_in_time(scene)


def test_a_cancellation_that_was_taken_back_does_not_meet_the_next_request(play: Play) -> None:
    async def scene(network: Network) -> None:
        tasks = Tasks()
        got = await answers(network, tasks, get(b"/cancels-and-does-not") + get(b"/waits") + GET, 3)
        assert [answer.status for answer in got] == [200] * 3

    play(scene)


def test_an_equal_value_that_is_another_one_ends_with_its_request(play: Play) -> None:
    variable: contextvars.ContextVar[list[str]] = contextvars.ContextVar("variable")
    token = variable.set([])  # the server's own
    seen: list[list[str]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        seen.append(list(variable.get()))
        mine: list[str] = []
        variable.set(mine)
        for message in plain(b""):
            await send(message)
        mine.append("a secret")

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET * 3)
            assert [(await answer_from(peer)).status for _ in range(3)] == [200] * 3
            assert seen == [[], [], []]

    try:
        play(scene)
    finally:
        variable.reset(token)


def test_a_slow_application_gives_way_after_each_request(play_on_sockets: Play) -> None:
    tasks: list[object] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        tasks.append(asyncio.current_task())
        loop = asyncio.get_running_loop()
        until = loop.time() + 2 * SHARED_SECONDS
        while loop.time() < until:  # it computes
            continue
        for message in plain(b""):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET * 4)
            for _ in range(4):
                await answer_from(peer)
            assert len(set(map(id, tasks))) == 4

    play_on_sockets(scene)


def test_an_application_that_ends_in_its_own_way_is_answered_for(
    play_in_time: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        (answer,) = await answers(network, Tasks(), get(b"/ends-all"), 1)
        assert answer.status == 500

    play_in_time(scene)
    assert "the application raised" in caplog.text
