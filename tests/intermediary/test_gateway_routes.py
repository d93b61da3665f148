"""A gateway with routes: what goes where, with which connections, and what of it is limited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from perdure.core import Request, Response, make_line
from perdure.intermediary.gateway import Gateway
from perdure.wire.memory import MemoryNetwork
from perdure.wire.raw import RawListener, RawPeer
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, until, value

Scene = Callable[[Stage, Stage, RawListener], Awaitable[None]]


def routed(play: Play, scene: Scene, first: dict[str, Any], second: dict[str, Any], **settings: Any) -> None:
    """Play a scene with two routes: the stage's origin behind `first`, another one behind `second`."""

    async def with_routes(stage: Stage) -> None:
        other = await RawListener.listen(stage.network)
        to = [[f"http://{one.host}:{one.port}"] for one in (stage.origin, other)]
        routes = [{"to": to[0], **first}, {"to": to[1], **second}]
        async with Gateway((), "127.0.0.1:0", routes=routes, network=stage.network, **settings) as gateway:
            inside = Stage(stage.network, stage.origin, gateway)
            try:
                await scene(inside, Stage(stage.network, other, gateway), other)
            finally:
                await ended(inside.clients)
        await ended([*stage.origin.peers, *other.peers])
        other.close()

    play(with_routes)


async def ended(peers: Sequence[RawPeer]) -> None:
    for peer in peers:
        peer.abort()
        await peer.wait_lost()


def get(path: str, host: str = "a", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


async def told(client: RawPeer, octets: bytes) -> tuple[int, bytes | None]:
    """Ask for what is answered by the gateway itself: status and Proxy-Status."""
    client.send(octets)
    head, _ = await answer(client)
    return status(head), value(head, b"proxy-status")


async def served(client: RawPeer, inner: RawPeer, octets: bytes) -> bytes:
    """Ask for what an origin answers: the head that it got."""
    client.send(octets)
    head = await inner.receive_until(b"\r\n\r\n")
    inner.send(OK)
    assert status((await answer(client))[0]) == 200
    return head


def test_remembered_request_goes_where_its_own_path_says(play: Play) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client, first = await one.warmed()
        client.send(get("/b/x"))
        second = await other.accept()
        assert (await second.receive_until(b"\r\n\r\n")).startswith(b"GET /b/x HTTP/1.1\r\nHost: a\r\n")
        second.send(OK)
        await answer(client)
        for _ in range(3):
            assert (await served(client, first, get("/c"))).startswith(b"GET /c ")
            assert (await served(client, second, get("/b"))).startswith(b"GET /b ")
        assert one.gateway.statistics().origins.dialled == 2

    routed(play, scene, {}, {"path": "/b"})


def test_what_no_route_is_for_is_answered_here_and_the_connection_persists(play: Play) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client = await one.client()
        lost = b"perdure; error=destination_not_found"
        assert await told(client, get("/c")) == (404, lost)
        assert await told(client, get("/a", "other.test")) == (421, lost)
        assert await told(client, get("/a/../b")) == (400, b"perdure; error=http_request_error")
        client.send(b"POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + get("/c"))
        for _ in range(2):
            assert status((await answer(client))[0]) == 404
        assert not one.origin.peers

    routed(play, scene, {"host": "a", "path": "/a"}, {"host": "a", "path": "/b"})


def test_route_has_hooks_and_a_host_of_its_own(play: Play) -> None:
    def mark(request: Request) -> Response | None:
        request.fields = [*request.fields, make_line(b"X-Route", b"b")]
        return Response(403) if request.target.endswith(b"/no") else None

    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client, first = await one.warmed()
        client.send(get("/b"))
        second = await other.accept()
        head = await second.receive_until(b"\r\n\r\n")
        assert value(head, b"host") == f"{other.host}:{other.port}".encode()
        assert value(head, b"x-route") == b"b"
        second.send(OK)
        await answer(client)
        assert (await told(client, get("/b/no")))[0] == 403
        head = await served(client, first, GET)
        assert (value(head, b"host"), value(head, b"x-route")) == (b"a", None)

    routed(play, scene, {}, {"path": "/b", "send_host": "origin", "on_request": mark})


def test_route_has_timeouts_of_its_own(play_virtually: Play) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client = await one.client()
        now = asyncio.get_running_loop().time
        for path, seconds in (("/b", 1.0), ("/", 5.0)):
            began = now()
            assert (await told(client, get(path)))[0] == 504
            assert seconds <= now() - began < seconds + 0.5

    settings = {"origin_read_timeout": 5.0}
    routed(play_virtually, scene, {}, {"path": "/b", "origin_read_timeout": 1.0}, **settings)


def test_cap_of_one_route_holds_up_no_other(play: Play) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        clients = [await one.client() for _ in range(4)]
        for client in clients[:3]:
            client.send(get("/b"))
        await until(lambda: len(other.peers) == 1)
        clients[3].send(GET)
        inner = await one.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        await answer(clients[3])
        assert len(other.peers) == 1
        assert one.gateway.statistics().origins.waiting == 2

    routed(play, scene, {}, {"path": "/b", "origin_max_per_origin": 1})


UPLOAD = b"POST /b HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        UPLOAD + b"Content-Length: 11\r\n\r\nhello world",
        UPLOAD + b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
    ],
    ids=["length", "expected", "chunked"],
)
def test_content_beyond_what_a_route_takes_is_refused(play: Play, octets: bytes) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client = await one.client()
        assert await told(client, octets) == (413, b"perdure; error=http_request_error")
        assert one.gateway.statistics().origins.leased == 0

    routed(play, scene, {}, {"path": "/b", "max_body": 10})


def test_content_that_becomes_too_much_on_its_way_is_refused_and_its_connection_ended(play: Play) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client = await one.client()
        client.send(UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n")
        inner = await other.accept()
        await inner.receive_until(b"hello")
        client.send(b"5\r\nworld\r\n0\r\n\r\n")
        assert status((await answer(client))[0]) == 413
        assert b"world" not in await inner.receive_all()

    routed(play, scene, {}, {"path": "/b", "max_body": 10})


def test_content_within_what_a_route_takes_crosses(play: Play) -> None:
    async def scene(one: Stage, two: Stage, other: RawListener) -> None:
        client = await one.client()
        client.send(UPLOAD + b"Transfer-Encoding: chunked\r\n\r\na\r\nhelloworld\r\n0\r\n\r\n")
        inner = await other.accept()
        await inner.receive_until(b"helloworld")
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    routed(play, scene, {}, {"path": "/b", "max_body": 10})


# Health, as requests show it.


def test_origin_that_breaks_three_exchanges_is_left_alone(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        broken = await RawListener.listen(stage.network)
        to = [f"http://{one.host}:{one.port}" for one in (broken, stage.origin)]
        async with Gateway(to, "127.0.0.1:0", network=stage.network, fail_rest=30.0) as gateway:
            client = await Stage(stage.network, stage.origin, gateway).client()
            statuses = []
            good: RawPeer | None = None
            for number in range(12):
                client.send(GET)
                if number in (0, 2, 4):
                    inner = await broken.accept()
                    await inner.receive_until(b"\r\n\r\n")
                    inner.abort()
                else:
                    good = good or await stage.origin.accept()
                    await good.receive_until(b"\r\n\r\n")
                    good.send(OK)
                statuses.append(status((await answer(client))[0]))
            assert statuses == [502, 200, 502, 200, 502, 200, 200, 200, 200, 200, 200, 200]
            first, second = gateway.statistics().servers
            assert (first.condition, first.failures, second.failures) == ("resting", 3, 0)
            client.abort()
            await client.wait_lost()
        broken.close()

    play_virtually(scene)


def test_5xx_takes_an_origin_out_only_where_that_is_set(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        for _ in range(4):
            inner.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            assert status((await answer(client))[0]) == 500
            client.send(GET)
            await inner.receive_until(b"\r\n\r\n")
        (server,) = stage.gateway.statistics().servers
        assert (server.condition, server.failures) == ("resting", 4)

    play(scene, fail_on_5xx=True, fail_rest=60.0)


def test_stale_connection_is_no_failure_of_the_origin(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner = await stage.warmed()
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.abort()
        again = await stage.origin.accept()
        await again.receive_until(b"\r\n\r\n")
        again.send(OK)
        await answer(client)
        assert stage.gateway.statistics().servers[0].failures == 0

    play(scene)


@pytest.mark.row("S16")
def test_request_of_a_stale_connection_goes_to_another_origin_if_its_own_is_gone(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        leaving = await RawListener.listen(stage.network)
        to = [f"http://{one.host}:{one.port}" for one in (leaving, stage.origin)]
        async with Gateway(to, "127.0.0.1:0", network=stage.network, balance="round-robin") as gateway:
            client = await Stage(stage.network, stage.origin, gateway).client()
            peers = []
            for listener in (leaving, stage.origin):
                client.send(GET)
                peers.append(await listener.accept())
                await peers[-1].receive_until(b"\r\n\r\n")
                peers[-1].send(OK)
                await answer(client)
            client.send(GET)
            await peers[0].receive_until(b"\r\n\r\n")
            leaving.close()
            await leaving.listener.wait_closed()
            peers[0].abort()
            again = await stage.origin.accept()
            await again.receive_until(b"\r\n\r\n")
            again.send(OK)
            assert status((await answer(client))[0]) == 200
            first, _ = gateway.statistics().servers
            assert first.condition == "resting"
            client.abort()
            await client.wait_lost()

    play(scene)


def test_who_names_no_host_gets_that_of_the_origin_that_its_path_leads_to(play: Play) -> None:
    async def scene(stage: Stage, other: Stage, _: RawListener) -> None:
        client = await stage.client()
        for path, asked in ("/", stage), ("/b", other):
            client.send(f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
            inner = await asked.origin.accept()
            head = await inner.receive_until(b"\r\n\r\n")
            assert value(head, b"host") == f"{asked.origin.host}:{asked.origin.port}".encode()
            inner.send(OK)
            await answer(client)

    routed(play, scene, {}, {"path": "/b"})
