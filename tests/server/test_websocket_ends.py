"""Every end of a WebSocket: either side's close, silence, what is no frame, what is too much."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Reason
from perdure.server.asgi import Message, Receive, Send
from perdure.server.settings import APPLICATION_DEFAULTS
from perdure.server.websocket import check_close_code
from perdure.wire.network import Network
from tests.server.frames import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    PING,
    TEXT,
    Sockets,
    accepting,
    close_frame,
    closing_from,
    frame,
    gone,
    handshake,
    join,
)
from tests.server.stand import GET, answer_from, serving
from tests.wire.conftest import Play

MEBIBYTE = 1 << 20
ACCEPT: Message = {"type": "websocket.accept"}

CLOSE_SECONDS = APPLICATION_DEFAULTS.websocket_close_timeout


def text(words: str) -> Message:
    return {"type": "websocket.receive", "text": words}


# Ends.


def test_the_application_closes_with_code_and_reason(play: Play) -> None:
    async def closing(receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.close", "code": 4001, "reason": "€" * 50})
        with pytest.raises(OSError, match="closed"):
            await send({"type": "websocket.send", "text": "late"})
        assert (await receive())["code"] == 4001
        assert (await receive())["code"] == 4001, "it can be asked again"

    async def scene(network: Network) -> None:
        application = Sockets(closing)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            code, reason = await closing_from(peer)
            assert (code, reason.decode()) == (4001, "€" * 41), "123 octets, and no broken character"
            await application.done.wait()
            peer.send(frame(TEXT, b"too late") + frame(PING) + close_frame(4001))
            assert await peer.at_eof(), "no pong after the close frame"
            assert (await stand.closes())[Reason.TUNNEL] == 1
        assert application.errors == []

    play(scene)


def test_the_client_closes_with_code_and_reason(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            peer.send(frame(TEXT, b"last words") + close_frame(4002, "cafés".encode()))
            assert await closing_from(peer) == (4002, "cafés".encode())
            assert await peer.at_eof()
            assert (await stand.closes())[Reason.TUNNEL] == 1
        assert application.heard[1:] == [text("last words"), gone(4002, "cafés")]

    play(scene)


def test_a_client_that_does_not_answer_the_close_frame_is_left_after_a_while(play_in_time: Play) -> None:
    async def closing(receive: Receive, send: Send) -> None:
        await send(ACCEPT)

    async def scene(network: Network) -> None:
        async with serving(network, Sockets(closing)) as stand:
            peer, _ = await join(stand)
            assert await closing_from(peer) == (1000, b"")
            sent_at = peer.now()
            assert not peer.ended
            peer.patience = 2 * CLOSE_SECONDS
            assert await peer.at_eof()
            assert CLOSE_SECONDS - 1 < peer.now() - sent_at < CLOSE_SECONDS + 2

    play_in_time(scene)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_goes_without_a_close_frame_is_1006(play: Play, how: str) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            peer.send(frame(TEXT, b"half a", fin=False))
            if how == "fin":
                peer.half_close()
                assert await peer.at_eof()
            else:
                peer.abort()
            await application.done.wait()
            await stand.closes()
            assert not stand.server.registry.tasks
        assert application.heard[1:] == [gone(1006)]

    play(scene)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xe2\x82"), 1007),
        (frame(TEXT, b"unmasked", masked=False), 1002),
        (frame(3), 1002),
        (frame(CONTINUATION, b"of nothing"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(TEXT, b"a", bits=COMPRESSED), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (close_frame(1005), 1002),
        (close_frame(1000, b"\xff"), 1007),
        (b"\x81\xff" + b"\xff" * 8, 1002),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002),
    ],
)
def test_what_is_no_frame_is_told_both_sides_and_ends_the_connection(
    play: Play, octets: bytes, code: int
) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            peer.send(octets + frame(TEXT, b"never read"))
            assert (await closing_from(peer))[0] == code
            assert await peer.at_eof()
            await application.done.wait()
            await stand.closes()
        assert [message.get("code") for message in application.heard[1:]] == [code]

    play(scene)


@pytest.mark.parametrize("pieces", [1, 17])
def test_a_message_that_is_too_big_is_1009(play_on_sockets: Play, pieces: int) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            if pieces == 1:
                peer.send(frame(BINARY, bytes(16 * MEBIBYTE + 1)))
            else:
                peer.send(frame(TEXT, b"a", fin=False))
                for _ in range(16):
                    peer.send(frame(CONTINUATION, b"a" * MEBIBYTE, fin=False))
            assert (await closing_from(peer))[0] == 1009
            await application.done.wait()
        assert [message.get("code") for message in application.heard[1:]] == [1009]

    play_on_sockets(scene)


def test_what_is_too_big_and_how_long_a_close_may_take_are_settings(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        settings = {"websocket_max_message": 1000, "websocket_close_timeout": 3.0}
        async with serving(network, Sockets(accepting), **settings) as stand:
            peer, _ = await join(stand)
            peer.send(frame(BINARY, bytes(1000)) + frame(BINARY, bytes(1001)))
            assert (await closing_from(peer))[0] == 1009
            other, _ = await join(stand)
            sent_at = other.now()
            drained = asyncio.ensure_future(stand.server.drain())
            assert (await closing_from(other))[0] == 1012
            assert await other.at_eof()
            assert 3.0 <= other.now() - sent_at < 4.0
            peer.close()
            other.close()
            await drained

    play_in_time(scene)


@pytest.mark.parametrize(("raising", "code"), [(True, 1011), (False, 1000)])
def test_an_application_that_leaves_without_closing_is_closed_for(
    play: Play, raising: bool, code: int
) -> None:
    async def leaving(receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        if raising:
            raise ZeroDivisionError

    async def scene(network: Network) -> None:
        application = Sockets(leaving)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            assert await closing_from(peer) == (code, b"")
            peer.send(close_frame(code))
            assert await peer.at_eof()

    play(scene)


@pytest.mark.row("R146")
def test_an_application_that_raises_before_accepting_is_a_500(play: Play) -> None:
    async def raising(receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    async def scene(network: Network) -> None:
        async with serving(network, Sockets(raising)) as stand:
            peer, answer = await stand.ask(handshake() + GET)
            assert answer.status == 500
            assert (await answer_from(peer)).content == b"GET / "

    play(scene)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": "a", "bytes": b"b"},
        {"type": "websocket.send", "text": "\ud800"},
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 1006},
        {"type": "websocket.close", "code": 999},
    ],
)
def test_a_message_that_cannot_be_said_is_an_error_and_1011(play: Play, message: Message) -> None:
    async def wrong(receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(message)

    async def scene(network: Network) -> None:
        application = Sockets(wrong)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            assert await closing_from(peer) == (1011, b"")
        [error] = application.errors
        assert isinstance(error, (RuntimeError, ValueError))

    play(scene)


@pytest.mark.parametrize(
    ("code", "sendable"),
    [(1000, True), (1014, True), (1004, False), (1015, False), (2999, False), (3000, True), (5000, False)],
)
def test_only_some_codes_may_be_said(code: int, sendable: bool) -> None:
    if sendable:
        assert check_close_code(code) == code
        return
    with pytest.raises(ValueError, match=f"close code {code}, expected"):
        check_close_code(code)
