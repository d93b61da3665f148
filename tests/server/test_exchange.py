"""What an ASGI application may say and hears: order, disconnects, lengths, back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perdure.core import LocalViolation, Reason
from perdure.server.asgi import Application, Message, Receive, Scope, Send
from perdure.wire.network import Network
from tests.server.stand import GET, Heard, answer_from, hello, plain, saying, serving
from tests.wire.conftest import Play

START: Message = {"type": "http.response.start", "status": 200}
EXPECTING = b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


def body(octets: bytes, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": octets, "more_body": more}


def start(*headers: tuple[bytes, bytes], status: int = 200, **others: object) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **others}


# What it hears.


@pytest.mark.row("R159", "R160")
def test_100_continue_is_sent_when_the_application_asks_for_content(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            peer.send(EXPECTING)
            assert await peer.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            peer.send(b"hello")
            assert (await answer_from(peer)).content == b"POST /e hello"
            peer.send(EXPECTING + b"hello" + GET)
            assert (await answer_from(peer)).content == b"POST /e hello", "no 100 to who does not wait"
            assert (await answer_from(peer)).content == b"GET / "

    play(scene)


@pytest.mark.row("R158", "R164")
def test_an_http_10_client_is_sent_no_interim_response(play: Play) -> None:
    async def hinting(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await hello(scope, receive, send)

    async def scene(network: Network) -> None:
        async with serving(network, hinting) as stand:
            old = EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0")
            peer, answer = await stand.ask(old + b"hello")
            assert (answer.status, answer.content) == (200, b"POST /e hello")
            peer, hint = await stand.ask()
            assert hint.head == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
            assert (await answer_from(peer)).status == 200

    play(scene)


@pytest.mark.row("R161")
def test_an_answer_instead_of_100_announces_the_close(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*plain(b"no", 401))) as stand:
            peer, answer = await stand.ask(EXPECTING)
            assert (answer.status, answer.options) == (401, {b"close"})
            peer.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await peer.at_eof()
            assert stand.server.registry.requests == 1

    play(scene)


def test_content_comes_as_it_arrives_and_then_once_the_disconnect(play: Play) -> None:
    heard: list[Message] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        while not heard or heard[-1]["type"] != "http.disconnect":
            heard.append(await receive())
        heard.append(await receive())

    async def scene(network: Network) -> None:
        application = Heard(listening)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await stand.until(lambda: heard)
            peer.send(b"2\r\nde\r\n0\r\n\r\n")
            await stand.until(lambda: len(heard) == 2)
            peer.abort()
            await application.done.wait()
        assert heard == [
            {"type": "http.request", "body": b"abc", "more_body": True},
            {"type": "http.request", "body": b"de", "more_body": False},
            {"type": "http.disconnect"},
            {"type": "http.disconnect"},
        ]
        assert not application.errors

    play(scene)


def test_several_tasks_may_wait_for_the_disconnect_and_one_be_cancelled(play: Play) -> None:
    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        tasks = [asyncio.create_task(_as_coroutine(receive())) for _ in range(3)]
        await asyncio.sleep(0)  # all three wait
        await send(START)
        await send(body(b"a", more=True))
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in done] == [dict, asyncio.CancelledError, dict]

    async def scene(network: Network) -> None:
        application = Heard(listening)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET)
            await peer.receive_until(b"1\r\na\r\n")
            peer.abort()
            await application.done.wait()
            assert not application.errors

    play(scene)


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable


def test_after_its_response_it_hears_the_disconnect_at_once(play: Play) -> None:
    heard: list[Message] = []

    async def going_on(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        heard.append(await receive())
        with pytest.raises(RuntimeError, match="after the response was complete"):
            await send(body(b"more"))

    async def scene(network: Network) -> None:
        application = Heard(going_on)
        async with serving(network, application) as stand:
            await stand.ask()
            await application.done.wait()
            assert heard == [{"type": "http.disconnect"}]
            assert not application.errors

    play(scene)


@pytest.mark.parametrize("moment", ["before", "amid"])
def test_sending_after_the_client_is_gone_raises_os_error(play: Play, moment: str) -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if moment == "amid":
            await send(START)
            await send(body(b"a", more=True))
        assert (await receive())["type"] == "http.disconnect"
        await send(START if moment == "before" else body(b"b"))

    async def scene(network: Network) -> None:
        application = Heard(late)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET)
            await stand.until(lambda: application.scopes)
            peer.abort()
            await application.done.wait()
            (error,) = application.errors
            assert isinstance(error, OSError)

    play(scene)


def test_a_sender_that_waits_is_woken_when_the_client_goes(play: Play) -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        while True:
            await send(body(b"x" * 65536, more=True))

    async def scene(network: Network) -> None:
        application = Heard(endless)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.pause_reading()
            peer.send(GET)
            await stand.until(lambda: any(c.writing_paused for c in stand.server.registry.connections))
            peer.abort()
            await application.done.wait()
            assert isinstance(application.errors[0], OSError)

    play(scene)


# What it says.

WRONG_ORDERS: list[tuple[list[Message], str]] = [
    ([body(b"x")], "http.response.body before http.response.start"),
    ([START, START], "http.response.start after it"),
    ([START, body(b"a", True), START], "http.response.start in its content"),
    ([START, {"type": "http.response.trailers"}], "http.response.trailers after it"),
    ([start(trailers=True), body(b"a"), body(b"b")], "http.response.body before its trailers"),
    ([START, body(b"a", True), {"type": "http.response.trailers"}], "http.response.trailers in its content"),
    ([{"type": "websocket.send"}], "not a message that an HTTP application sends"),
]


@pytest.mark.parametrize(("messages", "error"), WRONG_ORDERS)
def test_messages_in_the_wrong_order_raise(play: Play, messages: list[Message], error: str) -> None:
    async def scene(network: Network) -> None:
        application = Heard(saying(*messages))  # type: ignore[arg-type]  # an application is a script
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET)
            octets = await peer.receive_until(b"\r\n\r\n")
            began = any(message.get("more_body") or message.get("trailers") for message in messages)
            assert octets.startswith(b"HTTP/1.1 200" if began else b"HTTP/1.1 500")
            await application.done.wait()
            (raised,) = application.errors
            assert isinstance(raised, RuntimeError)
            assert error in str(raised)
            if began:
                assert not (await peer.receive_all()).endswith(b"0\r\n\r\n"), "the cut shows"

    play(scene)


Script = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("a bug")


async def raising_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    raise ValueError("a bug")


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("application", "headers"),
    [
        (raising, ()),
        (raising_after_start, ()),
        (returning, ()),
        (cancelled, ()),
        (None, ((b"a", b"b\r\nInjected: 1"),)),
        (None, ((b"a\r\nb", b"c"),)),
        (None, ((b"content-length", b"five"),)),
        (None, ((b"content-length", b"7"),)),
        (None, (("text", "text"),)),
    ],
)
@pytest.mark.row("R39", "R3", "R27")
def test_an_application_that_fails_before_its_response_is_answered_for(
    play: Play, application: Application | None, headers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        serve = application or saying(*plain(b"hello", 200, *headers))
        async with serving(network, serve) as stand:
            peer, answer = await stand.ask(b"GET /why HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (answer.status, answer.options) == (500, {b"keep-alive"})
            assert b"Injected" not in answer.head
            peer.send(GET)
            assert (await answer_from(peer)).status == 500, "in step"

    play(scene)
    assert "GET /why" in caplog.text


@pytest.mark.row("R66", "S5")
@pytest.mark.parametrize(
    ("messages", "content"),
    [
        ([start((b"content-length", b"10")), body(b"12345", True), body(b"678")], b"12345"),
        ([start((b"content-length", b"10")), body(b"12345", True), body(b"678901")], b"12345"),
        ([start((b"content-length", b"10")), body(b"12345678901", True)], b""),
        ([START, body(b"12345", True)], b"5\r\n12345\r\n"),
    ],
)
def test_a_response_of_another_length_than_it_said_is_cut_and_logged(
    play: Play, messages: list[Message], content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*messages)) as stand:
            peer = await stand.dial()
            peer.send(b"GET /wrong HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
            await peer.receive_until(b"\r\n\r\n")
            assert await peer.receive_all() == content, "no more, no last chunk, no other response"
            assert not peer.reset, "what was sent can be read"
            assert await stand.closes() == {Reason.LOCAL_FAULT: 1}

    play(scene)
    assert "GET /wrong" in caplog.text


@pytest.mark.row("R47")
def test_a_cut_response_without_a_length_of_its_own_ends_by_reset(play: Play) -> None:
    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"12345", True))
        raise ValueError("a bug")

    async def scene(network: Network) -> None:
        async with serving(network, cut) as stand:
            peer = await stand.dial()
            peer.send(b"GET / HTTP/1.0\r\n\r\n")
            await peer.receive_all()
            assert peer.reset, "a FIN would look like the end of the content"

    play(scene)


def test_a_length_that_is_exceeded_after_the_end_raises_in_the_application(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Heard(saying(start((b"content-length", b"1")), body(b"12", True)))  # type: ignore[arg-type]  # see above
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET)
            await application.done.wait()
            assert isinstance(application.errors[0], LocalViolation)

    play(scene)


def test_octets_of_other_kinds_are_taken_and_text_is_not(play: Play) -> None:
    async def scene(network: Network) -> None:
        kinds = [bytearray(b"ab"), memoryview(b"cd")]
        messages = [START, *[body(kind, True) for kind in kinds], body(b"")]  # type: ignore[arg-type]  # what applications send
        async with serving(network, saying(*messages)) as stand:
            assert (await stand.ask())[1].content == b"abcd"
        for wrong in ("text", 5, None):
            async with serving(
                network, saying(START, {"type": "http.response.body", "body": wrong})
            ) as stand:
                assert (await stand.ask())[1].status == 500

    play(scene)


def test_trailers(play: Play) -> None:
    messages = [
        start((b"trailer", b"a"), trailers=True),
        body(b"content"),
        {"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True},
        {"type": "http.response.trailers", "headers": [(b"b", b"2")]},
    ]

    async def scene(network: Network) -> None:
        async with serving(network, saying(*messages)) as stand:
            peer = await stand.dial()
            peer.send(GET)
            await peer.receive_until(b"\r\n\r\n")
            expected = b"7\r\ncontent\r\n0\r\na: 1\r\nb: 2\r\n\r\n"
            assert await peer.receive_exactly(len(expected)) == expected
            peer.send(b"GET / HTTP/1.0\r\n\r\n")
            assert (await answer_from(peer)).content == b"content", "HTTP/1.0 has none"

    play(scene)


def test_a_trailer_that_may_not_be_one_cuts_the_response(play: Play) -> None:
    trailers: Message = {"type": "http.response.trailers", "headers": [(b"content-length", b"1")]}

    async def scene(network: Network) -> None:
        async with serving(network, saying(start(trailers=True), body(b"a"), trailers)) as stand:
            peer = await stand.dial()
            peer.send(GET)
            await peer.receive_until(b"\r\n\r\n")
            assert await peer.receive_all() == b"1\r\na\r\n"

    play(scene)
