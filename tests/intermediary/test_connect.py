"""CONNECT: tunnels that are opened, through a parent too, and those that are not."""

from __future__ import annotations

from base64 import b64encode

import pytest

from perdure.core import Request, Response
from perdure.intermediary.passwords import hash_password
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import Play, ProxyStage, answer, status, until, value, values

AUTH = {"auth": [f"alice:{hash_password('wonderland', cost=4)}"]}
ALICE = b"Proxy-Authorization: Basic " + b64encode(b"alice:wonderland")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def connect(authority: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    fields = b"".join(line + b"\r\n" for line in (b"Host: " + authority, *lines))
    return b"CONNECT %b HTTP/%b\r\n%b\r\n" % (authority, version, fields)


async def tunnelled(stage: ProxyStage, *lines: bytes, early: bytes = b"") -> tuple[RawPeer, RawPeer]:
    """A client with a tunnel to the origin: both ends."""
    client = await stage.client()
    client.send(connect(stage.authority, *lines) + early)
    inner = await stage.origin.accept()
    assert await client.receive_until(b"\r\n\r\n") == ESTABLISHED
    return client, inner


async def refused(stage: ProxyStage, request: bytes, more: bytes = b"") -> tuple[bytes, bytes]:
    """What a client is answered whose tunnel is refused; then its connection ends, nothing more is read."""
    client = await stage.client()
    client.send(request + (more or stage.get()))
    head, content = await answer(client)
    assert value(head, b"connection") == b"close"
    assert await client.at_eof()
    return head, content


@pytest.mark.row("R154")
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_octets_cross_both_ways_once_the_tunnel_is_open(play_proxy: Play, version: bytes) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(connect(stage.authority, version=version))
        inner = await stage.origin.accept()
        assert await client.receive_until(b"\r\n\r\n") == ESTABLISHED
        client.send(b"\x16\x03\x01 no HTTP \r\n\r\n")
        assert await inner.receive_exactly(16) == b"\x16\x03\x01 no HTTP \r\n\r\n"[:16]
        inner.send(b"back\x00")
        assert await client.receive_exactly(5) == b"back\x00"
        assert stage.proxy.statistics().tunnels == 1
        inner.close()
        assert await client.at_eof()
        client.close()
        await until(lambda: stage.proxy.statistics().tunnels == 0)

    play_proxy(scene)


@pytest.mark.row("R168")
def test_octets_that_come_before_the_answer_wait_for_it(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        _, inner = await tunnelled(stage, early=b"early")
        assert await inner.receive_exactly(5) == b"early"

    play_proxy(scene)


@pytest.mark.row("R155", "R168")
@pytest.mark.parametrize("authority", [b"a.test:25", b"a.test:80", b"127.0.0.1:22"])
def test_other_ports_are_refused_and_nothing_behind_is_read(play_proxy: Play, authority: bytes) -> None:
    async def scene(stage: ProxyStage) -> None:
        head, content = await refused(stage, connect(authority))
        assert (status(head), value(head, b"proxy-status")) == (403, b"perdure; error=http_request_denied")
        assert b"other ports" in content
        assert not stage.origin.peers

    play_proxy(scene, linger_idle=0.1)


@pytest.mark.parametrize("head", [b"HTTP/1.0\r\n\r\n", b"HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"])
def test_what_older_clients_say_opens_a_tunnel_too(play_proxy: Play, head: bytes) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(b"CONNECT " + stage.authority + b" " + head)
        await stage.origin.accept()
        assert await client.receive_until(b"\r\n\r\n") == ESTABLISHED

    play_proxy(scene)


def test_by_default_only_443_may_be_asked_for(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        assert status((await refused(stage, connect(stage.authority)))[0]) == 403

    play_proxy_virtually(scene, connect_ports=["443"])


@pytest.mark.row("R155")
@pytest.mark.parametrize(
    ("host", "code", "error"),
    [
        (b"10.0.0.1", 403, b"destination_ip_prohibited"),
        (b"[::1]", 403, b"destination_ip_prohibited"),
        (b"[::ffff:10.0.0.1]", 403, b"destination_ip_prohibited"),
        (b"0.0.0.0", 403, b"destination_ip_prohibited"),
        (b"denied.test", 403, b"http_request_denied"),
        (b"2130706433", 400, b"http_request_error"),
        (b"127.1", 400, b"http_request_error"),
    ],
)
def test_tunnels_lead_where_requests_may_go(play_proxy: Play, host: bytes, code: int, error: bytes) -> None:
    async def scene(stage: ProxyStage) -> None:
        head, _ = await refused(stage, connect(host + b":443"))
        assert (status(head), value(head, b"proxy-status")) == (code, b"perdure; error=" + error)

    play_proxy(scene, deny=["denied.test"], connect_ports=[443], linger_idle=0.1)


def test_a_name_that_leads_inside_is_refused_when_it_is_dialled(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        stage.network.names["rebound.test"] = [("10.0.0.1", 443)]  # type: ignore[attr-defined]  # in memory
        head, _ = await refused(stage, connect(b"rebound.test:443"))
        assert (status(head), value(head, b"proxy-status")) == (
            403,
            b"perdure; error=destination_ip_prohibited",
        )

    play_proxy_virtually(scene, connect_ports=[443])


def test_what_cannot_be_connected_to_is_a_bad_gateway(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        stage.origin.close()
        head, _ = await refused(stage, connect(stage.authority))
        assert (status(head), value(head, b"proxy-status")) == (502, b"perdure; error=connection_refused")

    play_proxy(scene, linger_idle=0.1)


@pytest.mark.row("R168")
def test_who_is_not_known_gets_407_and_the_connection_ends(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        head, _ = await refused(stage, connect(stage.authority))
        assert status(head) == 407
        assert values(head, b"proxy-authenticate")
        client, inner = await tunnelled(stage, ALICE)
        client.send(b"x")
        assert await inner.receive_exactly(1) == b"x"

    play_proxy(scene, linger_idle=0.1, **AUTH)


def test_a_connect_with_content_is_refused(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        head, _ = await refused(stage, connect(stage.authority, b"Content-Length: 1"), b"x" + stage.get())
        assert status(head) == 400

    play_proxy(scene, linger_idle=0.1)


def test_a_hook_may_forbid_a_tunnel_but_not_pretend_one(play_proxy: Play) -> None:
    answers = [Response(451), Response(200)]

    def on_request(request: Request) -> Response | None:
        return answers.pop(0) if answers else None

    async def scene(stage: ProxyStage) -> None:
        for code in 451, 500:
            assert status((await refused(stage, connect(stage.authority)))[0]) == code
        await tunnelled(stage)

    play_proxy(scene, on_request=on_request, linger_idle=0.1)


def test_a_client_that_leaves_while_its_tunnel_is_dialled_costs_nothing(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(connect(stage.authority))
        client.abort()
        await client.wait_lost()
        await until(lambda: not stage.proxy.registry.connections)
        assert stage.proxy.statistics().tunnels == 0

    play_proxy_virtually(scene)


# Through a parent, which the origin plays


@pytest.mark.row("R21", "R140")
def test_a_parent_is_asked_for_the_tunnel_with_our_credentials(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(connect(b"a.test:443", b"User-Agent: mine", b"Proxy-Connection: keep-alive", ALICE))
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        assert head.startswith(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n")
        assert values(head, b"proxy-authorization") == [b"Basic " + b64encode(b"bob:secret")]
        assert values(head, b"user-agent") == [b"mine"]
        assert (value(head, b"via") or b"").startswith(b"1.1 perdure (")
        assert not values(head, b"proxy-connection")
        inner.send(b"HTTP/1.1 200 Fine\r\n\r\n")
        assert await client.receive_until(b"\r\n\r\n") == ESTABLISHED
        client.send(b"out")
        assert await inner.receive_exactly(3) == b"out"
        inner.send(b"back")
        assert await client.receive_exactly(4) == b"back"

    play_proxy(scene, parent="http://bob:secret@ORIGIN", connect_ports=[443])


@pytest.mark.parametrize(
    ("refusal", "settings", "code", "error"),
    [
        (b"403 No", {}, 403, None),
        (b"503 Later", {}, 503, None),
        (b"407 Who", {}, 502, b"perdure; error=proxy_configuration_error; received-status=407"),
        (b"407 Who", {"parent_credentials": "client"}, 407, None),
    ],
)
def test_what_a_parent_refuses_is_told_as_it_said_it(
    play_proxy: Play, refusal: bytes, settings: dict[str, str], code: int, error: bytes | None
) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(connect(b"a.test:443", ALICE))
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        assert (ALICE in head) is bool(settings)
        challenge = b'Proxy-Authenticate: Basic realm="x"\r\n'
        inner.send(b"HTTP/1.1 " + refusal + b"\r\n" + challenge + b"Content-Length: 4\r\nX: 1\r\n\r\npage")
        head, content = await answer(client)
        assert (status(head), value(head, b"connection"), value(head, b"proxy-status")) == (
            code,
            b"close",
            error,
        )
        assert bool(values(head, b"proxy-authenticate")) is (error is None)
        if error is None:
            assert (content, value(head, b"x"), value(head, b"via")) == (b"page", b"1", b"1.1 perdure")
        assert await client.at_eof()

    play_proxy(scene, parent="http://ORIGIN", connect_ports=[443], linger_idle=0.1, **settings)


def test_a_parent_that_says_nothing_of_use_is_a_bad_gateway(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        for octets in b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1":
            client = await stage.client()
            client.send(connect(b"a.test:443"))
            inner = await stage.origin.accept()
            await inner.receive_until(b"\r\n\r\n")
            inner.send(octets)
            inner.close()
            assert status((await answer(client))[0]) == 502

    play_proxy(scene, parent="http://ORIGIN", connect_ports=[443], linger_idle=0.1)


@pytest.mark.row("R137")
def test_a_tunnel_that_comes_back_is_a_loop(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        via = b"Via: " + b", ".join([b"1.1 perdure"] * 8)
        assert status((await refused(stage, connect(b"a.test:443", via)))[0]) == 508

    play_proxy(scene, parent="http://ORIGIN", connect_ports=[443], linger_idle=0.1)
