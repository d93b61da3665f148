"""Connections to origins: idle ones that end, origins that are silent, octets nobody asked for."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Reason
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, until, value


@pytest.mark.row("R110")
@pytest.mark.parametrize("how", ["end", "reset"])
def test_idle_connection_that_the_origin_ends_is_closed_at_once(play: Play, how: str) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        if how == "end":
            inner.half_close()
            assert await inner.at_eof()
        else:
            inner.abort()
        await until(lambda: stage.gateway.statistics().origins.connections == 0)
        reason = Reason.PEER_CLOSED if how == "end" else Reason.PEER_RESET
        assert stage.gateway.statistics().origins.closes == {reason: 1}
        client.send(GET)
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene)


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", Reason.SURPLUS_OCTETS),
        (b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", Reason.IDLE_408),
        (b"\r\n\r\n\r\n", Reason.SURPLUS_OCTETS),
    ],
)
def test_octets_on_an_idle_connection_end_it(play: Play, octets: bytes, reason: Reason) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        inner.send(octets)
        await inner.receive_all()
        assert stage.gateway.statistics().origins.closes == {reason: 1}
        client.send(GET)
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK.replace(b"ok", b"no"))
        assert (await answer(client))[1] == b"no"

    play(scene)


def test_line_end_after_a_response_is_forgiven(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(OK + b"\r\n")
        await answer(client)
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200"])
def test_silent_origin_is_a_504_and_the_client_stays(play_virtually: Play, sent: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(sent)
        head, _ = await answer(client)
        assert (status(head), value(head, b"proxy-status")) == (504, b"perdure; error=http_response_timeout")
        await inner.receive_all()
        assert 5.0 <= asyncio.get_running_loop().time() <= 5.2
        client.send(GET)
        await (await stage.origin.accept()).receive_until(b"\r\n\r\n")

    play_virtually(scene, origin_read_timeout=5.0)


@pytest.mark.row("R86")
def test_origin_that_falls_silent_in_the_middle_is_cut_off_visibly(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await client.receive_until(b"half\r\n")
        assert await client.receive_all() == b""

    play_virtually(scene, origin_read_timeout=5.0)


def test_origin_is_not_to_blame_for_a_slow_client(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n")
        for _ in range(4):
            client.send(b"x" * 5000)
            await inner.receive_exactly(5000)
            await asyncio.sleep(4.0)
        inner.send(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000)
        client.pause_reading()
        await asyncio.sleep(9.0)
        client.resume_reading()
        assert len((await answer(client))[1]) == 400_000

    play_virtually(scene, origin_read_timeout=5.0)


def test_slow_uploads_do_not_start_the_origins_clock(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(12.0)
        client.send(b"hello")
        await inner.receive_exactly(5)
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play_virtually(scene, origin_read_timeout=5.0)


def test_origin_that_takes_nothing_is_a_504(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
        inner.pause_reading()
        client.send(b"x" * 1_000_000)
        head, _ = await answer(client)
        assert (status(head), value(head, b"proxy-status")) == (
            504, b"perdure; error=connection_write_timeout",
        )  # fmt: skip

    play_virtually(scene, origin_write_timeout=5.0)


@pytest.mark.row("S4", "R179")
def test_hint_of_the_origin_is_honoured(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        hint = b"Connection: keep-alive\r\nKeep-Alive: timeout=3\r\n"
        inner.send(b"HTTP/1.1 200 OK\r\n" + hint + b"Content-Length: 2\r\n\r\nok")
        await answer(client)
        assert await inner.at_eof()
        assert 1.9 <= asyncio.get_running_loop().time() <= 2.2
        assert stage.gateway.statistics().origins.closes == {Reason.IDLE_HINT: 1}

    play_virtually(scene)


def test_last_request_that_the_origin_announces_is_the_last(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: max=0\r\nContent-Length: 2\r\n\r\nok"
        )
        await answer(client)
        assert await inner.at_eof()
        assert stage.gateway.statistics().origins.closes == {Reason.HINT_MAX: 1}

    play(scene)


def test_idle_connection_of_a_silent_origin_is_given_up_after_15_seconds(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        _, inner = await stage.warmed()
        inner.patience = 30.0
        assert await inner.at_eof()
        assert 15.0 <= asyncio.get_running_loop().time() <= 15.2

    play_virtually(scene)
