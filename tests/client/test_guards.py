"""A server that breaks the rules: what it says to nobody reaches nobody, and nothing is read for ever.

On all stages. bench.guards asks the same of the whole program, over real sockets and beside its peers.
"""

from __future__ import annotations

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import CLIENT_END, FIN, RST, Pause, Script, Sign, Until
from tests.client.conftest import BLANK, Peer, Perform, Stage, answer, says

HELLO = answer(b"hello")
INJECTED = answer(b"injected")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def idle_then(*steps: bytes | Sign) -> Peer:
    """A peer that answers one request, and does something while nothing is asked."""

    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO
        yield Pause(1.0)
        yield from steps
        yield CLIENT_END

    return peer


# --- octets that nobody asked for ----------------------------------------------------------


@pytest.mark.row("R51", "R64", "R90")
@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(INJECTED)),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n" % len(INJECTED)),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n" % len(INJECTED)),
    ],
)
def test_content_of_a_response_that_has_none_answers_nobody(
    perform: Perform, method: str, head: bytes
) -> None:
    async def scene(stage: Stage) -> None:
        response = await stage.ask(method)
        assert response.content == b""
        assert response.connection.ends is Reason.SURPLUS_OCTETS
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2

    perform(scene, says(head + INJECTED), says(HELLO))


@pytest.mark.row("R90")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "unasked",
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0", b"\r\n" * 32768],
)
def test_whatever_comes_while_idle_is_silent(perform_in_time: Perform, unasked: bytes, method: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.pass_time(2.0)
        response = await stage.ask(method)
        assert (response.content, response.connection.reused) == (b"hello", False)
        assert stage.statistics().closes == {Reason.SURPLUS_OCTETS: 1}

    perform_in_time(scene, idle_then(unasked), says(HELLO))


@pytest.mark.row("R144")
def test_a_switch_that_was_not_asked_for_is_an_error_and_its_connection_gone(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.RemoteProtocolError):
            await stage.ask()
        assert (await stage.ask()).content == b"hello"
        assert stage.connections == 2

    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    perform(scene, says(switch, INJECTED), says(HELLO))


# --- connections that end while idle -------------------------------------------------------


@pytest.mark.row("R110", "R111", "R183")
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("sign", [FIN, RST])
def test_a_connection_that_ended_while_idle_is_not_used(
    perform_in_time: Perform, sign: Sign, method: str
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        await stage.pass_time(2.0)
        response = await stage.ask(method)
        assert (response.content, response.connection.reused) == (b"hello", False)
        assert stage.heard(0).count(b" / HTTP/") == stage.heard(1).count(b" / HTTP/") == 1

    perform_in_time(scene, idle_then(sign), says(HELLO))


@pytest.mark.row("R110", "R183")
def test_a_server_that_ends_right_behind_its_response_is_answered_though_nothing_is_asked(
    perform_on_loop: Perform,
) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask()).content == b"hello"
        await stage.until(lambda: stage.ended(0))
        statistics = stage.statistics()
        assert (statistics.connections, statistics.closes) == (0, {Reason.PEER_CLOSED: 1})

    perform_on_loop(scene, says_and_ends(HELLO))


@pytest.mark.row("R110", "R183")
def test_a_server_that_ends_while_its_response_is_read_slowly_is_answered_too(
    perform_in_time: Perform,
) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as streamed:
            await stage.pass_time(1.0)
            assert [piece async for piece in streamed.pieces()] == [b"hello"]
        await stage.pass_time(1.0)
        response = await stage.ask("POST")
        assert (response.content, response.connection.reused) == (b"hello", False)
        assert stage.statistics().closes == {Reason.PEER_CLOSED: 1}
        assert stage.ended(0)

    perform_in_time(scene, says_and_ends(HELLO), says(HELLO))


def says_and_ends(octets: bytes) -> Peer:
    """A peer that ends in good order behind one response."""

    def peer() -> Script:
        yield Until(BLANK)
        yield octets
        yield FIN
        yield CLIENT_END

    return peer


# --- responses without an end --------------------------------------------------------------


FLOODS = {
    "interim responses": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "continues": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "field lines": (b"HTTP/1.1 200 OK\r\n", b"X-Field: value\r\n"),
    "one field line": (b"HTTP/1.1 200 OK\r\nX-Field: ", b"v" * 64),
    "folded lines": (b"HTTP/1.1 200 OK\r\nX-Field: v\r\n", b" v\r\n"),
    "a status line": (b"HTTP/1.1 200 ", b"O" * 64),
    "rubbish": (b"", b"rubbish " * 8),
    "empty lines": (b"", b"\r\n"),
    "trailer lines": (CHUNKED + b"0\r\n", b"X-Field: value\r\n"),
    "one trailer line": (CHUNKED + b"0\r\nX-Field: ", b"v" * 64),
    "a chunk size": (CHUNKED, b"0" * 64),
    "extensions of one chunk": (CHUNKED + b"2", b";x=y"),
    "extensions of many chunks": (CHUNKED, b"1;" + b"x" * 100 + b"\r\nc\r\n"),
}


def floods(beginning: bytes, unit: bytes) -> Peer:
    """A peer that says a mebibyte of this, and then waits."""

    def peer() -> Script:
        yield Until(BLANK)
        if beginning:
            yield beginning
        piece = unit * (65536 // len(unit))
        for _ in range(16):
            yield piece
        yield CLIENT_END

    return peer


@pytest.mark.row("R165")
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_response_that_does_not_end_is_an_error_and_its_connection_gone(
    perform: Perform, flood: tuple[bytes, bytes]
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.RemoteProtocolError):
            await stage.ask()
        await stage.until(lambda: stage.ended(0))
        assert (await stage.ask()).content == b"hello"
        assert stage.statistics().leased == 0

    perform(scene, floods(*flood), says(HELLO))


def test_content_without_an_end_is_not_read_once_it_is_not_wanted(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as streamed:
            assert streamed.response.status == 200
        await stage.until(lambda: stage.ended(0))
        assert (await stage.ask()).content == b"hello"
        assert stage.statistics().leased == 0

    perform(scene, floods(b"HTTP/1.1 200 OK\r\n\r\n", b"c" * 64), says(HELLO))
