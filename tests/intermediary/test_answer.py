"""How an origin's response comes back: framing, interim responses, trailers, and origins that lie."""

from __future__ import annotations

import pytest

from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, value, values

GET_10 = b"GET / HTTP/1.0\r\nHost: a\r\n"
KEEP = b"Connection: keep-alive\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def lives(stage: Stage, client: object) -> None:
    """The client's connection serves one more request, on a new connection to the origin."""
    from_client = stage.clients[-1]
    assert from_client is client
    from_client.send(GET)
    inner = await stage.origin.accept()
    await inner.receive_until(b"\r\n\r\n")
    inner.send(OK)
    assert status((await answer(from_client))[0]) == 200


@pytest.mark.row("R11", "R12")
def test_version_of_each_side_is_our_own(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked(GET_10 + b"\r\n")
        assert head.startswith(b"GET / HTTP/1.1\r\n")
        inner.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        back, _ = await answer(client)
        assert back.startswith(b"HTTP/1.1 200 OK\r\n")
        assert value(back, b"via") == b"1.0 perdure"

    play(scene)


@pytest.mark.row("R124")
def test_close_of_the_origin_is_not_the_clients_and_the_reverse(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        back, _ = await answer(client)
        assert value(back, b"connection") != b"close"
        assert await inner.at_eof()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        inner = await stage.origin.accept()
        assert value(await inner.receive_until(b"\r\n\r\n"), b"connection") is None
        inner.send(OK)
        back, _ = await answer(client)
        assert value(back, b"connection") == b"close"
        assert await client.at_eof()
        other = await stage.client()
        other.send(GET)
        await inner.receive_until(b"\r\n\r\n")  # the same connection to the origin
        inner.send(OK)
        assert status((await answer(other))[0]) == 200

    play(scene)


@pytest.mark.row("R178", "R181", "R133")
def test_hints_and_proxy_connection_of_the_origin_stay_behind(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=3, max=7\r\n"
            b"Proxy-Connection: close\r\nContent-Length: 2\r\n\r\nok"
        )
        back, _ = await answer(client)
        assert values(back, b"keep-alive") == [b"timeout=75, max=999"]
        assert values(back, b"proxy-connection") == []

    play(scene)


@pytest.mark.row("R51", "R67")
@pytest.mark.parametrize(
    ("method", "response"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_responses_without_content_leave_both_connections_in_step(
    play: Play, method: bytes, response: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        inner.send(response)
        head = await client.receive_until(b"\r\n\r\n")
        assert values(head, b"content-length") == ([b"9"] if b": 9" in response else [])
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert await answer(client)

    play(scene)


def test_small_chunked_response_that_came_at_once_gets_its_length(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")
        assert (await answer(client))[1] == b"ok"

    play(scene)


def test_streamed_response_is_passed_on_as_it_comes(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHUNKED + b"3\r\none\r\n")
        head = await client.receive_until(b"\r\n\r\n")
        assert value(head, b"transfer-encoding") == b"chunked"
        assert await client.receive_exactly(8) == b"3\r\none\r\n"
        inner.send(b"3\r\ntwo\r\n")
        assert await client.receive_exactly(8) == b"3\r\ntwo\r\n"
        inner.send(b"0\r\n\r\n")
        assert await client.receive_exactly(5) == b"0\r\n\r\n"
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


def test_close_delimited_response_is_chunked_for_the_client_who_stays(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
        await client.receive_until(b"5\r\nhello\r\n")
        inner.close()
        await client.receive_until(b"0\r\n\r\n")
        await lives(stage, client)

    play(scene)


@pytest.mark.row("R47", "R170", "R169")
@pytest.mark.parametrize("ending", [b"", b"0\r\n\r\n"])
def test_small_chunked_response_lets_an_http_10_client_stay(play: Play, ending: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(GET_10 + KEEP + b"\r\n")
        inner.send(CHUNKED + b"3\r\none\r\n" + ending)
        if not ending:
            inner.send(b"3\r\ntwo\r\n")
            inner.send(b"0\r\n\r\n")
        head, content = await answer(client)
        assert content == (b"one" if ending else b"onetwo")
        assert value(head, b"connection") == b"keep-alive"
        client.send(GET_10 + KEEP + b"\r\n")
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        assert (await answer(client))[1] == b"ok"

    play(scene)


@pytest.mark.row("R47", "R170")
def test_large_chunked_response_is_close_delimited_for_an_http_10_client(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(GET_10 + KEEP + b"\r\n")
        inner.send(CHUNKED + b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n")
        head = await client.receive_until(b"\r\n\r\n")
        assert values(head, b"transfer-encoding") == values(head, b"content-length") == []
        assert value(head, b"connection") == b"close"
        inner.send(b"0\r\n\r\n")
        assert await client.receive_all() == b"x" * 100_000
        assert not client.reset

    play(scene)


def test_http_10_client_who_will_not_stay_gets_content_as_it_comes(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(GET_10 + b"\r\n")
        inner.send(CHUNKED + b"3\r\none\r\n")
        assert (await client.receive_until(b"one")).endswith(b"\r\n\r\none")
        inner.send(b"0\r\n\r\n")
        assert await client.at_eof()

    play(scene)


@pytest.mark.row("R166", "R164")
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_interim_responses_reach_clients_of_http_11_alone(play: Play, version: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
        inner.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X\r\nX: 1\r\n\r\n")
        if version == b"1.1":
            head = await client.receive_until(b"\r\n\r\n")
            assert head == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        inner.send(OK)
        head, _ = await answer(client)
        assert status(head) == 200

    play(scene)


@pytest.mark.row("R132", "R78")
@pytest.mark.parametrize("wanted", [True, False])
def test_trailers_reach_a_client_that_takes_them(play: Play, wanted: bool) -> None:
    async def scene(stage: Stage) -> None:
        accepts = b"TE: trailers\r\nConnection: TE\r\n" if wanted else b""
        client, inner, head = await stage.asked(b"GET / HTTP/1.1\r\nHost: a\r\n" + accepts + b"\r\n")
        assert values(head, b"te") == ([b"trailers"] if wanted else [])
        assert values(head, b"connection") == ([b"te"] if wanted else [])
        inner.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\n\r\n2\r\nok\r\n"
            b"0\r\nX-Sum: 1\r\nX-Hop: 2\r\nContent-Length: 3\r\n\r\n"
        )
        await client.receive_until(b"2\r\nok\r\n")
        assert await client.receive_until(b"\r\n\r\n") == (
            b"0\r\nX-Sum: 1\r\n\r\n" if wanted else b"0\r\n\r\n"
        )
        client.send(GET)
        await inner.receive_until(b"\r\n\r\n")

    play(scene)


LIES = {
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a huge length": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
    "white space before the colon": b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a coding nobody asked for": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a bad first chunk": CHUNKED + b"2x\r\nok\r\n",
    "a switch nobody asked for": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "a nomination": b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok",
    "half a head and the end": b"HTTP/1.1 200 OK\r\nConte",
}


@pytest.mark.row("R53", "R57", "R66", "R26", "R29", "R74", "R85")
@pytest.mark.parametrize("lie", LIES)
def test_origin_that_lies_gets_a_502_and_the_client_stays(play: Play, lie: str) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(LIES[lie])
        if lie.startswith("half"):
            inner.close()
        head, content = await answer(client)
        assert status(head) == 502
        assert b"502" in content
        error = b"http_response_incomplete" if lie.startswith("half") else b"http_protocol_error"
        said = (value(head, b"proxy-status") or b"").removesuffix(b"; received-status=200")
        assert said == b"perdure; error=" + error
        await inner.receive_all()
        await lives(stage, client)

    play(scene)


@pytest.mark.row("R66")
def test_malformed_length_in_the_response_to_head_is_not_forwarded(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        inner.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n")
        assert status(await client.receive_until(b"\r\n\r\n")) == 502

    play(scene)


@pytest.mark.row("R86", "R60")
@pytest.mark.parametrize("request_octets", [GET, GET_10 + b"\r\n"], ids=["1.1", "1.0"])
@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n",
        CHUNKED + b"9\r\nhalf",
    ],
)
def test_truncation_by_the_origin_is_seen_by_the_client(
    play: Play, cut: bytes, request_octets: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(request_octets)
        inner.send(cut)
        await client.receive_until(b"half")
        inner.close()
        rest = await client.receive_all()
        assert b"0\r\n\r\n" not in rest
        if b"1.0" in request_octets and b"chunked" in cut:  # close-delimited: FIN would say complete
            await client.wait_lost()
            assert client.reset

    play(scene)


def test_truncation_before_an_http_10_client_got_anything_is_a_502(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(GET_10 + KEEP + b"\r\n")
        inner.send(CHUNKED + b"4\r\nhalf\r\n")
        inner.close()
        head, _ = await answer(client)
        assert status(head) == 502
        assert value(head, b"connection") == b"keep-alive"

    play(scene)


@pytest.mark.row("R86")
def test_broken_chunk_in_the_middle_is_seen_by_the_client(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(CHUNKED + b"4\r\nhalf\r\n")
        await client.receive_until(b"half\r\n")
        inner.send(b"oops\r\n")
        assert b"0\r\n\r\n" not in await client.receive_all()

    play(scene)


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x"])
def test_octets_beyond_a_response_never_become_the_next_one(play: Play, surplus: bytes) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(OK + surplus)
        assert (await answer(client))[1] == b"ok"
        await inner.receive_all()
        await lives(stage, client)

    play(scene)


@pytest.mark.row("R49")
def test_http_10_response_with_a_transfer_coding_ends_its_connection_only(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        assert (await answer(client))[1] == b"ok"
        assert await inner.at_eof()
        await lives(stage, client)

    play(scene)


@pytest.mark.row("R182", "R94")
@pytest.mark.parametrize("keeps", [True, False])
def test_http_10_origin_is_reused_only_if_it_says_so(play: Play, keeps: bool) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked()
        inner.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n" + (KEEP if keeps else b"") + b"\r\nok")
        await answer(client)
        client.send(GET)
        if not keeps:
            assert await inner.at_eof()
            inner = await stage.origin.accept()
        await inner.receive_until(b"\r\n\r\n")

    play(scene)
