"""Octets behind a request for another protocol: the tunnel's after a 101, after any other answer nobody's."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Reason, Response
from tests.intermediary.conftest import GET, Play, Stage, answer, status, until, value
from tests.intermediary.connecting import ASKING, REFUSALS, SWITCHED


@pytest.mark.row("R167", "R146")
def test_octets_behind_the_request_wait_for_the_101(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(ASKING + b"early, ")
        client.send(b"later, ")
        await asyncio.sleep(0.05)
        assert inner.received == head
        inner.send(SWITCHED)
        assert await inner.receive_exactly(14) == b"early, later, "
        await client.receive_until(b"\r\n\r\n")
        client.send(b"now")
        assert await inner.receive_exactly(3) == b"now"

    play(scene)


@pytest.mark.row("R168", "R146")
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("at_once", [True, False])
def test_octets_behind_a_request_that_is_not_granted_end_the_connection_unread(
    play: Play, refusal: bytes, at_once: bool
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, sent = await stage.asked(ASKING + GET if at_once else ASKING)
        if not at_once:
            client.send(GET)
            await asyncio.sleep(0.05)
        inner.send(refusal)
        head = await client.receive_until(b"\r\n\r\n")
        assert head[:12] == refusal[:12]
        assert b"close" in (value(head, b"connection") or b"")
        rest = await client.receive_all()
        assert b"HTTP/1.1" not in rest
        assert inner.received == sent
        assert len(stage.origin.peers) == 1
        client.close()
        await until(lambda: stage.gateway.registry.closes == {Reason.UPGRADE_REJECTED: 1})
        assert stage.gateway.statistics().origins.idle == 1

    play(scene)


@pytest.mark.row("R168")
def test_octets_that_come_while_a_refusal_is_under_way_end_the_connection_behind_it(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, sent = await stage.asked(ASKING)
        inner.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno")
        head = await client.receive_until(b"\r\n\r\n")
        assert value(head, b"connection") == b"keep-alive"
        client.send(GET)
        await asyncio.sleep(0.05)
        inner.send(b"pe")
        assert await client.receive_all() == b"nope"
        assert inner.received == sent

    play(scene)


@pytest.mark.row("R168")
def test_refusal_that_was_seen_before_is_no_exception(play: Play) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nno"

    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(ASKING)
        for _ in range(3):
            inner.send(refusal)
            assert (await answer(client))[1] == b"no"
            client.send(ASKING)
            await inner.receive_until(b"\r\n\r\n")
        client.send(GET)
        await asyncio.sleep(0.05)
        inner.send(refusal)
        head, content = await answer(client)
        assert (content, value(head, b"connection")) == (b"no", b"close")
        assert await client.receive_all() == b""

    play(scene)


@pytest.mark.row("R168")
@pytest.mark.parametrize("upgrade", [["websocket"], []])
def test_octets_behind_a_request_that_no_origin_answers_are_not_read_either(
    play: Play, upgrade: list[str]
) -> None:
    async def scene(stage: Stage) -> None:
        stage.origin.close()
        client = await stage.client()
        client.send(ASKING + GET)
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (502, b"close")
        assert await client.receive_all() == b""

    play(scene, upgrade=upgrade)


@pytest.mark.row("R168")
@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (ASKING.replace(b"GET /chat", b"GET https://a/"), 421),
        (ASKING.replace(b"\r\n\r\n", b"\r\nVia: 1.1 perdure%b\r\n\r\n" % (b", 1.1 perdure" * 8)), 508),
        (ASKING.replace(b"GET /chat", b"CONNECT a:443"), 501),
        (ASKING.replace(b"GET /chat", b"OPTIONS *")[:-2] + b"Max-Forwards: 0\r\n\r\n", 200),
    ],
)
def test_octets_behind_a_request_that_is_answered_here_are_not_read(
    play: Play, start: bytes, expected: int
) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(start + GET)
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (expected, b"close")
        assert await client.receive_all() == b""
        assert stage.origin.peers == []

    play(scene)


@pytest.mark.row("R168")
def test_octets_behind_a_request_that_a_hook_answers_are_not_read(play: Play) -> None:
    def hook(request: object) -> Response:
        return Response(403)

    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(ASKING + GET)
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (403, b"close")
        assert await client.receive_all() == b""

    play(scene, on_request=hook)
