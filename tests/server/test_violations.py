"""What is not HTTP, ends too early or is too large: the answer, and the end of the connection."""

from __future__ import annotations

import pytest

from perdure.core import Reason
from perdure.wire.network import Network
from tests.server.stand import GET, Gated, answer_from, hello, plain, saying, serving
from tests.wire.conftest import Play

VIOLATIONS = [
    pytest.param(b"garbage\r\n\r\n", 400, id="R9", marks=pytest.mark.row("R9")),
    pytest.param(b"GET / http/1.1\r\nHost: x\r\n\r\n", 400, id="R10", marks=pytest.mark.row("R10")),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\n", 505, id="R10-2", marks=pytest.mark.row("R10")),
    pytest.param(b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="R16", marks=pytest.mark.row("R16")),
    pytest.param(b"GET /" + b"a" * 100000, 414, id="R15", marks=pytest.mark.row("R15")),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="R18-none", marks=pytest.mark.row("R18")),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, id="R18-two", marks=pytest.mark.row("R18")
    ),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, id="R18-bad", marks=pytest.mark.row("R18")),
    pytest.param(b"CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n", 400, id="R22", marks=pytest.mark.row("R22")),
    pytest.param(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, id="R25", marks=pytest.mark.row("R25")),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, id="R28", marks=pytest.mark.row("R28")
    ),
    pytest.param(b"GET / HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n", 400, id="R8", marks=pytest.mark.row("R8")),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400, id="R31", marks=pytest.mark.row("R31")),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400, id="R4", marks=pytest.mark.row("R4")
    ),
    pytest.param(b"GET / HTTP/1.1\nHost: x\n\n", 400, id="R2", marks=pytest.mark.row("R2")),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 100000, 431, id="R33", marks=pytest.mark.row("R33")
    ),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        431,
        id="R33-many",
        marks=pytest.mark.row("R33"),
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo, chunked\r\n\r\n",
        501,
        id="R45",
        marks=pytest.mark.row("R45"),
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        id="R48",
        marks=pytest.mark.row("R48"),
    ),
    pytest.param(
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        id="R49",
        marks=pytest.mark.row("R49"),
    ),
    *[
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: %b\r\n\r\n0\r\n\r\n" % coding,
            400,
            id=f"R54-{coding.decode()}",
            marks=pytest.mark.row("R54"),
        )
        for coding in (
            b"chunked, gzip",
            b"gzip",
            b"identity",
            b"xchunked",
            b"chunked, chunked",
            b"chunked;q=1",
        )
    ],
    *[
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\nhello" % length,
            400,
            id=f"R56-{length.decode('latin-1')}",
            marks=pytest.mark.row("R56", "R65"),
        )
        for length in (
            b"+5",
            b"-1",
            b"0x5",
            b"5 5",
            b"5;",
            b"",
            b"5, 6",
            b"5\r\nContent-Length: 6",
            b"9" * 20,
            b"\xef\xbc\x95",
        )
    ],
    *[
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
            400,
            id=f"R73-{chunks[:12]!r}",
            marks=pytest.mark.row("R72", "R73", "R74", "R75", "R77"),
        )
        for chunks in (
            b"0x5\r\nhello\r\n",
            b"5\nhello\r\n",
            b"5\r\nhelloXX",
            b"F" * 17 + b"\r\n",
            b"5;\x00\r\nhello\r\n",
        )
    ],
]


@pytest.mark.parametrize(("octets", "status"), VIOLATIONS)
def test_what_is_not_http_is_answered_and_ends_the_connection(play: Play, octets: bytes, status: int) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer, _ = await stand.ask()
            peer.send(octets + GET)
            answer = await answer_from(peer)
            assert (answer.status, answer.options) == (status, {b"close"})
            assert await peer.at_eof(), "FIN after the answer, and nothing that follows is served"

    play(scene)


@pytest.mark.row("R32")
def test_nothing_happens_before_the_whole_head_arrived(play: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated) as stand:
            peer = await stand.dial()
            for octet in GET[:-1]:
                peer.send(bytes([octet]))
            peer.half_close()
            assert (await answer_from(peer)).status == 400
            assert await peer.at_eof()
            assert gated.began == []

    play(scene)


@pytest.mark.row("R60", "R87")
def test_content_that_ends_too_early_is_no_request(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
            peer.half_close()
            answer = await answer_from(peer)
            assert (answer.status, answer.options) == (400, {b"close"})
            assert await peer.at_eof()
            assert await stand.closes() == {Reason.INCOMPLETE: 1}

    play(scene)


@pytest.mark.row("R153", "R120")
@pytest.mark.parametrize("framing", [b"Content-Length: 50000000", b"Transfer-Encoding: chunked"])
def test_a_client_that_uploads_too_much_reads_the_413(play: Play, framing: bytes) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello, max_body=1000, linger_idle=0.5) as stand:
            peer = await stand.dial()
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
            peer.send(b"10000\r\n" + b"u" * 2000000)
            answer = await answer_from(peer)
            assert (answer.status, answer.options) == (413, {b"close"})

    play(scene)


@pytest.mark.row("R120")
def test_junk_after_a_close_does_not_destroy_the_response(play: Play) -> None:
    async def scene(network: Network) -> None:
        body = b"b" * 300000
        async with serving(network, saying(*plain(body)), linger_idle=0.5) as stand:
            peer = await stand.dial()
            peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + b"j" * 1000000)
            assert (await answer_from(peer)).content == body

    play(scene)
