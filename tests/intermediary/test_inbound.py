"""What a gateway answers itself, and how it serves clients that pipeline, loop or attack."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from perdure.core import Request, Response, make_line
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.failures import Row
from perdure.intermediary.origins import Destinations, OriginServer, Refused
from perdure.wire.raw import RawPeer
from tests.intermediary.conftest import GET, OK, POST, Play, Stage, answer, status, value, values

CRITICAL = [b"Host", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"Cookie", b"X-Forwarded-For"]


@pytest.mark.row("R131", "R132", "R35", "R34", "S11")
def test_head_arrives_as_it_should(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        _, _, head = await stage.asked(
            b"GET /a//b/%2e%2e/?x=%2f HTTP/1.1\r\nHost: example.test\r\nConnection: X-Hop, close\r\n"
            b"X-Hop: 1\r\nX-Unknown: 1\r\nX-A: 1\r\nX-A: 2\r\nKeep-Alive: timeout=1\r\n"
            b"Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
        )
        via = value(head, b"via")
        assert via is not None
        assert via.startswith(b"1.1 perdure (")
        assert head.replace(via, b"VIA") == (
            b"GET /a//b/%2e%2e/?x=%2f HTTP/1.1\r\nHost: example.test\r\nX-Unknown: 1\r\nX-A: 1\r\nX-A: 2\r\n"
            b"Via: VIA\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
            b"X-Forwarded-Host: example.test\r\n\r\n"
        )

    play(scene)


@pytest.mark.row("R135")
@pytest.mark.parametrize("name", CRITICAL)
def test_nomination_of_what_must_not_be_removed_is_answered_400_and_ends(play: Play, name: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + name + b"\r\n\r\n" + GET)
        head, _ = await answer(client)
        assert status(head) == 400
        assert value(head, b"connection") == b"close"
        assert value(head, b"proxy-status") == b"perdure; error=http_request_error"
        assert await client.at_eof()
        assert not stage.origin.peers

    play(scene, linger_idle=0.1)


@pytest.mark.row("R48", "R53", "R54")
@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: +5\r\n",
    ],
)
def test_smuggling_ends_at_the_gateway(play: Play, framing: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n0\r\n\r\n" + GET)
        head, _ = await answer(client)
        assert status(head) == 400
        assert await client.at_eof()
        assert not stage.origin.peers

    play(scene, linger_idle=0.1)


@pytest.mark.row("R107", "R103")
def test_pipelined_requests_are_served_one_by_one_in_order_on_one_connection(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"".join(GET.replace(b"/ ", b"/%d " % number) for number in range(5)))
        inner = await stage.origin.accept()
        for number in range(5):
            head = await inner.receive_until(b"\r\n\r\n")
            assert head.startswith(b"GET /%d " % number)
            assert len(inner.received) == inner.received.find(b"GET /%d " % number) + len(head)
            inner.send(OK.replace(b"ok", b"%02d" % number))
        for number in range(5):
            assert (await answer(client))[1] == b"%02d" % number
        assert len(stage.origin.peers) == 1

    play(scene)


@pytest.mark.row("R107")
def test_pipelined_responses_that_came_are_delivered_before_the_failure(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(GET * 3)
        inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        inner.close()
        assert (await answer(client))[1] == b"ok"
        assert (await client.receive_all()).endswith(b"\r\n\r\nhalf")

    play(scene, linger_idle=0.1)


@pytest.mark.row("R168")
def test_connect_is_refused_and_its_connection_ends(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + GET)
        head, _ = await answer(client)
        assert status(head) == 501
        assert await client.at_eof()
        assert not stage.origin.peers

    play(scene, linger_idle=0.1)


@pytest.mark.row("R146")
def test_upgrade_that_is_not_allowed_is_not_offered_to_the_origin_and_the_exchange_goes_on(
    play: Play,
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        assert values(head, b"upgrade") == values(head, b"connection") == []
        inner.send(OK)
        await answer(client)
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


@pytest.mark.row("R138")
def test_max_forwards_0_is_answered_here_and_the_connection_lives(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(b"TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nCookie: c\r\n\r\n")
        head, content = await answer(client)
        assert value(head, b"content-type") == b"message/http"
        assert content == b"TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nContent-Length: 3\r\n\r\nabc")
        assert status((await answer(client))[0]) == 200
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n")
        inner = await stage.origin.accept()
        head = await inner.receive_until(b"\r\n\r\n")
        assert head.startswith(b"OPTIONS * HTTP/1.1\r\n")
        assert value(head, b"max-forwards") == b"0"

    play(scene)


@pytest.mark.row("R71", "R138")
@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n", 400),
    ],
)
def test_wrong_trace_is_refused(play: Play, octets: bytes, code: int) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(octets)
        assert status((await answer(client))[0]) == code

    play(scene)


@pytest.mark.row("R163")
@pytest.mark.parametrize("expectation", [b"foo", b"100-continue, foo", b"y 100-continue"])
def test_expectation_that_is_not_known_is_not_passed_on(play: Play, expectation: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(POST.replace(b"Host", b"Expect: " + expectation + b"\r\nHost"))
        assert status((await answer(client))[0]) == 417
        assert not stage.origin.peers

    play(scene)


def test_each_request_of_a_connection_is_forwarded_with_its_own_fields(play: Play) -> None:
    requests = [
        b"GET /1 HTTP/1.1\r\nHost: a\r\nCookie: u=1\r\n\r\n",
        b"GET /2 HTTP/1.1\r\nHost: a\r\nCookie: u=1\r\n\r\n",
        b"GET /3 HTTP/1.1\r\nHost: a\r\nCookie: u=2\r\n\r\n",
        b"DELETE /4 HTTP/1.1\r\nHost: a\r\nCookie: u=2\r\n\r\n",
        b"GET http://b/5 HTTP/1.1\r\nHost: a\r\nCookie: u=2\r\n\r\n",
        b"GET /6 HTTP/1.1\r\nHost: a\r\nCookie: u=2\r\n\r\n",
    ]
    responses = [
        b"HTTP/1.1 %d X\r\nDate: then\r\nSet-Cookie: u=%d\r\nContent-Length: 0\r\n\r\n" % (200 + n, n // 2)
        for n in range(len(requests))
    ]

    async def scene(stage: Stage) -> None:
        client = await stage.client()
        inner: RawPeer | None = None
        for number, octets in enumerate(requests):
            client.send(octets)
            inner = inner or await stage.origin.accept()
            head = await inner.receive_until(b"\r\n\r\n")
            assert head.partition(b" HTTP")[0] == octets.partition(b" HTTP")[0].replace(b"http://b", b"")
            assert value(head, b"host") == (b"b" if b"http:" in octets else b"a")
            assert value(head, b"x-forwarded-host") == value(head, b"host")
            assert value(head, b"cookie") == octets.partition(b"Cookie: ")[2].strip()
            assert len(values(head, b"via")) == len(values(head, b"x-forwarded-for")) == 1
            inner.send(responses[number])
            back, _ = await answer(client)
            assert back.startswith(b"HTTP/1.1 %d X\r\n" % (200 + number))
            assert value(back, b"set-cookie") == b"u=%d" % (number // 2)
            assert value(back, b"via") == b"1.1 perdure"

    play(scene)


@pytest.mark.row("R137")
def test_request_that_comes_back_is_answered_508(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked()
        back = await stage.client()
        back.send(head)
        head, _ = await answer(back)
        assert status(head) == 508
        assert value(head, b"proxy-status") == b"perdure; error=proxy_loop_detected"
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene)


@pytest.mark.row("R19", "R142")
def test_absolute_form_is_turned_into_origin_form(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        _, _, head = await stage.asked(b"GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n")
        assert head.startswith(b"GET /x?y HTTP/1.1\r\nHost: b:81\r\n")

    play(scene)


def test_origin_sees_its_own_name_where_that_is_wanted(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        _, _, head = await stage.asked()
        assert value(head, b"host") == b"%b:%d" % (stage.origin.host.encode(), stage.origin.port)
        assert value(head, b"x-forwarded-host") == b"a"

    play(scene, host="origin")


def test_hook_changes_what_crosses_after_stripping(play: Play) -> None:
    def on_request(head: Request) -> None:
        assert not [line for line in head.fields if line.lowered == b"x-hop"]
        head.fields = [*head.fields, make_line(b"X-User", b"u")]

    async def scene(stage: Stage) -> None:
        _, _, head = await stage.asked(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, X-User\r\nX-Hop: 1\r\nX-User: forged\r\n\r\n"
        )
        assert values(head, b"x-user") == [b"u"]

    play(scene, on_request=on_request)


def test_hook_may_answer_itself_or_fail_and_the_client_stays(play: Play) -> None:
    def on_request(head: Request) -> Response | None:
        if head.target == b"/fails":
            raise KeyError(head.target)
        return Response(403) if head.target == b"/no" else None

    async def ask(client: RawPeer, target: bytes) -> int:
        client.send(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        return status((await answer(client))[0])

    async def scene(stage: Stage) -> None:
        client = await stage.client()
        assert await ask(client, b"/no") == 403
        assert await ask(client, b"/fails") == 500
        client.send(GET)
        await (await stage.origin.accept()).receive_until(b"\r\n\r\n")

    play(scene, on_request=on_request)


def test_request_hook_that_breaks_the_length_is_found_out_before_anything_is_sent(play: Play) -> None:
    def on_request(head: Request) -> None:
        head.fields = [*head.fields, make_line(b"Content-Length", b"3")]

    async def scene(stage: Stage) -> None:
        client = await stage.client()
        client.send(GET)
        head, _ = await answer(client)
        assert (status(head), value(head, b"proxy-status")) == (500, b"perdure; error=proxy_internal_error")
        assert not any(peer.received for peer in stage.origin.peers)

    play(scene, on_request=on_request)


def test_response_hook_that_fails_is_our_fault(play: Play) -> None:
    def on_response(head: Response) -> None:
        raise KeyError(head.status)

    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(OK)
        head, _ = await answer(client)
        assert (status(head), value(head, b"proxy-status")) == (
            500,
            b"perdure; error=proxy_internal_error; received-status=200",
        )

    play(scene, on_response=on_response)


def test_response_hook_that_breaks_the_length_is_found_out(play: Play) -> None:
    def on_response(head: Response) -> None:
        head.fields = [make_line(b"Content-Length", b"3")]

    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(OK)
        assert status((await answer(client))[0]) == 502

    play(scene, on_response=on_response)


class NobodyFor:
    """Destinations that refuse one path."""

    def __init__(self, path: bytes, others: Destinations) -> None:
        self.path = path
        self.others = others

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        if request.target == self.path:
            raise Refused(Row(403, "destination_ip_prohibited", "not there"), [make_line(b"X-Why", b"so")])
        return self.others.choose(request, hop)

    def another(self, origin: OriginServer, tried: Collection[OriginServer]) -> OriginServer | None:
        return None


@pytest.mark.parametrize("known", [False, True], ids=["a new head", "a head like the one before"])
def test_request_that_nobody_is_to_be_asked_is_answered_here_and_the_connection_persists(
    play: Play, known: bool
) -> None:
    async def scene(stage: Stage) -> None:
        shared = stage.gateway._shared
        shared.destinations = NobodyFor(b"/no", shared.destinations)
        client, inner = await stage.warmed() if known else (await stage.client(), None)
        client.send(GET.replace(b" / ", b" /no "))
        head, content = await answer(client)
        assert (status(head), value(head, b"x-why")) == (403, b"so")
        assert value(head, b"proxy-status") == b"perdure; error=destination_ip_prohibited"
        assert content.endswith(b": not there\n")
        client.send(GET)
        inner = inner or await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert status((await answer(client))[0]) == 200

    play(scene)
