"""Request content: how it is framed, sent, and stopped; on all stages."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import perdure
from perdure.client.content import Content
from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, FIN, RST, Exactly, Script, Sign, Until
from tests.client.conftest import BLANK, Peer, Perform, Stage, answer, says

HELLO = answer(b"hello")


FORM = b"application/x-www-form-urlencoded"


def body_of(heard: bytes) -> bytes:
    return heard.partition(BLANK)[2]


def takes(octets: int, *answers: bytes) -> Peer:
    """A peer that answers requests with so many octets of content each."""

    def peer() -> Script:
        for response in answers:
            yield Until(BLANK)
            yield Exactly(octets)
            yield response

    return peer


@pytest.mark.row("R63", "R5", "R37")
@pytest.mark.parametrize(
    ("options", "content", "media_type"),
    [
        ({"content": b"octets"}, b"octets", None),
        ({"content": "text é"}, "text é".encode(), None),
        ({"content": bytearray(b"array")}, b"array", None),
        ({"content": io.BytesIO}, b"file", None),
        ({"content": [b"li", b"st"]}, b"list", None),
        ({"json": {"a": [1, None, "é"]}}, '{"a":[1,null,"é"]}'.encode(), b"application/json"),
        (
            {"data": {"a": "1 &", "b": [True, None]}},
            b"a=1+%26&b=true&b=",
            b"application/x-www-form-urlencoded",
        ),
    ],
)
def test_content_of_a_known_length_says_it(
    perform: Perform, options: dict[str, object], content: bytes, media_type: bytes | None
) -> None:
    async def scene(stage: Stage) -> None:
        for connection_uses in (1, 2):
            fresh = {"content": io.BytesIO(content)} if options == {"content": io.BytesIO} else options
            response = await stage.ask("PUT", **fresh)
            assert response.connection.uses == connection_uses
        heard = stage.heard()
        assert heard.count(b"Content-Length: %d\r\n" % len(content)) == 2
        assert body_of(heard).startswith(content)
        assert (b"Content-Type: %b\r\n" % media_type in heard) if media_type else b"Content-Type" not in heard

    perform(scene, takes(len(content), HELLO, HELLO))


@pytest.mark.row("R63")
def test_no_content_is_said_where_content_is_expected(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask("POST")
        await stage.ask("GET")
        heard = stage.heard()
        assert heard.count(b"Content-Length: 0\r\n") == 1
        assert heard.index(b"Content-Length") < heard.index(b"GET")

    perform(scene, says(HELLO, HELLO))


def pieces() -> Iterator[bytes]:
    yield b"one "
    yield b""
    yield b"two"


@pytest.mark.row("R46")
def test_content_is_chunked_for_an_unknown_server_where_the_caller_says_that_it_takes_chunks(
    perform: Perform,
) -> None:
    """RFC 9112 §6.1: such knowledge may be the user's own."""

    async def scene(stage: Stage) -> None:
        headers = {"Transfer-Encoding": "chunked"}
        response = await stage.ask("POST", content=iter([b"one", b"two"]), headers=headers)
        assert response.status == 200
        await stage.until(lambda: stage.heard().endswith(b"0\r\n\r\n"))
        head, _, content = stage.heard().partition(BLANK)
        assert head.count(b"Transfer-Encoding: chunked") == 1
        assert content == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

    def peer() -> Script:
        yield Until(b"0\r\n\r\n")
        yield answer()
        yield CLIENT_END

    perform(scene, peer)


@pytest.mark.row("R46", "R63", "R41")
def test_content_of_unknown_length_is_gathered_for_an_unknown_server_and_chunked_for_a_known_one(
    perform: Perform,
) -> None:
    chunked = b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"

    def peer() -> Script:
        yield Until(BLANK)
        yield Exactly(len(chunked))
        yield HELLO

    async def scene(stage: Stage) -> None:
        await stage.ask("PUT", content=pieces())
        first = stage.heard()
        assert b"Content-Length: 7\r\n" in first
        assert b"Transfer-Encoding" not in first
        await stage.ask("PUT", content=pieces())  # cannot be repeated: on a fresh connection
        assert b"Transfer-Encoding: chunked\r\n" in stage.heard(1)
        assert body_of(stage.heard(1)) == chunked

    perform(scene, takes(7, HELLO), peer)


@pytest.mark.row("R46")
def test_a_server_that_speaks_http_10_is_never_sent_chunks(perform: Perform) -> None:
    old = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"

    async def scene(stage: Stage) -> None:
        await stage.ask("PUT", content=pieces())
        await stage.ask("PUT", content=pieces())
        for connection in (0, 1):
            assert b"Content-Length: 7\r\n" in stage.heard(connection)

    perform(scene, takes(7, old), takes(7, old))


@pytest.mark.row("R46")
def test_too_much_content_of_unknown_length_is_refused_before_anything_is_sent(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.LocalProtocolError, match="Content-Length") as caught:
            await stage.ask("PUT", content=(bytes(100) for _ in range(20)))
        assert caught.value.request_sent == "no"
        assert stage.connections == 0
        content = (bytes(100) for _ in range(20))
        response = await stage.ask("PUT", content=content, headers={"Content-Length": "2000"})
        assert response.status == 200
        assert len(body_of(stage.heard())) == 2000

    perform(scene, takes(2000, HELLO), buffer_octets=1000)


@pytest.mark.row("R37", "R66")
@pytest.mark.parametrize("said", ["6", "8"])
def test_content_that_is_not_what_its_head_said_ends_the_connection(perform: Perform, said: str) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.LocalProtocolError, match="Content-Length"):
            await stage.ask("PUT", content=pieces(), headers={"Content-Length": said})
        if stage.connections:
            await stage.until(lambda: stage.ended(0))
        assert stage.statistics().leased == 0

    perform(scene, takes(100))


def test_a_source_that_fails_leaves_nothing_behind(perform: Perform) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("the source")

    async def scene(stage: Stage) -> None:
        with pytest.raises(KeyError, match="the source"):
            await stage.ask("PUT", content=broken(), headers={"Content-Length": "9"})
        await stage.until(lambda: stage.ended(0))
        assert stage.statistics().leased == 0
        assert stage.statistics().connections == 0

    perform(scene, takes(100))


def test_content_from_an_asynchronous_iterator(perform_on_loop: Perform) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    async def scene(stage: Stage) -> None:
        await stage.ask("PUT", content=source())
        assert body_of(stage.heard()) == b"one two"

    perform_on_loop(scene, takes(7, HELLO))


# --- early responses -----------------------------------------------------------------------

MEBIBYTE = 1 << 20


@pytest.mark.row("R113")
def test_sending_stops_when_an_early_response_says_close(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield Exactly(65536)
        yield b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", content=bytes(64 * MEBIBYTE))
        assert (response.status, response.content) == (413, b"big")
        assert response.connection.ends is Reason.CLOSE_RECEIVED
        await stage.until(lambda: stage.ended(0))
        assert len(stage.heard()) < 24 * MEBIBYTE
        assert stage.statistics().connections == 0

    perform(scene, peer)


@pytest.mark.row("R114")
def test_sending_goes_on_after_an_early_response_without_close(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield Exactly(65536)
        yield HELLO
        yield Exactly(4 * MEBIBYTE - 65536)
        yield Until(BLANK)
        yield HELLO

    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", content=bytes(4 * MEBIBYTE))
        assert response.content == b"hello"
        assert response.connection.ends is None
        assert (await stage.ask()).connection.reused
        assert len(stage.heard()) > 4 * MEBIBYTE

    perform(scene, peer)


@pytest.mark.row("R113", "R111")
@pytest.mark.parametrize("sign", [FIN, RST])
def test_a_peer_that_leaves_during_the_upload_is_an_error_and_not_asked_twice(
    perform: Perform, sign: Sign
) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield Exactly(65536)
        yield sign
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        with pytest.raises((perdure.NoResponse, perdure.WriteError)) as caught:
            await stage.ask("PUT", content=bytes(16 * MEBIBYTE))
        assert caught.value.request_sent == "partly"
        assert stage.connections == 1

    perform(scene, peer)


# --- 100-continue --------------------------------------------------------------------------


@pytest.mark.row("R157", "R165")
def test_content_waits_for_100_continue(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        yield Exactly(5)
        yield HELLO

    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", content=b"12345", headers={"Expect": "100-continue"})
        assert response.content == b"hello"
        assert response.connection.ends is None
        assert body_of(stage.heard()) == b"12345"

    perform(scene, peer, continue_timeout=1000.0)


@pytest.mark.row("R157")
def test_content_is_sent_when_nobody_answers_the_expectation(perform_in_time: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", content=b"12345", headers={"Expect": "100-continue"})
        assert response.content == b"hello"

    perform_in_time(scene, takes(5, HELLO))


@pytest.mark.row("R157")
def test_a_final_response_to_the_expectation_keeps_the_content_back(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", content=b"12345", headers={"Expect": "100-continue"})
        assert response.status == 401
        assert response.connection.ends is Reason.EARLY_RESPONSE
        await stage.until(lambda: stage.ended(0))
        assert body_of(stage.heard()) == b""

    perform(scene, says(answer(b"", status=b"401 Unauthorized")), continue_timeout=1000.0)


def test_a_refused_expectation_costs_no_upload(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask("PUT", content=bytes(1000), expect_continue=True)
        assert response.status == 417
        assert stage.heard().endswith(b"\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
        fine = await stage.ask("GET", expect_continue=True)
        assert (fine.status, b"Expect" in stage.heard(1)) == (200, False)

    refused = answer(b"", status=b"417 Expectation Failed")
    perform(scene, says(refused), says(answer(b"")), continue_timeout=1000.0)


def test_a_file_of_text_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some text", encoding="utf-8")
    with (
        (tmp_path / "text").open(encoding="utf-8") as file,
        pytest.raises(TypeError, match="opened with 'rb'"),
    ):
        Content(file)  # type: ignore[arg-type]  # as a caller may


def test_whatever_reads_text_comes_to_an_end() -> None:
    class Reader:
        def __init__(self) -> None:
            self.left = ["some", "text"]

        def read(self, octets: int) -> str:
            return self.left.pop(0) if self.left else ""

    content = Content(Reader())  # type: ignore[arg-type]  # as a caller may
    content.start()
    assert [content.pull(), content.pull(), content.pull()] == [b"some", b"text", None]
