"""Requests that arrive together: answered by one task as long as no application can tell."""

from __future__ import annotations

import asyncio
import contextvars

import anyio
import pytest

from perdure.server.asgi import Receive, Scope, Send
from perdure.server.pipeline import MOST_AT_ONCE
from perdure.wire.network import Network
from tests.server.stand import (
    GET,
    Answer,
    Gated,
    Heard,
    answer_from,
    hello,
    let_pass,
    plain,
    saying,
    serving,
)
from tests.wire.conftest import Play


def get(path: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: x", *lines, b"", b""])


class Tasks:
    """An application that notes which task answers; what it does besides is the path."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[object] | None] = []
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the path."""
        if scope["type"] != "http":
            raise NotImplementedError
        self.tasks.append(asyncio.current_task())
        path = scope["raw_path"]
        if path == b"/waits":
            await asyncio.sleep(0)
        if path == b"/raises":
            raise ValueError("on purpose")
        if path == b"/ends-all":
            raise BaseExceptionGroup("of a library's own", [GeneratorExit()])
        for message in plain(path):
            await send(message)
        if path == b"/works-on":
            self.running += 1
            await asyncio.sleep(5)
            self.running -= 1
        if path == b"/renames":
            current = asyncio.current_task()
            assert current is not None
            current.set_name("user-alice")
        if path == b"/cancels-and-does-not":
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            current.uncancel()
        if path == b"/cancels-itself":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    @property
    def groups(self) -> list[int]:
        """How many requests in a row each task answered."""
        sizes: list[int] = []
        before: object = None
        for task in self.tasks:
            if task is before:
                sizes[-1] += 1
            else:
                sizes.append(1)
            before = task
        return sizes


async def answers(network: Network, tasks: Tasks, octets: bytes, count: int) -> list[Answer]:
    async with serving(network, tasks, max_requests=None) as stand:
        peer = await stand.dial()
        peer.send(octets)
        return [await answer_from(peer) for _ in range(count)]


@pytest.mark.row("R103")
@pytest.mark.parametrize(
    ("paths", "groups"),
    [
        ([b"/"] * 5, [5]),
        ([b"/1", b"/2", b"/3"], [3]),
        ([b"/"] * (MOST_AT_ONCE + 2), [MOST_AT_ONCE, 2]),
        ([b"/", b"/waits", b"/", b"/"], [2, 2]),
        ([b"/waits"] * 3, [1, 1, 1]),
        ([b"/", b"/cancels-itself", b"/", b"/"], [2, 2]),
        ([b"/", b"/renames", b"/", b"/"], [2, 2]),
        ([b"/", b"/works-on", b"/", b"/"], [2, 2]),
        ([b"/works-on", b"/works-on", b"/"], [1, 1, 1]),
        ([b"/", b"/raises", b"/"], [3]),
        ([b"/raises", b"/waits", b"/raises", b"/"], [2, 2]),
    ],
)
def test_a_task_goes_on_with_the_next_request_until_an_application_waits(
    play_in_time: Play, paths: list[bytes], groups: list[int]
) -> None:
    async def scene(network: Network) -> None:
        tasks = Tasks()
        got = await answers(network, tasks, b"".join(map(get, paths)), len(paths))
        assert tasks.groups == groups
        assert [answer.status for answer in got] == [500 if path == b"/raises" else 200 for path in paths]
        assert [answer.content for answer in got if answer.status == 200] == [
            path for path in paths if path != b"/raises"
        ]

    play_in_time(scene)


def test_what_goes_on_after_its_response_does_not_hold_back_the_next_one(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        tasks = Tasks()
        async with serving(network, tasks) as stand:
            peer = await stand.dial()
            peer.send(get(b"/works-on") * 2 + GET)
            assert [(await answer_from(peer)).content for _ in range(3)] == [b"/works-on"] * 2 + [b"/"]
            assert tasks.running == 2
            assert stand.server.registry.idle
            await let_pass(6)
            assert tasks.running == 0
            assert not stand.server.registry.tasks
            peer.send(GET)
            assert (await answer_from(peer)).status == 200

    play_in_time(scene)


@pytest.mark.row("R122")
@pytest.mark.parametrize("comparable", [True, False])
def test_variables_of_a_context_end_with_their_request(play: Play, comparable: bool) -> None:
    class Value:
        def __eq__(self, other: object) -> bool:
            if comparable:
                return other is self
            raise ValueError("the truth of an array is ambiguous")

        __hash__ = object.__hash__

    variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable", default="clean")
    token = variable.set(Value())  # the server's own, while it begins
    seen = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        seen.append(variable.get())
        if scope["raw_path"] == b"/set":
            variable.set(Value())
        if scope["raw_path"] == b"/reset":
            variable.reset(variable.set("for a while"))
        for message in plain(b""):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send((get(b"/set") * 2 + get(b"/reset") * 2 + GET) * 2)
            for _ in range(10):
                assert (await answer_from(peer)).status == 200
            assert len(seen) == 10
            assert len(set(map(id, seen))) == 1

    try:
        play(scene)
    finally:
        variable.reset(token)


def test_scopes_of_equal_requests_are_not_shared(play_in_time: Play) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        for message in plain(b""):
            await send(message)

    async def scene(network: Network) -> None:
        heard = Heard(script)
        async with serving(network, heard) as stand:
            peer = await stand.dial()
            peer.send(GET * 3)
            for _ in range(3):
                await answer_from(peer)
            first, *others = heard.scopes
            assert all(scope == first and scope is not first for scope in others)
            for name in ("asgi", "extensions", "headers"):
                assert len({id(scope[name]) for scope in heard.scopes}) == 3

    play_in_time(scene)


def test_another_connection_has_its_turn_between_many_pipelined_requests(play_in_time: Play) -> None:
    order: list[bytes] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        order.append(scope["raw_path"])
        for message in plain(b""):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, application, max_requests=None) as stand:
            greedy, modest = await stand.dial(), await stand.dial()
            greedy.send(get(b"/greedy") * 10 * MOST_AT_ONCE)
            modest.send(get(b"/modest"))
            for _ in range(10 * MOST_AT_ONCE):
                await answer_from(greedy)
            assert order.index(b"/modest") <= 2 * MOST_AT_ONCE

    play_in_time(scene)


@pytest.mark.row("R94")
def test_nothing_behind_a_close_is_answered_within_a_pipeline(play: Play) -> None:
    async def scene(network: Network) -> None:
        tasks = Tasks()
        async with serving(network, tasks) as stand:
            peer = await stand.dial()
            peer.send(GET * 2 + get(b"/", b"Connection: close") + GET * 2)
            assert [(await answer_from(peer)).options for _ in range(3)] == [
                {b"keep-alive"},
                {b"keep-alive"},
                {b"close"},
            ]
            assert await peer.at_eof()
            assert len(tasks.tasks) == 3

    play(scene)


def test_requests_that_are_refused_have_their_place_in_a_pipeline(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            refused = get(b"/", b"Expect: foo")
            posted = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"
            unwanted = b"POST /q HTTP/1.1\r\nHost: x\r\nExpect: foo\r\nContent-Length: 2\r\n\r\nno"
            peer.send(GET + refused * 2 + posted + unwanted + GET + refused + posted)
            got = [await answer_from(peer) for _ in range(8)]
            assert [answer.status for answer in got] == [200, 417, 417, 200, 417, 200, 417, 200]
            assert got[3].content == got[7].content == b"POST /p ok"
            peer.send(GET)
            assert (await answer_from(peer)).status == 200

    play(scene)


@pytest.mark.parametrize("library", ["asyncio", "anyio"])
def test_a_time_limit_ends_only_the_request_that_set_it(play_in_time: Play, library: str) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        content = scope["raw_path"]
        if library == "anyio":
            with anyio.move_on_after(1 if content == b"/slow" else 60) as cancel_scope:
                await asyncio.sleep(5 if content == b"/slow" else 0)
            late = cancel_scope.cancelled_caught
        else:
            late = False
            try:
                async with asyncio.timeout(1 if content == b"/slow" else 60):
                    await asyncio.sleep(5 if content == b"/slow" else 0)
            except TimeoutError:
                late = True
        for message in plain(content + (b" late" if late else b"")):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET + get(b"/slow") + GET * 2 + get(b"/slow") + GET)
            assert [(await answer_from(peer)).content for _ in range(6)] == [
                b"/",
                b"/slow late",
                b"/",
                b"/",
                b"/slow late",
                b"/",
            ]

    play_in_time(scene)


def test_a_client_that_goes_is_noticed_by_the_request_that_waits_in_a_pipeline(play: Play) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["raw_path"] == b"/waits":
            await receive()
            assert (await receive())["type"] == "http.disconnect"
        for message in plain(scope["raw_path"]):
            await send(message)

    async def scene(network: Network) -> None:
        heard = Heard(script)
        async with serving(network, heard) as stand:
            peer = await stand.dial()
            peer.send(GET * 2 + get(b"/waits") + GET)
            for _ in range(2):
                await answer_from(peer)
            await stand.until(lambda: len(heard.scopes) == 3)
            peer.abort()
            await stand.until(lambda: heard.errors)
            assert isinstance(heard.errors[0], OSError)
            assert len(heard.scopes) == 3, "nothing behind it is begun"
            await stand.until(lambda: not stand.server.registry.tasks)

    play(scene)


def test_a_server_that_drains_answers_what_is_under_way_and_no_more(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated) as stand:
            peer = await stand.dial()
            peer.send(GET * 2 + get(b"/slow") + GET)
            await stand.until(lambda: b"/slow" in gated.began)
            closing = asyncio.create_task(stand.server.close())
            await let_pass(0.1)
            gated.gate.set()
            assert [(await answer_from(peer)).content for _ in range(3)] == [b"/", b"/", b"/slow"]
            assert await peer.at_eof()
            await closing
            assert gated.began == [b"/", b"/", b"/slow"]

    play_in_time(scene)


def test_every_request_of_a_pipeline_is_in_the_access_log(
    play_in_time: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, access_log="combined") as stand:
            peer = await stand.dial()
            peer.send(GET * 3 + get(b"/other") + GET)
            for _ in range(5):
                await answer_from(peer)

    play_in_time(scene)
    lines = [line for line in capsys.readouterr().out.splitlines() if '"GET /' in line]
    assert len(lines) == 5
    assert ["/other" in line for line in lines] == [False, False, False, True, False]


def test_large_answers_in_a_pipeline_wait_for_a_client_that_does_not_read(play_in_time: Play) -> None:
    begun: list[int] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        begun.append(1)
        for message in plain(b"x" * 50000):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.pause_reading()
            peer.send(GET * 100)
            await let_pass(5)
            assert len(begun) < 50
            peer.resume_reading()
            for _ in range(100):
                assert len((await answer_from(peer)).content) == 50000

    play_in_time(scene)


def test_a_whole_response_after_the_response_is_the_applications_fault_in_a_pipeline_too(
    play_in_time: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*plain(b"a"), *plain(b"b"))) as stand:
            peer = await stand.dial()
            peer.send(GET * 3)
            assert [(await answer_from(peer)).content for _ in range(3)] == [b"a"] * 3
            assert caplog.text.count("RuntimeError: http.response.start after the response was complete") == 3

    play_in_time(scene)
