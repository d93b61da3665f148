"""Responses read piece by piece, and abandoned ones: on all stages."""

from __future__ import annotations

import gzip

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, FIN, Exactly, Pause, Script, Until
from tests.client.conftest import BLANK, Perform, Stage, answer, says

HELLO = answer(b"hello")
MEBIBYTE = 1 << 20


async def read(stage: Stage, path: str = "/") -> bytes:
    async with stage.stream(path=path) as streamed:
        return b"".join([piece async for piece in streamed.pieces()])


@pytest.mark.row("R91", "R40")
def test_a_streamed_response_keeps_its_connection_once_it_is_read(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        assert await read(stage) == bytes(3 * MEBIBYTE)
        assert (await stage.ask()).connection.reused

    perform(scene, says(answer(bytes(3 * MEBIBYTE)), HELLO))


@pytest.mark.row("R101")
def test_a_little_rest_of_an_abandoned_response_is_read_and_the_connection_kept(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as streamed:
            assert streamed.response.status == 200
        assert streamed.response.connection.ends is None
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 1

    perform(scene, says(answer(bytes(60000)), HELLO))


@pytest.mark.row("R101")
def test_much_left_of_an_abandoned_response_ends_the_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as streamed:
            async for piece in streamed.pieces():
                assert piece
                break
        assert streamed.response.connection.ends is Reason.ABANDONED
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2

    perform(scene, says(answer(bytes(MEBIBYTE))), says(HELLO))


@pytest.mark.row("R101")
def test_a_rest_that_does_not_come_soon_ends_the_connection(perform_in_time: Perform) -> None:
    def slow() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
        yield Pause(1.0)
        yield b"hello"
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        async with stage.stream():
            pass
        assert stage.statistics().closes == {Reason.ABANDONED: 1}
        assert (await stage.ask()).content == b"hello"

    perform_in_time(scene, slow, says(HELLO))


@pytest.mark.row("R101", "R183")
def test_an_exception_of_the_caller_ends_the_exchange(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(KeyError):
            async with stage.stream():
                raise KeyError
        assert stage.statistics().leased == 0
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2

    perform(scene, says(answer(bytes(MEBIBYTE))), says(HELLO))


@pytest.mark.row("R60", "R85")
def test_a_stream_that_breaks_off_says_so_after_what_came(perform: Perform) -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
        yield FIN
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        came = [b""]

        async def read_all() -> None:
            async with stage.stream() as streamed:
                async for piece in streamed.pieces():
                    came[0] += piece

        with pytest.raises(perdure.ResponseIncomplete):
            await read_all()
        assert came == [b"hello"]
        assert stage.statistics().connections == 0

    perform(scene, peer)


def test_content_is_read_once(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as streamed:
            assert [piece async for piece in streamed.pieces()] == [b"hello"]
            with pytest.raises(perdure.ResponseConsumed):
                [piece async for piece in streamed.pieces()]
            with pytest.raises(perdure.ResponseConsumed):
                _ = streamed.response.content

    perform(scene, says(HELLO))


@pytest.mark.row("R40")
def test_gzip_is_undone_in_pieces_and_whole(perform: Perform) -> None:
    plain = bytes(range(256)) * 4096
    packed = answer(gzip.compress(plain), b"Content-Encoding: gzip")

    async def scene(stage: Stage) -> None:
        assert await read(stage) == plain
        assert (await stage.ask()).content == plain

    perform(scene, says(packed, packed))


@pytest.mark.row("R114")
def test_content_is_sent_while_the_response_is_read(perform: Perform) -> None:
    octets = 8 * MEBIBYTE

    def echo() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % octets
        for _ in range(octets // MEBIBYTE):
            yield (yield Exactly(MEBIBYTE))

    async def scene(stage: Stage) -> None:
        content = bytes(octets)
        received = 0
        async with stage.stream("PUT", content=content) as streamed:
            async for piece in streamed.pieces():
                received += len(piece)
        assert received == octets
        assert streamed.response.connection.ends is None

    perform(scene, echo)


def test_text_and_lines_are_read_as_they_come(perform: Perform) -> None:
    content = "eins\r\nzwei\nß".encode()

    async def scene(stage: Stage) -> None:
        async with stage.stream() as streamed:
            response = streamed.response
            if isinstance(response, perdure.StreamedResponse):
                lines = list(response.iter_lines())
            else:
                assert isinstance(response, perdure.AsyncStreamedResponse)
                lines = [line async for line in response.aiter_lines()]
            assert lines == ["eins", "zwei", "ß"]
            assert response.downloaded_octets == len(content)

    perform(scene, says(answer(content)))
