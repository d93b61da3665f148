"""A handshake over literal octets: accepted, refused by us, or refused by the application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.core import LocalViolation
from perdure.server.asgi import Message, Receive, Send
from perdure.wire.network import Network
from tests.server.frames import (
    BINARY,
    PING,
    PONG,
    TEXT,
    TOKEN,
    Frame,
    Sockets,
    accepting,
    close_frame,
    closing_from,
    frame,
    frame_from,
    gone,
    handshake,
    join,
)
from tests.server.stand import GET, answer_from, serving
from tests.wire.conftest import Play

MEBIBYTE = 1 << 20
ACCEPT: Message = {"type": "websocket.accept"}


def text(words: str) -> Message:
    return {"type": "websocket.receive", "text": words}


# The handshake.


@pytest.mark.row("R144", "R145")
def test_the_handshake_of_rfc_6455_gets_the_answer_of_rfc_6455(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, answer = await join(stand, b"Sec-WebSocket-Protocol: chat, superchat", b"Cookie: a=b")
            assert answer.head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert answer.fields[b"upgrade"] == b"websocket"
            assert answer.options == {b"upgrade"}
            assert answer.fields[b"sec-websocket-accept"] == TOKEN
            assert not {b"sec-websocket-protocol", b"sec-websocket-extensions"} & answer.fields.keys()
            assert not {b"content-length", b"transfer-encoding", b"keep-alive"} & answer.fields.keys()
            peer.send(close_frame(1000))
            assert await closing_from(peer) == (1000, b"")
            assert await peer.at_eof()
            await stand.closes()
        [scope] = application.scopes
        assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
        assert (scope["path"], scope["query_string"]) == ("/chat", b"a=b")
        assert scope["subprotocols"] == ["chat", "superchat"]
        assert (b"cookie", b"a=b") in scope["headers"]
        assert "method" not in scope
        assert application.heard == [{"type": "websocket.connect"}, gone(1000)]

    play(scene)


@pytest.mark.row("R144")
def test_the_application_chooses_a_subprotocol_and_adds_fields(play: Play) -> None:
    async def choosing(receive: Receive, send: Send) -> None:
        await send({**ACCEPT, "subprotocol": "superchat", "headers": [(b"x-one", b"1"), (b"x-two", b"2")]})

    async def scene(network: Network) -> None:
        async with serving(network, Sockets(choosing)) as stand:
            _, answer = await join(stand, b"Sec-WebSocket-Protocol: chat, superchat")
            assert answer.fields[b"sec-websocket-protocol"] == b"superchat"
            assert (answer.fields[b"x-one"], answer.fields[b"x-two"]) == (b"1", b"2")

    play(scene)


@pytest.mark.row("R144")
@pytest.mark.parametrize(
    "answer",
    [
        {"subprotocol": "foo"},
        {"headers": [(b"x-bad", b"a\r\nb")]},
        {"headers": [(b"upgrade", b"h2c")]},
    ],
)
def test_an_acceptance_that_cannot_be_said_is_a_500_and_an_error_in_the_application(
    play: Play, answer: dict[str, Any]
) -> None:
    async def wrong(receive: Receive, send: Send) -> None:
        await send({**ACCEPT, **answer})

    async def scene(network: Network) -> None:
        application = Sockets(wrong)
        async with serving(network, application) as stand:
            peer, got = await stand.ask(handshake(b"Sec-WebSocket-Protocol: chat"))
            assert (got.status, b"close" in got.options) == (500, False)
            peer.send(GET)
            assert (await answer_from(peer)).content == b"GET / "
        [error] = application.errors
        assert isinstance(error, (ValueError, LocalViolation))

    play(scene)


@pytest.mark.row("R146")
@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (handshake(version=b"8"), 426),
        (handshake(b"Sec-WebSocket-Version: 13"), 426),
        (handshake(key=b"c2hvcnQ="), 400),
        (handshake(key=b"not base64 of 16 octets!"), 400),
        (handshake(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (handshake(b"Content-Length: 3") + b"abc", 400),
    ],
)
def test_a_faulty_handshake_is_refused_and_the_connection_goes_on_as_http(
    play: Play, octets: bytes, status: int
) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask(octets)
            assert (answer.status, b"close" in answer.options) == (status, False)
            if status == 426:
                assert answer.fields[b"sec-websocket-version"] == b"13"
                assert answer.fields[b"upgrade"] == b"websocket"
                assert b"upgrade" in answer.options
            peer.send(GET)
            assert (await answer_from(peer)).content == b"GET / "
        assert application.scopes == []

    play(scene)


@pytest.mark.row("R143")
@pytest.mark.parametrize(
    "octets",
    [
        handshake().replace(b"HTTP/1.1", b"HTTP/1.0"),
        handshake().replace(b"Connection: Upgrade\r\n", b""),
        handshake().replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        handshake(b"Content-Length: 0").replace(b"GET", b"POST"),
    ],
)
def test_what_is_no_handshake_is_answered_as_http(play: Play, octets: bytes) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            _, answer = await stand.ask(octets)
            assert (answer.status, answer.content[-6:]) == (200, b"/chat ")
        assert application.scopes == []

    play(scene)


@pytest.mark.row("R147")
def test_without_content_there_is_nothing_to_continue_with_and_the_101_comes_first(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, Sockets(accepting)) as stand:
            peer, _ = await join(stand, b"Expect: 100-continue")
            peer.send(frame(PING, b"?"))
            assert await frame_from(peer) == Frame(PONG, b"?")

    play(scene)


@pytest.mark.row("R147")
@pytest.mark.parametrize("octets", [frame(TEXT, b"early"), frame(BINARY, b"x" * MEBIBYTE)])
def test_frames_that_came_with_the_handshake_are_read_only_once_it_is_accepted(
    play: Play, octets: bytes
) -> None:
    gate = asyncio.Event()

    async def scene(network: Network) -> None:
        async def impatient(receive: Receive, send: Send) -> None:
            await receive()
            await gate.wait()
            await send(ACCEPT)
            message = await receive()
            await send({**message, "type": "websocket.send"})

        gate.clear()
        application = Sockets(impatient)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(handshake() + octets)
            await stand.until(lambda: application.heard)
            assert application.heard == [{"type": "websocket.connect"}]
            assert not peer.received
            gate.set()
            assert (await answer_from(peer)).status == 101
            got = await frame_from(peer)
            assert frame(got.opcode, got.payload) == octets

    play(scene)


def test_a_client_that_ended_its_side_with_the_handshake_is_let_go(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(handshake() + frame(TEXT, b"bye"))
            peer.half_close()
            assert (await answer_from(peer)).status == 101
            await application.done.wait()
            assert await peer.at_eof()
        assert application.heard[1:] == [text("bye"), gone(1006)]

    play(scene)


# Refusing.


@pytest.mark.row("R146")
def test_closing_before_accepting_is_a_403_and_the_connection_goes_on(play: Play) -> None:
    async def refusing(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1008})
        with pytest.raises(OSError, match="closed"):
            await send(ACCEPT)
        assert (await receive())["type"] == "websocket.connect"
        assert await receive() == gone(1006)

    async def scene(network: Network) -> None:
        application = Sockets(refusing)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask(handshake() + GET)
            assert (answer.status, b"upgrade" in answer.fields) == (403, False)
            assert (await answer_from(peer)).content == b"GET / "
            await application.done.wait()
        assert application.errors == []

    play(scene)


@pytest.mark.row("R146")
@pytest.mark.parametrize("bodies", [[b"no entry"], [b"no ", b"entry"], [b"", b"no entry", b""]])
def test_a_denial_is_a_response_of_the_application_s_own(play: Play, bodies: list[bytes]) -> None:
    async def denying(receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        for body in bodies[:-1]:
            await send({"type": "websocket.http.response.body", "body": body, "more_body": True})
        await send({"type": "websocket.http.response.body", "body": bodies[-1]})

    async def scene(network: Network) -> None:
        application = Sockets(denying)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask(handshake() + GET)
            assert (answer.status, answer.content) == (401, b"no entry")
            assert answer.fields[b"content-type"] == b"text/plain"
            assert {b"date", b"server"} <= answer.fields.keys()
            assert (await answer_from(peer)).content == b"GET / "
        assert "websocket.http.response" in application.scopes[0]["extensions"]
        assert application.errors == []

    play(scene)


@pytest.mark.parametrize(
    "kinds",
    [
        ["websocket.send"],
        ["websocket.http.response.body"],
        ["websocket.http.response.start", "websocket.accept"],
        ["websocket.http.response.start", "websocket.http.response.start"],
        ["http.response.start"],
        [],
    ],
)
def test_out_of_order_before_accepting_is_an_error_and_a_500(play: Play, kinds: list[str]) -> None:
    async def confused(receive: Receive, send: Send) -> None:
        for kind in kinds:
            await send({"type": kind, "text": "", "body": b"", "status": 403})

    async def scene(network: Network) -> None:
        application = Sockets(confused)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask(handshake() + GET)
            assert answer.status == 500
            assert (await answer_from(peer)).content == b"GET / "
        assert [type(error) for error in application.errors] == ([RuntimeError] if kinds else [])

    play(scene)


def test_an_application_that_fails_within_its_denial_leaves_it_visibly_incomplete(play: Play) -> None:
    async def failing(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
        raise ZeroDivisionError

    async def scene(network: Network) -> None:
        async with serving(network, Sockets(failing)) as stand:
            peer = await stand.dial()
            peer.send(handshake())
            octets = await peer.receive_all()
            assert octets.startswith(b"HTTP/1.1 401 ")
            assert octets.endswith(b"\r\n2\r\nno\r\n"), "no last chunk"

    play(scene)
