"""Streamed responses to HTTP/1.0 clients: gathered for their length, or sent as they come."""

from __future__ import annotations

import pytest

from perdure.core import Response
from perdure.server.asgi import Application
from perdure.server.gathering import Gathering
from perdure.wire.network import Network
from tests.server.stand import answer_from, saying, serving
from tests.wire.conftest import Play

KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def streaming(*pieces: bytes) -> Application:
    """An application that sends its content in pieces, of a length that it does not tell."""
    contents = [{"type": "http.response.body", "body": piece, "more_body": True} for piece in pieces]
    return saying({"type": "http.response.start", "status": 200}, *contents, {"type": "http.response.body"})


def too_much(gathering: Gathering) -> bool:
    """Asked anew each time, whatever a type checker has concluded before."""
    return gathering.too_much


def test_gathering_ends_when_it_is_too_much() -> None:
    gathering = Gathering(Response(200), 3)
    gathering.take(b"abc")
    assert not too_much(gathering)
    gathering.take(b"d")
    assert too_much(gathering)
    assert gathering.content() == b"abcd"


@pytest.mark.row("R47", "R69", "R170", "S3", "S5")
def test_a_small_streamed_response_to_http_10_gets_a_length_and_the_connection_lives(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, streaming(b"one ", b"two")) as stand:
            peer, answer = await stand.ask(KEPT)
            assert (answer.content, answer.fields[b"content-length"]) == (b"one two", b"7")
            assert b"keep-alive" in answer.options
            peer.send(KEPT)
            assert (await answer_from(peer)).content == b"one two"

    play(scene)


@pytest.mark.row("R47", "R95", "S5")
def test_a_large_one_is_delimited_by_the_close_and_says_so(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, streaming(b"a" * 40000, b"b" * 40000)) as stand:
            peer = await stand.dial()
            peer.send(KEPT)
            everything = await peer.receive_all()
            head, _, content = everything.partition(b"\r\n\r\n")
            assert b"connection: close" in head.lower()
            assert b"content-length" not in head.lower()
            assert b"transfer-encoding" not in head.lower()
            assert content == b"a" * 40000 + b"b" * 40000

    play(scene)
