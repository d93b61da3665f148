"""How a request goes out: its content, expectations, early answers and back-pressure."""

from __future__ import annotations

import asyncio

import pytest

from perdure.wire.memory import MemoryNetwork
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import GET, OK, POST, Play, Stage, answer, status, value, values

CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = 1 << 20


# Content


@pytest.mark.parametrize("octets", [POST, CHUNKED_POST + b"5\r\nhello\r\n0\r\n\r\n"])
def test_content_that_came_with_its_head_goes_out_with_its_length(play: Play, octets: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(octets)
        assert value(head, b"content-length") == b"5"
        assert values(head, b"transfer-encoding") == []
        assert await inner.receive_exactly(5) == b"hello"
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


def test_content_is_passed_on_as_it_comes(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(CHUNKED_POST)
        assert value(head, b"transfer-encoding") == b"chunked"
        client.send(b"3\r\none\r\n")
        assert await inner.receive_exactly(8) == b"3\r\none\r\n"
        client.send(b"3\r\ntwo\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n")
        assert await inner.receive_until(b"\r\n\r\n") == b"3\r\ntwo\r\n0\r\nX-Sum: 1\r\n\r\n"
        inner.send(OK)
        await answer(client)
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


@pytest.mark.row("R162", "R159")
def test_expectation_crosses_and_the_100_comes_back_before_any_content(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        expecting = POST.replace(b"\r\n\r\nhello", b"\r\nExpect: 100-continue\r\n\r\n")
        client, inner, head = await stage.asked(expecting)
        assert value(head, b"expect") == b"100-continue"
        inner.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await client.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert await inner.receive_exactly(5) == b"hello"
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


@pytest.mark.row("R161", "R162")
def test_refused_expectation_reaches_the_client_and_the_origins_connection_ends(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        expecting = POST.replace(b"\r\n\r\nhello", b"\r\nExpect: 100-continue\r\n\r\n")
        client, inner, _ = await stage.asked(expecting)
        inner.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        head, _ = await answer(client)
        assert status(head) == 403
        assert value(head, b"connection") == b"close"
        await inner.receive_all()

    play(scene)


@pytest.mark.row("R46", "R162")
def test_origin_of_http_10_gets_no_chunks_but_a_length(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        await answer(client)
        client.send(CHUNKED_POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert await client.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"3\r\none\r\n")
        client.send(b"3\r\ntwo\r\n0\r\nX-Sum: 1\r\n\r\n")
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        assert value(head, b"content-length") == b"6"
        assert await inner.receive_exactly(6) == b"onetwo"

    play(scene)


@pytest.mark.row("R46")
@pytest.mark.row("R46", "R149")
def test_connection_that_ends_while_content_is_gathered_for_it_costs_no_request(play: Play) -> None:
    """Looked at right before the first octet, not when the request began (varnish #3633)."""

    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        await answer(client)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        inner.close()
        await inner.receive_all()
        client.send(b"0\r\n\r\n")
        fresh = await stage.origin.accept()
        assert b"Content-Length: 5\r\n" in await fresh.receive_until(b"\r\n\r\n")
        assert await fresh.receive_exactly(5) == b"hello"
        fresh.send(OK)
        assert status((await answer(client))[0]) == 200
        assert b"POST" not in inner.received

    play(scene)


def test_too_much_content_of_unknown_length_for_an_origin_of_http_10_needs_a_length(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        await answer(client)
        client.send(CHUNKED_POST + b"%x\r\n" % 70_000 + b"x" * 70_000)
        assert status((await answer(client))[0]) == 411

    play(scene)


@pytest.mark.row("R113")
@pytest.mark.parametrize("persists", [True, False])
def test_early_final_response_reaches_a_client_that_is_still_uploading(play: Play, persists: bool) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(POST.replace(b": 5", b": 10000000"))
        client.send(b"x" * 200_000)
        await inner.receive_exactly(100_000)
        close = b"" if persists else b"Connection: close\r\n"
        inner.send(b"HTTP/1.1 413 Content Too Large\r\n" + close + b"Content-Length: 3\r\n\r\nbig")
        head, content = await answer(client)
        assert (status(head), content) == (413, b"big")
        await inner.receive_all()
        client.send(b"x" * 100_000)
        assert await client.receive_all() == b""

    play(scene, linger_idle=0.1, drain_body_seconds=0.1)


@pytest.mark.row("R113", "R120")
def test_early_response_is_not_lost_in_the_reset_that_follows_it(play_on_sockets: Play) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(20):
            client, inner, _ = await stage.asked(POST.replace(b": 5", b": 10000000"))
            inner.pause_reading()
            client.send(b"x" * 1_000_000)
            inner.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
            inner.close()  # with content unread: the kernel sends RST
            client.send(b"x" * 1_000_000)
            head, content = await answer(client)
            assert (status(head), content) == (413, b"big")

    play_on_sockets(scene, linger_idle=0.1, drain_body_seconds=0.1)


@pytest.mark.row("R113")
def test_streamed_early_response_ends_the_upload_where_the_origin_closes(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(POST.replace(b": 5", b": 10000000"))
        await inner.receive_exactly(5)
        inner.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 6\r\n\r\nbig")
        await client.receive_until(b"\r\n\r\nbig")
        client.send(b"x" * 200_000)
        inner.send(b"ger")
        assert await client.receive_exactly(3) == b"ger"
        assert len(inner.received) < 1000

    play(scene)


def test_both_ways_stream_at_once(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(CHUNKED_POST)
        inner.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.receive_until(b"\r\n\r\n")
        for _ in range(3):
            client.send(b"1\r\na\r\n")
            assert await inner.receive_exactly(6) == b"1\r\na\r\n"
            inner.send(b"1\r\nb\r\n")
            assert await client.receive_exactly(6) == b"1\r\nb\r\n"
        client.send(b"0\r\n\r\n")
        assert await inner.receive_exactly(5) == b"0\r\n\r\n"
        inner.send(b"0\r\n\r\n")
        assert await client.receive_exactly(5) == b"0\r\n\r\n"
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


# Back-pressure


def much(stage: Stage) -> int:
    """More octets than the kernel's buffers hold; in memory, more than its windows."""
    return 4 * MEBIBYTE if isinstance(stage.network, MemoryNetwork) else 24 * MEBIBYTE


@pytest.mark.slow
def test_client_that_takes_nothing_stops_the_origin(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        count = much(stage)
        client, inner, _ = await stage.asked()
        client.pause_reading()
        inner.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % count + b"x" * count)
        await settled(inner)
        (connection,) = stage.gateway.registry.connections
        assert connection.transport.get_write_buffer_size() < MEBIBYTE
        assert inner.transport.get_write_buffer_size() > count // 4
        client.resume_reading()
        await client.receive_until(b"\r\n\r\n")
        assert len(await client.receive_exactly(count)) == count

    play(scene)


def test_origin_that_takes_nothing_stops_the_client(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        count = much(stage)
        client, inner, _ = await stage.asked(POST.replace(b": 5", b": %d" % (count + 5)))
        await inner.receive_exactly(5)
        inner.pause_reading()
        client.send(b"x" * count)
        await settled(client)
        assert client.transport.get_write_buffer_size() > count // 4
        inner.resume_reading()
        assert len(await inner.receive_exactly(count)) == count
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


async def settled(sender: RawPeer) -> None:
    """Wait until what a peer wants to send moves no more."""
    turns, before = 0, -1
    while turns < 20:
        await asyncio.sleep(0.002)  # in memory this is virtual time; on sockets, the kernel's turn
        now = sender.transport.get_write_buffer_size()
        turns, before = (turns + 1, now) if now == before else (0, now)
