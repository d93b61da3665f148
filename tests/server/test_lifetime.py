"""Times of an inbound connection, in virtual time: which end comes when, and how."""

from __future__ import annotations

import math

import pytest

from perdure.core import Reason
from perdure.server.asgi import Receive, Scope, Send
from perdure.wire.network import Network
from perdure.wire.sweep import TICK_SECONDS
from tests.server.stand import GET, Gated, answer_from, hello, let_pass, plain, read_all, saying, serving
from tests.wire.conftest import Play

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
LATE = TICK_SECONDS + 0.01
"""A deadline is at most a tick late; a millisecond each way is the network's."""


@pytest.fixture
def play(play_in_time: Play) -> Play:
    """Virtual time only."""
    return play_in_time


@pytest.mark.row("R109", "R176", "S7")
def test_an_idle_connection_ends_by_fin_a_little_after_what_was_advertised(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, idle_timeout=7.0, idle_buffer=1.0) as stand:
            peer, answer = await stand.ask()
            answered = network.now()
            assert answer.fields[b"keep-alive"].startswith(b"timeout=7,")
            assert await peer.at_eof()
            assert 8.0 - 0.01 <= network.now() - answered <= 8.0 + LATE
            assert not peer.reset
            await stand.until(lambda: not stand.server.registry.connections, 1.0)
            assert await stand.closes() == {Reason.IDLE_LIMIT: 1}

    play(scene)


def test_each_exchange_begins_the_idle_time_anew(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, idle_timeout=7.0) as stand:
            peer = await stand.dial()
            for _ in range(10):
                peer.send(GET)
                assert (await answer_from(peer)).status == 200
                await let_pass(7.5)
            assert network.now() > 70

    play(scene)


@pytest.mark.row("R6")
def test_empty_lines_do_not_restart_the_idle_time(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, idle_timeout=7.0) as stand:
            peer, _ = await stand.ask()
            answered = network.now()
            await let_pass(6.0)
            peer.send(b"\r\n")
            assert await peer.at_eof()
            assert network.now() - answered <= 8.0 + LATE

    play(scene)


@pytest.mark.row("R87", "R125", "S7")
@pytest.mark.parametrize("octets", [b"", b"GET / HTTP/1.1\r\nHost"])
def test_the_first_head_must_come_within_the_time_from_the_opening(play: Play, octets: bytes) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, head_timeout=3.0) as stand:
            peer = await stand.dial()
            await let_pass(2.0)
            peer.send(octets)
            answer = await answer_from(peer)
            assert (answer.status, answer.options) == (408, {b"close"})
            assert 3.0 - 0.01 <= network.now() <= 3.0 + LATE
            assert await peer.at_eof()
            assert await stand.closes() == {Reason.HEAD_TIMEOUT: 1}

    play(scene)


@pytest.mark.row("R87")
def test_a_later_head_must_come_within_the_time_from_its_first_octet(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, head_timeout=3.0, idle_timeout=60.0) as stand:
            peer, _ = await stand.ask()
            await let_pass(20.0)
            began = network.now()
            for octet in GET[:5]:
                peer.send(bytes([octet]))
                await let_pass(0.5)
            assert (await answer_from(peer)).status == 408
            assert 3.0 <= network.now() - began <= 3.0 + LATE
            assert await peer.at_eof()

    play(scene)


def test_a_pipelined_piece_of_a_head_has_the_time_of_a_head(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, head_timeout=3.0) as stand:
            peer, _ = await stand.ask(GET + b"GET ")
            answered = network.now()
            assert (await answer_from(peer)).status == 408
            assert 2.9 <= network.now() - answered <= 3.0 + LATE

    play(scene)


@pytest.mark.row("R60", "R87")
def test_content_that_comes_too_slowly_is_answered_with_408(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, body_grace=5.0, body_min_rate=100.0) as stand:
            peer = await stand.dial()
            peer.send(POST)
            for _ in range(12):
                await let_pass(1.0)
                peer.send(b"x" * 50)
            answer = await answer_from(peer)
            assert (answer.status, answer.options) == (408, {b"close"})
            # 5 s of grace; 50 octets a second bring half a second each: over at t = 5 + t/2.
            assert 9.0 <= network.now() <= 12.1
            assert await peer.at_eof()
            assert await stand.closes() == {Reason.BODY_TIMEOUT: 1}

    play(scene)


def test_content_at_the_least_rate_may_take_as_long_as_it_likes(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, body_grace=5.0, body_min_rate=100.0) as stand:
            peer = await stand.dial()
            peer.send(POST)
            for _ in range(100):
                peer.send(b"x" * 1000)
                await let_pass(9.0)
            assert (await answer_from(peer)).status == 200
            assert network.now() > 800

    play(scene)


def test_a_client_is_not_late_while_the_application_takes_nothing(play: Play) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(20):
            message = await receive()
            if not message["more_body"]:
                break
            await let_pass(60.0)
        await read_all(receive) if message["more_body"] else None
        for message in plain(b"done"):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, slow, body_grace=5.0, body_min_rate=1e6) as stand:
            peer = await stand.dial()
            peer.patience = math.inf
            size = 1000000
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            assert (await answer_from(peer)).content == b"done"
            assert network.now() > 100

    play(scene)


@pytest.mark.row("R159", "R160")
def test_a_client_is_not_late_while_it_waits_for_a_100(play: Play) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await let_pass(100.0)
        content = await read_all(receive)
        for message in plain(content):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, slow, body_grace=5.0) as stand:
            peer = await stand.dial()
            peer.patience = 200.0
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            assert await peer.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await let_pass(4.0)
            peer.send(b"hello")
            assert (await answer_from(peer)).content == b"hello"

    play(scene)


@pytest.mark.row("R125", "R112")
def test_an_answer_may_take_as_long_as_it_likes(play: Play) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await let_pass(1000.0)
        for message in plain(b"at last"):
            await send(message)

    async def scene(network: Network) -> None:
        async with serving(network, slow, idle_timeout=5.0, head_timeout=5.0, body_grace=5.0) as stand:
            peer = await stand.dial()
            peer.patience = 2000.0
            peer.send(GET)
            assert (await answer_from(peer)).content == b"at last"

    play(scene)


def test_a_client_that_takes_nothing_is_given_up(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*plain(b"x" * 1000000)), write_timeout=10.0) as stand:
            peer = await stand.dial()
            peer.pause_reading()
            peer.send(GET)
            await stand.until(lambda: stand.server.registry.closes, seconds=20.0)
            assert 10.0 <= network.now() <= 10.5
            assert stand.server.registry.closes == {Reason.WRITE_TIMEOUT: 1}

    play(scene)


def test_a_client_that_takes_its_answer_slowly_is_not_idle_meanwhile(play: Play) -> None:
    async def scene(network: Network) -> None:
        body = b"x" * 4000000
        async with serving(network, saying(*plain(body)), idle_timeout=2.0, write_timeout=10.0) as stand:
            peer = await stand.dial()
            peer.send(GET)
            received = await peer.receive_exactly(1000)
            while len(received) < len(body):
                peer.pause_reading()
                await let_pass(3.0)
                peer.resume_reading()
                received += await peer.receive_exactly(100000 - len(received) % 100000)
            peer.send(GET)
            assert (await peer.receive_until(b"\r\n\r\n")).endswith(b"\r\n\r\n")
            assert network.now() > 100

    play(scene)


def test_answers_to_a_pipeline_do_not_gather_without_bound(play: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        big = plain(b"x" * 500000)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            gated.began.append(scope["raw_path"])
            for message in big:
                await send(message)

        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.pause_reading()
            peer.send(GET * 20)
            await let_pass(5.0)
            assert gated.began == [b"/"], "the answer fills the buffers"
            peer.resume_reading()
            for _ in range(20):
                assert len((await answer_from(peer)).content) == 500000
            peer.send(GET)
            await answer_from(peer)

    play(scene)


@pytest.mark.parametrize("pause", [1.0, 5.0, 200.0])
def test_a_connection_of_great_age_announces_its_end_in_its_next_answer(play: Play, pause: float) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_age=100.0, max_requests=None, idle_timeout=300.0) as stand:
            peer = await stand.dial()
            count, answer = 0, None
            while answer is None or answer.options == {b"keep-alive"}:
                peer.send(GET)
                answer = await answer_from(peer)
                count += 1
                await let_pass(pause)
            assert answer.options == {b"close"}
            assert await peer.at_eof()
            assert 90.0 <= network.now() <= 110.0 + 2 * pause
            assert await stand.closes() == {Reason.MAX_AGE: 1}

    play(scene)


def test_an_old_idle_connection_lives_on_until_its_idle_time_is_over(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_age=10.0, idle_timeout=50.0) as stand:
            peer, _ = await stand.ask()
            peer.patience = 100.0
            assert await peer.at_eof()
            assert 51.0 <= network.now() <= 51.0 + LATE
            assert (await stand.closes()).total() == 1

    play(scene)


def test_unread_content_has_its_time_to_come(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*plain(b"no")), drain_body_seconds=2.0) as stand:
            peer, answer = await stand.ask(POST + b"x")
            assert answer.options == {b"keep-alive"}
            assert await peer.at_eof()
            assert 2.0 <= network.now() <= 2.0 + LATE
            assert await stand.closes() == {Reason.UNREAD_CONTENT: 1}

    play(scene)


@pytest.mark.row("R120")
def test_lingering_waits_for_the_client_within_limits(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, linger_idle=2.0, linger_total=30.0) as stand:
            peer, _ = await stand.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert await peer.at_eof(), "the FIN comes at once"
            ended = network.now()
            await stand.until(lambda: not stand.server.registry.connections)
            assert 2.0 <= network.now() - ended <= 2.0 + 2 * LATE

    play(scene)
