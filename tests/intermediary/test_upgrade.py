"""Another protocol is asked for hop by hop, and nothing of it crosses before the origin has switched."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Reason, Response, make_line
from perdure.intermediary.gateway import Gateway
from perdure.wire.network import Network
from perdure.wire.raw import RawListener, RawPeer
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, until, value, values
from tests.intermediary.connecting import ASKING, OFFERING, REFUSALS, SWITCHED, TCP


async def switched(stage: Stage) -> tuple[RawPeer, RawPeer]:
    """Both ends once the gateway has passed the 101 on."""
    client, inner, _ = await stage.asked(ASKING)
    inner.send(SWITCHED)
    await client.receive_until(b"\r\n\r\n")
    return client, inner


# The origin switches


@pytest.mark.row("R145", "R134", "R131")
def test_upgrade_is_asked_for_on_each_hop_by_its_own_fields(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(ASKING)
        assert (values(head, b"upgrade"), values(head, b"connection")) == ([b"websocket"], [b"upgrade"])
        assert value(head, b"sec-websocket-key") == b"dGhlIHNhbXBsZSBub25jZQ=="
        inner.send(SWITCHED)
        back = await client.receive_until(b"\r\n\r\n")
        assert status(back) == 101
        assert (values(back, b"upgrade"), values(back, b"connection")) == ([b"websocket"], [b"upgrade"])
        assert value(back, b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert value(back, b"via") == b"1.1 perdure"
        assert values(back, b"keep-alive") == values(back, b"content-length") == []
        client.send(b"\x81\x85frame")
        assert await inner.receive_exactly(7) == b"\x81\x85frame"
        inner.send(b"\x81\x02ok")
        assert await client.receive_exactly(4) == b"\x81\x02ok"

    play(scene)


def test_octets_and_the_end_that_come_with_the_101_follow_it(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(ASKING)
        inner.send(SWITCHED + b"hello")
        inner.close()
        head = await client.receive_until(b"\r\n\r\n")
        assert status(head) == 101
        assert await client.receive_all() == b"hello"
        client.close()
        await until(lambda: stage.gateway.registry.closes == {Reason.TUNNEL: 1})

    play(scene)


def test_interim_responses_come_before_the_101(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(ASKING)
        inner.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SWITCHED + b"hello")
        assert status(await client.receive_until(b"\r\n\r\n")) == 103
        assert status(await client.receive_until(b"\r\n\r\n")) == 101
        assert await client.receive_exactly(5) == b"hello"

    play(scene)


@pytest.mark.row("R154")
def test_upgraded_connection_never_returns_to_the_pool_and_takes_no_place_of_it(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await switched(stage)
        other, second, _ = await stage.asked()
        second.send(OK)
        await answer(other)
        statistics = stage.gateway.statistics()
        assert (statistics.tunnels, statistics.origins.connections) == (1, 1)
        inner.close()
        assert await client.at_eof()
        client.close()
        await until(lambda: not stage.gateway.statistics().tunnels)
        other.send(GET)
        await second.receive_until(b"\r\n\r\n")
        assert len(stage.origin.peers) == 2

    play(scene, origin_max_per_origin=1)


@pytest.mark.row("R149")
def test_handshake_on_a_connection_that_went_stale_is_sent_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        client.send(ASKING)
        await inner.receive_until(b"\r\n\r\n")
        inner.close()
        second = await stage.origin.accept()
        assert value(await second.receive_until(b"\r\n\r\n"), b"upgrade") == b"websocket"
        second.send(SWITCHED)
        assert status(await client.receive_until(b"\r\n\r\n")) == 101

    play(scene)


def test_a_tunnel_counts_where_the_origin_with_the_least_to_do_is_asked(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        other = await RawListener.listen(stage.network, "127.0.0.1:0")
        network: Network = stage.network
        to = [f"http://{listener.host}:{listener.port}" for listener in (stage.origin, other)]
        async with Gateway(to, "127.0.0.1:0", network=network) as gateway:
            port = int(gateway.urls[0].rpartition(":")[2])
            chatting, asking, too = [await RawPeer.dial(network, "127.0.0.1", port) for _ in range(3)]
            chatting.send(ASKING)
            await until(lambda: bool(stage.origin.peers or other.peers))
            busy, free = (stage.origin, other) if stage.origin.peers else (other, stage.origin)
            (chat,) = busy.peers
            chat.send(SWITCHED)
            await chatting.receive_until(b"\r\n\r\n")
            asking.send(GET)
            peer = await free.accept()
            for _ in range(4):
                await peer.receive_until(b"\r\n\r\n")
                peer.send(OK)
                await answer(asking)
                asking.send(GET)
            assert (len(busy.peers), len(free.peers)) == (1, 1)
            chat.close()
            assert await chatting.at_eof()
            chatting.close()
            await until(lambda: not gateway.statistics().tunnels)
            too.send(GET)  # what `asking` asked is under way
            await until(lambda: len(busy.peers) == 2)
            for one in (chatting, asking, too, *other.peers, *stage.origin.peers):
                one.abort()
                await one.wait_lost()
        other.close()

    play(scene)


# Which protocols


@pytest.mark.row("R136", "R145")
@pytest.mark.parametrize(
    ("offered", "allowed", "asked"),
    [
        (b"WebSocket", ["websocket"], [b"websocket"]),
        (b"foo", ["websocket"], []),
        (b"foo, websocket, TLS/1.0", ["websocket", "TLS/1.0"], [b"websocket, tls/1.0"]),
        (b"websocket", [], []),
        (b"h2c", ["websocket"], []),
    ],
)
def test_origin_is_asked_for_the_protocols_that_are_allowed(
    play: Play, offered: bytes, allowed: list[str], asked: list[bytes]
) -> None:
    async def scene(stage: Stage) -> None:
        _, _, head = await stage.asked(ASKING.replace(b"websocket", offered, 1))
        assert values(head, b"upgrade") == asked
        assert values(head, b"connection") == ([b"upgrade"] if asked else [])

    play(scene, upgrade=allowed)


@pytest.mark.row("R143", "R136")
@pytest.mark.parametrize(
    "octets", [ASKING.replace(b"HTTP/1.1", b"HTTP/1.0"), ASKING.replace(b", Upgrade", b"")]
)
def test_upgrade_of_http_10_or_without_its_option_is_ignored(play: Play, octets: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(octets)
        assert values(head, b"upgrade") == []
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"
        client.send(octets)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


# The origin does not switch


@pytest.mark.row("R144", "R145")
def test_426_names_the_protocols_that_may_be_asked_for_on_this_hop(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(GET)
        inner.send(
            b"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: foo, WebSocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
        )
        head, _ = await answer(client)
        assert (status(head), values(head, b"upgrade")) == (426, [b"websocket"])
        assert value(head, b"connection") == b"keep-alive, upgrade"

    play(scene)


@pytest.mark.row("R146")
@pytest.mark.parametrize("refusal", REFUSALS)
def test_any_other_answer_leaves_both_connections_as_they_were(play: Play, refusal: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(ASKING)
        inner.send(refusal)
        head, _ = await answer(client)
        assert head[:12] == refusal[:12]
        assert value(head, b"connection") == b"keep-alive"
        client.send(ASKING)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(SWITCHED)
        assert status(await client.receive_until(b"\r\n\r\n")) == 101

    play(scene)


# Switches that nobody wants


@pytest.mark.row("R144")
@pytest.mark.parametrize(
    ("request_head", "switch"),
    [
        (GET, SWITCHED),
        (ASKING, SWITCHED.replace(b"websocket", b"foo")),
        (ASKING, SWITCHED.replace(b"Upgrade: websocket\r\n", b"")),
        (ASKING, SWITCHED.replace(b"websocket", b"websocket, foo")),
        (ASKING.replace(b"websocket", b"foo", 1), SWITCHED.replace(b"websocket", b"foo")),
        (ASKING, SWITCHED.replace(b"Connection: Upgrade", b"Connection: Upgrade, Host")),
    ],
)
def test_switch_to_what_was_not_asked_for_is_a_502_and_ends_the_origins_connection(
    play: Play, request_head: bytes, switch: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(request_head)
        inner.send(switch + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (502, b"keep-alive")
        assert value(head, b"proxy-status") == b"perdure; error=http_protocol_error"
        await inner.receive_all()
        client.send(GET)
        second = await stage.origin.accept()
        await second.receive_until(b"\r\n\r\n")

    play(scene)


def test_hook_sees_the_101_and_may_spoil_it(play: Play) -> None:
    seen: list[int] = []

    def hook(response: Response) -> None:
        seen.append(response.status)
        if len(seen) == 1:
            response.fields = [*response.fields, make_line(b"X-Hook", b"1")]
            return
        raise ZeroDivisionError

    async def scene(stage: Stage) -> None:
        seen.clear()
        client, inner, _ = await stage.asked(ASKING)
        inner.send(SWITCHED)
        assert value(await client.receive_until(b"\r\n\r\n"), b"x-hook") == b"1"
        second, inner, _ = await stage.asked(ASKING)
        inner.send(SWITCHED)
        assert status((await answer(second))[0]) == 500
        assert seen == [101, 101]

    play(scene, on_response=hook)


# Content of the request


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_request_with_content_is_upgraded_once_all_of_it_is_there(play: Play, framing: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(OFFERING + framing)
        if b"chunked" in framing:
            client.send(b"5\r\nhello\r\n0\r\n\r\n")
        client.send(b"early")
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(TCP)
        assert status(await client.receive_until(b"\r\n\r\n")) == 101
        content = b"hello" if b"chunked" not in value_of(inner) else b"5\r\nhello\r\n0\r\n\r\n"
        assert await inner.receive_exactly(len(content) + 5) == content + b"early"

    def value_of(inner: RawPeer) -> bytes:
        return bytes(inner.received).lower()

    play(scene, upgrade=["tcp"])


@pytest.mark.parametrize("chunked", [True, False])
def test_switch_before_all_of_the_content_is_there_waits_for_the_rest(play: Play, chunked: bool) -> None:
    async def scene(stage: Stage) -> None:
        framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 200000\r\n\r\n"
        client, inner, _ = await stage.asked(OFFERING + framing)
        inner.send(TCP + b"first ")
        inner.send(b"words")
        await asyncio.sleep(0.05)
        assert not client.received
        half = b"x" * 100_000
        if chunked:
            client.send(b"30d40\r\n" + half)
            client.send(half + b"\r\n0\r\n\r\nbehind")
        else:
            client.send(half)
            client.send(half + b"behind")
        assert status(await client.receive_until(b"\r\n\r\n")) == 101
        assert await client.receive_exactly(11) == b"first words"
        received = await inner.receive_until(b"behind")
        assert received.count(b"x") == 200_000
        assert received.endswith(b"0\r\n\r\nbehind" if chunked else b"xbehind")

    play(scene, upgrade=["tcp"])


@pytest.mark.row("R147")
def test_100_comes_before_the_101(play: Play) -> None:
    expecting = OFFERING + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"

    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(expecting)
        assert value(head, b"expect") == b"100-continue"
        inner.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert status(await client.receive_until(b"\r\n\r\n")) == 100
        client.send(b"hello")
        assert await inner.receive_exactly(5) == b"hello"
        inner.send(TCP)
        assert status(await client.receive_until(b"\r\n\r\n")) == 101
        second, inner, _ = await stage.asked(expecting)
        inner.send(TCP)
        head, _ = await answer(second)
        assert (status(head), value(head, b"connection")) == (502, b"close")

    play(scene, upgrade=["tcp"])


@pytest.mark.row("R161")
def test_early_refusal_of_a_request_with_content_ends_the_connection(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(OFFERING + b"Content-Length: 5\r\n\r\n")
        inner.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (403, b"close")
        client.send(b"hello" + GET)
        assert await client.receive_all() == b""

    play(scene, upgrade=["tcp"], linger_idle=0.1)


# Ends


@pytest.mark.row("R121")
@pytest.mark.parametrize("side", ["client", "origin"])
def test_who_leaves_before_the_101_leaves_nothing_behind(play: Play, side: str) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(ASKING)
        if side == "client":
            client.abort()
            await inner.receive_all()
        else:
            inner.abort()
            assert status((await answer(client))[0]) == 502
            client.close()
        await until(lambda: not stage.gateway.registry.connections)
        statistics = stage.gateway.statistics()
        assert (statistics.tunnels, statistics.origins.connections) == (0, 0)

    play(scene)


def test_origin_that_leaves_while_its_101_waits_for_content_is_a_502(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(OFFERING + b"Content-Length: 5\r\n\r\n")
        inner.send(TCP)
        await asyncio.sleep(0.05)
        client.send(b"hell")
        await inner.receive_exactly(4)
        inner.abort()
        client.send(b"o")
        head = await client.receive_until(b"\r\n\r\n")
        assert status(head) in (101, 502)  # whichever is noticed first
        await client.wait_lost() if status(head) == 101 else None

    play(scene, upgrade=["tcp"])
