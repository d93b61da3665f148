"""One request and its response: the same behaviour in memory, on asyncio, on uvloop and blocking."""

from __future__ import annotations

import pytest

import perdure
from perdure.client.decoding import ACCEPT_ENCODING
from perdure.core.reason import Reason
from perdure.wire.scripted import FIN, RST, Exactly, Pause, Script, Sign, Until
from tests.client.conftest import BLANK, Peer, Perform, Stage, answer, last_words, says

HELLO = answer(b"hello")
CHUNKED_OK = b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
INJECTED = answer(b"injected")


# --- persistence ---------------------------------------------------------------------------


@pytest.mark.row("R91", "R93", "R5", "R17", "R7", "R14", "S6", "S8")
def test_requests_follow_each_other_on_one_connection_without_an_octet_between(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for use in (1, 2, 3):
            response = await stage.ask(path="/a?b=%2f")
            assert (response.status, response.content, response.http_version) == (200, b"hello", "HTTP/1.1")
            assert response.connection.uses == use
            assert response.connection.reused == (use > 1)
            assert response.connection.ends is None
        host = response.url.removeprefix("http://").partition("/")[0].encode()
        version = perdure.Client().settings.http_version.encode()
        one = (
            b"GET /a?b=%2f HTTP/" + version + b"\r\nHost: " + host + b"\r\n"
            b"User-Agent: perdure/0.1.0\r\nAccept: */*\r\nAccept-Encoding: " + ACCEPT_ENCODING + BLANK
        )
        assert stage.heard() == 3 * one
        assert stage.connections == 1

    perform(scene, says(HELLO, HELLO, HELLO))


@pytest.mark.row("R92", "R99", "R119", "R36", "S16")
@pytest.mark.parametrize(
    "field",
    [
        b"Connection: close",
        b"connection: keep-alive, Close",
        b"Connection: ,, close ,",
        b"Connection:\r\n close",
    ],
)
def test_after_a_close_option_the_connection_is_not_used_again(perform: Perform, field: bytes) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert response.connection.ends is Reason.CLOSE_RECEIVED
        await stage.until(lambda: stage.ended(0))
        assert (await stage.ask()).connection.uses == 1
        assert stage.connections == 2
        assert stage.heard(0).count(b"GET") == 1

    perform(scene, says(answer(b"one", field)), says(HELLO))


@pytest.mark.row("R123", "R92")
def test_what_is_not_the_close_option_closes_nothing(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask()).connection.ends is None
        assert (await stage.ask()).connection.reused

    perform(scene, says(answer(b"one", b"Connection: something-close", b"Close: yes"), HELLO))


@pytest.mark.row("R95", "R99", "R169", "R182", "S1")
def test_http_10_without_keep_alive_is_not_used_again_though_it_stays_open(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert response.http_version == "HTTP/1.0"
        assert response.connection.ends is Reason.HTTP_10
        await stage.until(lambda: stage.ended(0))
        await stage.ask()
        assert stage.connections == 2

    perform(scene, says(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), says(HELLO))


@pytest.mark.row("S2", "R94", "R182", "R169")
def test_the_keep_alive_handshake_of_http_10(perform: Perform) -> None:
    old = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"

    async def scene(stage: Stage) -> None:
        for reused in (False, True):
            assert (await stage.ask()).connection.reused is reused
        assert (await stage.ask()).connection.ends is Reason.HTTP_10
        await stage.ask()
        assert stage.connections == 2
        heard = stage.heard(0)
        assert heard.count(b" HTTP/1.0\r\n") == heard.count(b"Connection: keep-alive\r\n") == 3

    without = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    perform(scene, says(old, old, without), says(old), http_version="1.0")


@pytest.mark.row("R97", "R116", "R115")
def test_without_persistence_every_request_says_close_and_ends_its_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for number in (0, 1):
            response = await stage.ask()
            assert response.connection.ends is Reason.CLOSE_SENT
            await stage.until(lambda number=number: stage.ended(number))  # type: ignore[misc]  # a default
            assert stage.heard(number).count(b"\r\nConnection: close\r\n") == 1

    perform(scene, says(HELLO), says(HELLO), persist=False)


@pytest.mark.row("R115", "R116")
def test_the_last_request_that_a_limit_allows_says_close(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask()).connection.ends is None
        assert (await stage.ask()).connection.ends is Reason.MAX_REQUESTS
        assert (await stage.ask()).connection.uses == 1
        assert stage.heard(0).count(b"Connection: close") == 1

    perform(scene, says(HELLO, HELLO), says(HELLO), max_requests=2)


# --- a server that lies about its length ---------------------------------------------------


@pytest.mark.row("R64", "R90", "S5")
@pytest.mark.parametrize("framed", [b"Content-Length: 2\r\n\r\nok", CHUNKED_OK])
def test_octets_beyond_a_response_never_answer_the_next_request(perform: Perform, framed: bytes) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert response.content == b"ok"
        assert response.connection.ends is Reason.SURPLUS_OCTETS
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2

    perform(scene, last_words(b"HTTP/1.1 200 OK\r\n" + framed + INJECTED), says(HELLO))


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize(
    "unasked", [INJECTED, b"x", b"\r\n\r\n\r\n", b"HTTP/1.1 408 Request Timeout\r\n\r\n"]
)
def test_octets_on_an_idle_connection_end_it_in_silence(perform_in_time: Perform, unasked: bytes) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Pause(1.0)
        yield unasked

    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.pass_time(2.0)
        response = await stage.ask("POST", content=b"x")
        assert response.content == b"hello"
        assert not response.connection.reused
        assert stage.connections == 2
        reason = Reason.IDLE_408 if b"408" in unasked else Reason.SURPLUS_OCTETS
        assert stage.statistics().closes == {reason: 1}

    perform_in_time(scene, peer, posts(HELLO))


def posts(octets: bytes) -> Peer:
    """A peer that answers one request with one octet of content."""

    def peer() -> Script:
        yield Until(BLANK)
        yield Exactly(1)
        yield octets

    return peer


def test_a_stray_line_end_after_a_response_is_swallowed(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        assert (await stage.ask()).connection.reused

    perform(scene, says(HELLO + b"\r\n", HELLO))


CUT_SHORT = [
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
]


@pytest.mark.row("R60", "R85", "R183", "S5")
@pytest.mark.parametrize("octets", CUT_SHORT)
@pytest.mark.parametrize("sign", [FIN, RST])
def test_a_response_that_breaks_off_is_an_error_and_its_connection_gone(
    perform: Perform, octets: bytes, sign: Sign
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.ReadError) as caught:
            await stage.ask()
        error = caught.value
        assert (error.request_sent, error.reused, error.uses) == ("wholly", True, 2)
        assert error.reason in (Reason.INCOMPLETE, Reason.PEER_RESET)
        assert (await stage.ask()).connection.uses == 1
        assert stage.statistics().leased == 0

    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Until(BLANK)
        yield octets
        yield Pause(0.01)
        yield sign

    perform(scene, peer, says(HELLO))


@pytest.mark.row("R58", "R65", "R73", "R75", "R10", "S5")
@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
    ],
)
def test_a_response_that_cannot_be_read_is_an_error_and_its_connection_gone(
    perform: Perform, octets: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.RemoteProtocolError):
            await stage.ask()
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2

    perform(scene, last_words(octets), says(HELLO))


@pytest.mark.row("R55", "R49")
@pytest.mark.parametrize(
    ("octets", "content", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nall of it", b"all of it", Reason.CLOSE_DELIMITED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzip", b"zip", Reason.CLOSE_DELIMITED),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED_OK,
            b"ok",
            Reason.FAULTY_FRAMING,
        ),
    ],
)
def test_framing_that_does_not_persist(
    perform: Perform, octets: bytes, content: bytes, reason: Reason
) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert response.content == content
        assert response.connection.ends is reason

    perform(scene, last_words(octets, FIN))


@pytest.mark.row("R51", "R84", "R78", "R40")
def test_responses_that_end_at_the_blank_line_whatever_they_say(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask("HEAD")).headers["content-length"] == "10"
        assert (await stage.ask()).status == 204
        assert (await stage.ask()).status == 304
        response = await stage.ask()
        assert response.content == b"ok"
        assert "transfer-encoding" in response.headers
        assert [line.name for line in response.trailers] == [b"Content-Length"]
        assert (await stage.ask()).connection.uses == 5

    perform(
        scene,
        says(
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
            b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n",
            HELLO,
        ),
    )


@pytest.mark.row("R165", "R24")
def test_interim_responses_come_before_the_final_one(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask()
        assert [interim.status for interim in response.interims] == [100, 102, 103]
        assert response.content == b"hello"
        assert (await stage.ask()).connection.reused

    interims = (
        b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 102 x\r\nConnection: close\r\n\r\nHTTP/1.1 103 y\r\nLink: <a>\r\n\r\n"
    )
    perform(scene, says(interims + HELLO, HELLO))
