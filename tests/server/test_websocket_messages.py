"""Messages of a WebSocket, as frames of literal octets: their parts, their flow, and time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.core import Reason
from perdure.server.asgi import Message, Receive, Send
from perdure.server.settings import APPLICATION_DEFAULTS
from perdure.wire.network import Network
from tests.server.frames import (
    BINARY,
    COMPRESSED,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    Sockets,
    accepting,
    close_frame,
    closing_from,
    echoing,
    frame,
    frame_from,
    gone,
    handshake,
    join,
)
from tests.server.stand import answer_from, let_pass, serving
from tests.wire.conftest import Play

MEBIBYTE = 1 << 20
ACCEPT: Message = {"type": "websocket.accept"}

PING_SECONDS = 20.0
HELD_MESSAGES = APPLICATION_DEFAULTS.websocket_held_messages


def text(words: str) -> Message:
    return {"type": "websocket.receive", "text": words}


# Messages.


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 3 * MEBIBYTE])
def test_a_message_of_any_length_comes_and_goes(play: Play, size: int) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, Sockets(echoing)) as stand:
            peer, _ = await join(stand)
            peer.send(frame(BINARY, b"\xff" * size))
            assert await frame_from(peer) == Frame(BINARY, b"\xff" * size)

    play(scene)


def test_fragments_become_one_message_with_a_ping_answered_in_between(play: Play) -> None:
    euro = "€".encode()
    octets = (
        frame(TEXT, b"a" + euro[:1], fin=False) + frame(PING, b"now") + frame(CONTINUATION, b"", fin=False)
    )
    rest = frame(CONTINUATION, euro[1:] + b"b") + frame(BINARY, fin=False) + frame(CONTINUATION, b"\x00")

    async def scene(network: Network) -> None:
        async with serving(network, Sockets(echoing)) as stand:
            peer, _ = await join(stand)
            peer.send(octets)
            assert await frame_from(peer) == Frame(PONG, b"now")
            for octet in rest:
                peer.send(bytes([octet]))
            assert await frame_from(peer) == Frame(TEXT, "a€b".encode())
            assert await frame_from(peer) == Frame(BINARY, b"\x00")

    play(scene)


def test_the_example_frames_of_rfc_6455_are_understood(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, Sockets(echoing)) as stand:
            peer, _ = await join(stand)
            peer.send(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
            assert await peer.receive_exactly(7) == b"\x81\x05Hello"
            peer.send(b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
            assert await peer.receive_exactly(7) == b"\x8a\x05Hello"
            peer.send(frame(PONG, b"unasked"))
            peer.send(b"\x88\x80\x37\xfa\x21\x3d")
            assert await peer.receive_exactly(2) == b"\x88\x00"
            assert await peer.at_eof()

    play(scene)


def test_permessage_deflate_is_used_both_ways_where_it_was_offered(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, Sockets(echoing)) as stand:
            offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
            peer, answer = await join(stand, offer)
            assert answer.fields[b"sec-websocket-extensions"] == b"permessage-deflate"
            hello = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1
            peer.send(frame(TEXT, hello, bits=COMPRESSED))
            assert await frame_from(peer) == Frame(TEXT, hello, COMPRESSED)
            again = bytes.fromhex("f200110000")  # §7.2.3.2: it refers to the message before
            peer.send(
                frame(TEXT, again[:2], bits=COMPRESSED, fin=False)
                + frame(PING)
                + frame(CONTINUATION, again[2:])
            )
            assert await frame_from(peer) == Frame(PONG, b"")
            assert await frame_from(peer) == Frame(TEXT, again, COMPRESSED)
            peer.send(frame(TEXT, b"plain"))
            assert (await frame_from(peer)).bits == COMPRESSED

    play(scene)


# Flow control, in both directions.


def test_reading_pauses_while_the_application_takes_nothing(play_on_sockets: Play) -> None:
    count = 20000
    gate = asyncio.Event()

    async def scene(network: Network) -> None:
        async def slow(receive: Receive, send: Send) -> None:
            await send(ACCEPT)
            await gate.wait()
            await receive()
            for number in range(count):
                assert await receive() == text(f"{number:1000}")
            await send({"type": "websocket.close"})

        gate.clear()
        application = Sockets(slow)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            for number in range(count):
                peer.send(frame(TEXT, b"%1000d" % number))
            [connection] = stand.server.registry.connections
            await stand.until(lambda: connection.reading_paused)
            exchange = connection.exchange  # type: ignore[attr-defined]  # it is an AsgiConnection
            assert len(exchange._messages) <= HELD_MESSAGES
            assert peer.unsent_octets() > MEBIBYTE
            gate.set()
            assert (await closing_from(peer))[0] == 1000
            await application.done.wait()
        assert application.errors == []

    play_on_sockets(scene)


def test_sending_waits_for_a_client_that_reads_nothing(play: Play) -> None:
    sent: list[int] = []

    async def scene(network: Network) -> None:
        async def flooding(receive: Receive, send: Send) -> None:
            await send(ACCEPT)
            for number in range(100):
                await send({"type": "websocket.send", "bytes": bytes(MEBIBYTE)})
                sent.append(number)

        sent.clear()
        application = Sockets(flooding)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.pause_reading()
            peer.send(handshake())
            [connection] = await _connections(stand)
            await stand.until(lambda: connection.writing_paused)
            stopped_at = len(sent)
            assert stopped_at < 50
            peer.send(frame(PING, b"one") + frame(PING, b"two"))
            peer.resume_reading()
            assert (await answer_from(peer)).status == 101
            pongs = []
            for _ in range(100):
                while (got := await frame_from(peer)).opcode == PONG:
                    pongs.append(got.payload)
                assert got == Frame(BINARY, bytes(MEBIBYTE))
            assert len(sent) >= 99
            assert pongs[-1:] in ([], [b"two"])
            peer.send(close_frame(1000))
        assert application.errors == []

    play(scene)


async def _connections(stand: Any) -> set[Any]:
    await stand.until(lambda: stand.server.registry.connections)
    connections: set[Any] = stand.server.registry.connections
    return connections


@pytest.mark.parametrize("how", ["rst", "close"])
def test_who_waits_to_send_is_let_go_when_the_client_goes(play_on_sockets: Play, how: str) -> None:
    async def scene(network: Network) -> None:
        async def flooding(receive: Receive, send: Send) -> None:
            await send(ACCEPT)
            while True:
                await send({"type": "websocket.send", "bytes": bytes(MEBIBYTE)})

        application = Sockets(flooding)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.pause_reading()
            peer.send(handshake())
            [connection] = await _connections(stand)
            await stand.until(lambda: connection.writing_paused)
            if how == "rst":
                peer.abort()
            else:
                peer.send(close_frame(1000))
            await application.done.wait()
        [error] = application.errors
        assert isinstance(error, OSError)

    play_on_sockets(scene)


# Time, and the end of the server.


def test_a_silent_client_is_pinged_and_left_when_it_does_not_answer(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            peer.patience = 10 * PING_SECONDS
            for _ in range(3):
                asked_at = peer.now()
                assert await frame_from(peer) == Frame(PING, b"")
                assert PING_SECONDS - 1 < peer.now() - asked_at < PING_SECONDS + 2
                peer.send(frame(PONG))
            assert await frame_from(peer) == Frame(PING, b"")
            asked_at = peer.now()
            await peer.receive_all()
            assert PING_SECONDS - 1 < peer.now() - asked_at < PING_SECONDS + 2
            await application.done.wait()
            assert (await stand.closes())[Reason.TUNNEL] + stand.server.registry.closes[
                Reason.IDLE_LIMIT
            ] == 1
        assert application.heard[1:] == [gone(1006)]

    play_in_time(scene)


def test_when_to_ask_and_how_long_to_wait_are_settings(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        settings = {"websocket_ping_interval": 5.0, "websocket_ping_timeout": 30.0}
        async with serving(network, Sockets(accepting), **settings) as stand:
            peer, _ = await join(stand)
            peer.patience = 100.0
            began = peer.now()
            assert await frame_from(peer) == Frame(PING, b"")
            assert 5.0 <= peer.now() - began < 6.0
            await peer.receive_all()
            assert 35.0 <= peer.now() - began < 36.0

    play_in_time(scene)


@pytest.mark.parametrize(("interval", "pings"), [(None, 0), (5.0, 19)])
def test_a_client_may_be_asked_for_ever_or_never(
    play_in_time: Play, interval: float | None, pings: int
) -> None:
    async def scene(network: Network) -> None:
        settings = {"websocket_ping_interval": interval, "websocket_ping_timeout": None}
        async with serving(network, Sockets(accepting), **settings) as stand:
            peer, answer = await join(stand)
            await let_pass(99.0)
            assert bytes(peer.received) == answer.head + frame(PING, masked=False) * pings
            assert not peer.ended

    play_in_time(scene)


def test_a_client_that_talks_is_not_pinged(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, Sockets(accepting)) as stand:
            peer, answer = await join(stand)
            for _ in range(20):
                await let_pass(PING_SECONDS / 2)
                peer.send(frame(TEXT, b"here"))
            assert bytes(peer.received) == answer.head

    play_in_time(scene)


def test_a_shutdown_closes_with_1012_and_waits_for_the_client(play: Play) -> None:
    async def scene(network: Network) -> None:
        application = Sockets(accepting)
        async with serving(network, application) as stand:
            peer, _ = await join(stand)
            closing = asyncio.create_task(stand.server.close())
            assert await closing_from(peer) == (1012, b"the server is shutting down")
            assert not peer.ended
            peer.send(close_frame(1012))
            assert await peer.at_eof()
            peer.close()
            await closing
            assert (stand.server.registry.connections, stand.server.registry.tasks) == (set(), set())
        assert application.heard[1:] == [gone(1012, "the server is shutting down")]

    play(scene)


def test_a_websocket_accepted_during_the_shutdown_is_closed_at_once(play: Play) -> None:
    gates: list[asyncio.Event] = []

    async def scene(network: Network) -> None:
        gate = asyncio.Event()
        gates.append(gate)

        async def late(receive: Receive, send: Send) -> None:
            await receive()
            await gate.wait()
            await send(ACCEPT)
            await receive()

        application = Sockets(late)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(handshake())
            await stand.until(lambda: application.heard)
            closing = asyncio.create_task(stand.server.close())
            await stand.until(lambda: stand.server.registry.draining)
            gate.set()
            assert (await answer_from(peer)).status == 101
            assert (await closing_from(peer))[0] == 1012
            peer.send(close_frame(1012))
            peer.half_close()
            await closing

    play(scene)


def test_an_application_that_ignores_the_shutdown_is_cancelled(play: Play) -> None:
    async def scene(network: Network) -> None:
        async def stubborn(receive: Receive, send: Send) -> None:
            await send(ACCEPT)
            await asyncio.get_running_loop().create_future()

        application = Sockets(stubborn)
        async with serving(network, application, drain_timeout=0.2) as stand:
            peer, _ = await join(stand)
            await stand.server.close()
            assert peer.received
        [error] = application.errors
        assert isinstance(error, asyncio.CancelledError)

    play(scene)
