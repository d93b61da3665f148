"""Connections to the origin that were stale, clients that leave, and no connection at all."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Reason
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import GET, OK, POST, Play, Stage, answer, status, until, value

PUT = POST.replace(b"POST", b"PUT")
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

# Stale connections: the origin ends an idle connection at the moment a request goes out on it.

STALE = ["end", "reset", "write fails"]


async def stale(stage: Stage, client: RawPeer, inner: RawPeer, octets: bytes, shape: str) -> None:
    """Send a request whose connection to the origin ends in one of the three shapes."""
    if shape == "write fails":
        inner.pause_reading()
        inner.abort()  # the gateway's loop has not seen it when it writes
        client.send(octets)
        return
    client.send(octets)
    await inner.receive_until(b"\r\n\r\n")
    if shape == "end":
        inner.close()
    else:
        inner.abort()


@pytest.mark.row("R111", "R183", "R6")
@pytest.mark.parametrize("shape", STALE)
@pytest.mark.parametrize(
    "octets", [GET, PUT, PUT.replace(b"hello", b"hel")], ids=["GET", "PUT", "half a PUT"]
)
def test_idempotent_request_on_a_stale_connection_is_sent_again(
    play: Play, shape: str, octets: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        await stale(stage, client, inner, octets, shape)
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        if octets.endswith(b"\r\n\r\nhel"):
            client.send(b"lo")
        if octets != GET:
            assert await inner.receive_exactly(5) == b"hello"
        assert head.partition(b" ")[0] == octets.partition(b" ")[0]
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"
        assert stage.gateway.statistics().origins.dialled == 2

    play(scene)


@pytest.mark.row("R149", "R148")
@pytest.mark.parametrize("shape", ["end", "reset"])
def test_post_that_an_origin_may_have_read_is_answered_502_and_never_sent_again(
    play_virtually: Play, shape: str
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await proven(stage)
        await stale(stage, client, inner, POST, shape)
        head, _ = await answer(client)
        assert status(head) == 502
        assert value(head, b"proxy-status") == b"perdure; error=connection_terminated"
        assert sum(peer.received.count(b"POST") for peer in stage.origin.peers) == 1
        client.send(GET)
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")

    play_virtually(scene)


async def proven(stage: Stage) -> tuple[RawPeer, RawPeer]:
    """A connection to the origin that is idle, and known to survive that."""
    client, inner = await stage.warmed()
    await asyncio.sleep(1.0)
    client.send(GET)
    await inner.receive_until(b"\r\n\r\n")
    inner.send(OK)
    await answer(client)
    await asyncio.sleep(0.1)
    return client, inner


@pytest.mark.row("R149")
@pytest.mark.parametrize("first", [False, True])
def test_lost_request_is_left_to_a_client_who_will_take_it_for_an_idle_close(
    play_virtually: Play, first: bool
) -> None:
    """Without a word where its own connection was used before; else it hears of it (9112 §9.3.1)."""

    async def scene(stage: Stage) -> None:
        client, inner = await proven(stage)
        if first:
            client = await stage.client()
        await stale(stage, client, inner, POST, "end")
        if first:
            assert status((await answer(client))[0]) == 502
        else:
            before = len(client.received)
            await client.receive_all()
            assert len(client.received) == before
        assert sum(peer.received.count(b"POST") for peer in stage.origin.peers) == 1

    play_virtually(scene, origin_on_stale="close")


def test_post_goes_to_a_fresh_connection_unless_idle_ones_are_proven(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        await asyncio.sleep(1.0)
        client.send(POST)
        second = await stage.origin.accept()
        await second.receive_until(b"hello")
        second.send(OK)
        await answer(client)
        assert inner.received.count(b"POST") == 0

    play_virtually(scene)


@pytest.mark.row("R148")
def test_post_with_an_idempotency_key_is_sent_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        await stale(stage, client, inner, POST.replace(b"Host", b"Idempotency-Key: 1\r\nHost"), "end")
        inner = await stage.origin.accept()
        await inner.receive_until(b"hello")
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


@pytest.mark.row("R150")
def test_repetition_is_not_repeated(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        await stale(stage, client, inner, GET, "end")
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.close()
        assert status((await answer(client))[0]) == 502
        assert stage.gateway.statistics().retried == 1

    play(scene)


def test_first_stale_connection_flushes_its_idle_siblings(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        asked = [await stage.asked() for _ in range(3)]
        for client, inner, _ in asked:
            inner.send(OK)
            await answer(client)
        client = asked[0][0]
        client.send(GET)
        used = asked[2][1]
        await used.receive_until(b"\r\n\r\n")
        used.close()
        fresh = await stage.origin.accept()
        await fresh.receive_until(b"\r\n\r\n")
        fresh.send(OK)
        assert status((await answer(client))[0]) == 200
        assert stage.gateway.statistics().origins.closes.get(Reason.SIBLING_STALE, 0) == 2

    play(scene)


def test_request_on_a_fresh_connection_that_ends_is_not_sent_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.close()
        assert status((await answer(client))[0]) == 502
        assert len(stage.origin.peers) == 1

    play(scene)


@pytest.mark.row("R149")
def test_interim_response_is_an_answer_so_that_nothing_is_sent_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await client.receive_until(b"\r\n\r\n")
        inner.close()
        head, _ = await answer(client)
        assert status(head) == 502
        assert value(head, b"proxy-status") == b"perdure; error=http_response_incomplete"

    play(scene)


@pytest.mark.row("R88")
@pytest.mark.parametrize("reused", [True, False])
def test_408_on_a_reused_connection_is_an_idle_close(play: Play, reused: bool) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        if reused:
            inner.send(OK)
            await answer(client)
            client.send(GET)
            await inner.receive_until(b"\r\n\r\n")
        inner.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        if reused:
            inner = await stage.origin.accept()
            await inner.receive_until(b"\r\n\r\n")
            inner.send(OK)
        assert status((await answer(client))[0]) == (200 if reused else 408)

    play(scene)


@pytest.mark.row("R88")
def test_408_whose_content_is_still_under_way_is_an_idle_close_too(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 9\r\n\r\nidle")
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


def test_retry_can_be_switched_off(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        await stale(stage, client, inner, GET, "end")
        assert status((await answer(client))[0]) == 502

    play(scene, origin_retry=False)


# Clients that leave


@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_that_leaves_ends_the_exchange_with_the_origin(play: Play, how: str) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nsome")
        await client.receive_until(b"some")
        if how == "reset":
            client.abort()
        else:
            client.close()
            for _ in range(200):  # a FIN alone does not say that nobody reads (9112 §9.6)
                inner.send(b"x" * 100)
                await asyncio.sleep(0.001)
                if inner.ended or inner.lost:
                    break
        await inner.receive_all()
        origins = stage.gateway.statistics().origins
        assert (origins.connections, origins.leased) == (0, 0)

    play(scene)


def test_client_that_leaves_while_it_waits_gives_up_its_place(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        first, inner, _ = await stage.asked()
        second = await stage.client()
        second.send(GET)
        third = await stage.client()
        await until(lambda: stage.gateway.statistics().origins.waiting == 1)
        second.abort()
        await until(lambda: stage.gateway.statistics().connections == 2)
        third.send(GET)
        inner.send(OK)
        await answer(first)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert status((await answer(third))[0]) == 200
        assert inner.received.count(b"GET") == 2

    play(scene, origin_max_per_origin=1)


def test_upload_that_breaks_off_never_looks_complete_to_the_origin(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(CHUNKED_POST + b"3\r\none\r\n")
        await inner.receive_until(b"one\r\n")
        client.abort()
        assert b"0\r\n\r\n" not in await inner.receive_all()

    play(scene)


@pytest.mark.row("R121")
def test_client_that_ends_its_side_still_gets_its_answer(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(GET)
        assert client.half_close()
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"
        assert await client.at_eof()

    play(scene)


# No connection


def test_refused_connection_is_a_502_and_the_client_stays(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.origin.close()
        await stage.origin.listener.wait_closed()
        client = await stage.client()
        for octets in (GET, POST, GET):
            client.send(octets)
            head, content = await answer(client)
            assert status(head) == 502
            assert value(head, b"proxy-status") == b"perdure; error=connection_refused"
            assert content == b"502 Bad Gateway: connecting to the origin failed\n"
            assert value(head, b"date") is not None

    play(scene)


def test_connection_that_does_not_come_about_is_a_504(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        stage.network.script(Fault("server", 0, "unanswered"), 1)
        client = await stage.client()
        client.send(GET)
        head, _ = await answer(client)
        assert (status(head), value(head, b"proxy-status")) == (504, b"perdure; error=connection_timeout")

    play_virtually(scene, origin_connect_timeout=3.0)


def test_waiting_for_too_long_is_a_503(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        first, inner, _ = await stage.asked()
        second = await stage.client()
        second.send(GET)
        head, _ = await answer(second)
        assert (status(head), value(head, b"proxy-status")) == (
            503, b"perdure; error=connection_limit_reached",
        )  # fmt: skip
        inner.send(OK)
        assert status((await answer(first))[0]) == 200
        second.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert status((await answer(second))[0]) == 200

    play_virtually(scene, origin_max_per_origin=1, origin_pool_timeout=3.0)


def test_an_origin_that_is_down_is_told_once_a_minute_and_not_with_every_request(
    play_virtually: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Stage) -> None:
        stage.origin.close()
        await stage.origin.listener.wait_closed()
        client = await stage.client()
        for _ in range(30):
            client.send(GET)
            assert status((await answer(client))[0]) == 502
            await asyncio.sleep(3.0)

    play_virtually(scene)
    told = [record.getMessage() for record in caplog.records if record.name == "perdure.gateway"]
    assert len(told) == 2
    assert told[1].endswith(" (20 times since this was last said)")


def test_connection_that_failed_is_told_from_a_clients_by_where_it_leads(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.abort()
        assert status((await answer(client))[0]) == 502
        assert f"connection 1 to http://127.0.0.1:{stage.origin.port}: the peer" in caplog.text

    play(scene)
