"""A client's connection to a forward proxy: what is forwarded how, who may use it, when it persists."""

from __future__ import annotations

from base64 import b64encode

import pytest

from perdure.core import Request, Response, make_line
from perdure.intermediary.passwords import hash_password
from perdure.wire.memory import MemoryNetwork
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import OK, Play, ProxyStage, answer, status, value, values

CHEAP = hash_password("wonderland", cost=4)
ALICE = b"Proxy-Authorization: Basic " + b64encode(b"alice:wonderland")
MALLORY = b"Proxy-Authorization: Basic " + b64encode(b"alice:looking-glass")
AUTH = {"auth": [f"alice:{CHEAP}"]}
OLD_OK = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.row("R19", "R11", "R131", "R140", "S11", "S13")
def test_absolute_form_becomes_origin_form_with_the_host_that_was_meant(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        request = stage.get(
            b"/a//b/%2e%2e/?x=%2f", b"Connection: X-Hop", b"X-Hop: 1", b"Proxy-Connection: keep-alive",
            b"Proxy-Authorization: Basic eDp5", b"Keep-Alive: timeout=9", b"X-Unknown: 1",
        )  # fmt: skip
        client, inner, head = await stage.asked(request)
        via = value(head, b"via") or b""
        assert via.startswith(b"1.1 perdure (")
        assert head.replace(via, b"VIA") == (
            b"GET /a//b/%2e%2e/?x=%2f HTTP/1.1\r\nHost: " + stage.authority + b"\r\nX-Unknown: 1\r\n"
            b"Via: VIA\r\n\r\n"
        )
        inner.send(OK)
        back, content = await answer(client)
        assert (status(back), content, value(back, b"via")) == (200, b"ok", b"1.1 perdure")
        assert not values(back, b"proxy-connection")

    play_proxy(scene)


@pytest.mark.row("S8", "R124")
def test_clients_share_the_connections_to_an_origin(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(stage.get(b"/", b"Connection: close"))
        inner.send(OK)
        await answer(client)
        assert await client.at_eof()
        for _ in range(3):
            client = await stage.client()
            client.send(stage.get())
            await inner.receive_until(b"\r\n\r\n")
            inner.send(OK)
            assert (await answer(client))[1] == b"ok"
        assert stage.proxy.statistics().origins.dialled == 1

    play_proxy(scene)


@pytest.mark.row("R102", "S12", "S13", "R181")
@pytest.mark.parametrize(
    "lines",
    [
        (b"Connection: keep-alive",),
        (b"Proxy-Connection: Keep-Alive",),
        (b"Connection: keep-alive", b"Proxy-Connection: keep-alive"),
    ],
)
def test_no_http_10_client_is_kept(play_proxy: Play, lines: tuple[bytes, ...]) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, head = await stage.asked(stage.get(b"/", *lines, version=b"1.0"))
        assert head.startswith(b"GET / HTTP/1.1\r\n")
        assert not values(head, b"proxy-connection")
        assert not values(head, b"connection")
        inner.send(OK)
        back, content = await answer(client)
        assert (content, value(back, b"connection")) == (b"ok", b"close")
        assert not values(back, b"keep-alive") + values(back, b"proxy-connection")
        assert await client.at_eof()
        assert stage.proxy.statistics().origins.idle == 1  # each hop decides for itself

    play_proxy(scene, linger_idle=0.1)


@pytest.mark.row("S13")
def test_a_proxy_told_to_keeps_an_http_10_client_that_says_proxy_connection(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        request = stage.get(b"/", b"Proxy-Connection: Keep-Alive", version=b"1.0")
        client, inner, head = await stage.asked(request)
        for _ in range(2):
            assert not values(head, b"proxy-connection")
            inner.send(OK)
            back, content = await answer(client)
            assert (content, value(back, b"proxy-connection")) == (b"ok", b"keep-alive")
            assert not values(back, b"connection")
            client.send(request)
            head = await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        await answer(client)
        client.send(stage.get(b"/", b"Connection: keep-alive", version=b"1.0"))  # of any hop, maybe
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert value((await answer(client))[0], b"connection") == b"close"
        assert await client.at_eof()

    play_proxy(scene, proxy_connection="honour", linger_idle=0.1)


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"HEAD /x HTTP/1.1", b"POST / HTTP/1.1"])
def test_what_is_asked_of_the_proxy_itself_is_answered_with_how_to_ask(
    play_proxy: Play, request_line: bytes
) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(request_line + b"\r\nHost: proxy.test\r\n\r\n")
        head = await client.receive_until(b"\r\n\r\n")
        assert status(head) == 400
        assert value(head, b"proxy-status") == b"perdure; error=http_request_error"
        if not request_line.startswith(b"HEAD"):
            content = await client.receive_exactly(int(value(head, b"content-length") or 0))
            assert b"this is a forward proxy: ask it for a whole URL" in content
        client.send(stage.get())  # and the connection lives
        await stage.origin.accept()

    play_proxy(scene)


@pytest.mark.row("R23", "R138", "R139")
def test_options_and_trace_stop_where_max_forwards_says(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: proxy.test\r\n\r\n")
        assert status((await answer(client))[0]) == 200
        url = b"http://" + stage.authority
        for method in b"OPTIONS", b"TRACE":
            client.send(method + b" " + url + b"/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
            assert status((await answer(client))[0]) == 200
        client.send(b"OPTIONS " + url + b" HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n")
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        assert head.startswith(b"OPTIONS * HTTP/1.1\r\nHost: " + stage.authority + b"\r\n")
        assert value(head, b"max-forwards") == b"2"

    play_proxy(scene)


@pytest.mark.row("R137")
def test_a_request_that_comes_back_is_a_loop(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        own = stage.proxy.urls[0].encode()
        client.send(b"GET " + own + b"/ HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _ = await answer(client)
        assert status(head) == 400  # it asked itself in origin-form, which it answers
        assert stage.proxy.statistics().requests == 2
        via = b"Via: " + b", ".join([b"1.1 perdure"] * 8)
        client.send(stage.get(b"/", via))
        assert status((await answer(client))[0]) == 508

    play_proxy(scene, drain_grace=0)  # it is its own client


def test_where_it_may_not_go_nobody_is_asked(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        for target, code, error in (
            (b"http://10.0.0.1/", 403, b"destination_ip_prohibited"),
            (b"http://169.254.169.254/latest/meta-data/", 403, b"destination_ip_prohibited"),
            (b"http://[::ffff:10.0.0.1]/", 403, b"destination_ip_prohibited"),
            (b"http://0.0.0.0/", 403, b"destination_ip_prohibited"),
            (b"http://2130706433/", 400, b"http_request_error"),
            (b"http://0x7f.1/", 400, b"http_request_error"),
            (b"http://denied.test/", 403, b"http_request_denied"),
            (b"ftp://a.test/", 501, b"http_request_error"),
        ):
            client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _ = await answer(client)
            assert (status(head), value(head, b"proxy-status")) == (code, b"perdure; error=" + error)
            assert value(head, b"connection") != b"close"
        assert not stage.origin.peers

    play_proxy(scene, deny=[".denied.test"])


def test_a_name_that_leads_inside_is_refused_when_it_is_dialled(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        network = stage.network
        network.names["rebound.test"] = [("10.0.0.1", 80)]  # type: ignore[attr-defined]  # it is in memory
        client = await stage.client()
        client.send(b"GET http://rebound.test/ HTTP/1.1\r\nHost: a\r\n\r\n")
        head, content = await answer(client)
        assert (status(head), value(head, b"proxy-status")) == (
            403,
            b"perdure; error=destination_ip_prohibited",
        )
        assert b"10.0.0.1" not in content
        assert len(network.connections) == 1  # type: ignore[attr-defined]  # the client's

    play_proxy_virtually(scene)


@pytest.mark.row("R57")
def test_an_origin_that_plays_the_proxy_gets_nobodys_password(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(stage.get())
        challenge = b'Proxy-Authenticate: Basic realm="perdure"\r\n'
        inner.send(
            b"HTTP/1.1 407 Proxy Authentication Required\r\n" + challenge + b"Content-Length: 0\r\n\r\n"
        )
        head, _ = await answer(client)
        assert status(head) == 502
        assert not values(head, b"proxy-authenticate")

    play_proxy(scene)


def test_strangers_are_asked_who_they_are_on_a_connection_that_lives(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        for line in b"X: 1", MALLORY, MALLORY, b"Proxy-Authorization: Bearer x", ALICE + b"\r\n" + ALICE:
            client.send(stage.get(b"/", line))
            head, _ = await answer(client)
            assert (status(head), value(head, b"connection")) == (407, b"keep-alive")
            assert value(head, b"proxy-authenticate") == b'Basic realm="perdure", charset="UTF-8"'
            assert value(head, b"proxy-status") == b"perdure; error=http_request_denied"
        assert not stage.origin.peers
        for _ in range(2):
            client.send(stage.get(b"/", ALICE))
            inner = stage.origin.peers[0] if stage.origin.peers else await stage.origin.accept()
            assert b"roxy" not in (await inner.receive_until(b"\r\n\r\n")).replace(b"via", b"")
            inner.send(OK)
            assert (await answer(client))[1] == b"ok"
        assert stage.proxy.registry.opened == 1

    play_proxy(scene, **AUTH)


def test_content_waits_while_credentials_are_checked(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        length = b"Content-Length: 200000\r\n"
        head = b"POST http://%b/ HTTP/1.1\r\nHost: a\r\n%b%b\r\n\r\n"
        client.send(head % (stage.authority, length, ALICE) + b"x" * 200000)
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        assert await inner.receive_exactly(200000) == b"x" * 200000
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"
        client.send(head % (stage.authority, length, MALLORY) + b"x" * 200000)
        assert status((await answer(client))[0]) == 407
        client.send(stage.get(b"/", ALICE))
        await inner.receive_until(b"\r\n\r\n")
        assert len(stage.origin.peers) == 1

    play_proxy(scene, **AUTH)


def test_a_client_that_leaves_while_it_is_checked_is_forgotten(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(stage.get(b"/", ALICE))
        client.abort()
        await client.wait_lost()
        other = await stage.client()
        other.send(stage.get(b"/", ALICE))
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert (await answer(other))[1] == b"ok"
        assert stage.proxy.statistics().origins.requests <= 2

    play_proxy(scene, **AUTH)


@pytest.mark.row("R19")
@pytest.mark.parametrize("parent", [False, True])
def test_what_is_remembered_of_one_origin_is_not_said_to_another(play_proxy: Play, parent: bool) -> None:
    async def scene(stage: ProxyStage) -> None:
        if isinstance(stage.network, MemoryNetwork):
            stage.network.names["localhost"] = [("127.0.0.1", stage.origin.port)]
        client = await stage.client()
        plain = b"http://" + stage.authority
        other = b"http://localhost:" + stage.authority.rpartition(b":")[2]
        peers: dict[bytes, RawPeer] = {}
        for url, path in [
            (plain, b"/"), (plain, b"/"), (plain, b"/1"), (plain, b"/2?x=/"), (plain, b"?q=/1"),
            (plain, b"/3"), (other, b"/4"), (other, b"/5"), (plain, b"/6"), (plain, b""), (plain, b"/7"),
        ]:  # fmt: skip
            client.send(b"GET " + url + path + b" HTTP/1.1\r\nHost: third.test\r\nX: 1\r\n\r\n")
            where = plain if parent else url
            inner = peers[where] = peers.get(where) or await stage.origin.accept()
            head = await inner.receive_until(b"\r\n\r\n")
            target = url + path if parent else path if path[:1] == b"/" else b"/" + path
            assert head.startswith(b"GET " + target + b" HTTP/1.1\r\nHost: " + url[7:] + b"\r\nX: 1\r\n")
            inner.send(OK)
            assert (await answer(client))[1] == b"ok"

    settings = {"parent": "http://ORIGIN"} if parent else {}
    play_proxy(scene, allow=["127.0.0.1", "localhost"], **settings)


def test_hooks_see_what_crosses(play_proxy: Play) -> None:
    def on_request(request: Request) -> Response | None:
        return Response(403) if request.target == b"/no" else None

    def on_response(response: Response) -> None:
        response.fields = [*response.fields, *Response(200).fields]

    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(stage.get(b"/no"))
        assert status((await answer(client))[0]) == 403
        client.send(stage.get(b"/yes"))
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OLD_OK)
        assert (await answer(client))[1] == b"ok"

    play_proxy(scene, on_request=on_request, on_response=on_response)


@pytest.mark.row("S8")
def test_connections_may_be_a_clients_own_and_statuses_told(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        for _ in range(2):
            client, inner, _ = await stage.asked(stage.get())
            inner.send(OK)
            head, _ = await answer(client)
            expected = b'perdure; received-status=200; next-hop="%b"' % stage.authority
            assert value(head, b"proxy-status") == expected
        assert stage.proxy.statistics().origins.dialled == 2

    play_proxy(scene, origin_reuse="never", proxy_status="detailed")


def forbid(request: Request) -> Response:
    return Response(451)


def test_hooks_may_be_named(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(stage.get())
        assert status((await answer(client))[0]) == 451

    play_proxy(scene, on_request=f"{__name__}:forbid")


@pytest.mark.row("R64")
@pytest.mark.parametrize(
    ("framing", "content"),
    [(b"Content-Length: 5", b"%b"), (b"Transfer-Encoding: chunked", b"5\r\n%b\r\n0\r\n\r\n")],
    ids=["length", "chunked"],
)
def test_content_of_a_stranger_never_joins_the_request_behind_it(
    play_proxy: Play, framing: bytes, content: bytes
) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(stage.get(b"/", ALICE))  # who is known from here on
        inner.send(OK)
        await answer(client)
        post = b"POST http://%b/ HTTP/1.1\r\nHost: a\r\n%b\r\n%b\r\n\r\n"
        client.send(
            post % (stage.authority, MALLORY, framing) + content % b"wrong"
            + post % (stage.authority, ALICE, framing) + content % b"right"
        )  # fmt: skip
        assert status((await answer(client))[0]) == 407
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        assert value(head, b"content-length") == b"5"
        assert await inner.receive_exactly(5) == b"right"
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"
        assert inner.received.endswith(b"\r\n\r\nright")

    play_proxy(scene, **AUTH)


@pytest.mark.parametrize("auth", [ALICE, b"X: 1"], ids=["checked", "anybody"])
def test_a_hook_that_answers_what_cannot_be_sent_leaves_nobody_waiting(play_proxy: Play, auth: bytes) -> None:
    def answers(request: Request) -> Response:
        return Response(200, [make_line(b"Content-Length", b"x")])

    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(stage.get(b"/", auth))
        assert status((await answer(client))[0]) == 500
        assert await client.at_eof()

    play_proxy(scene, on_request=answers, linger_idle=0.1, **(AUTH if auth == ALICE else {}))
