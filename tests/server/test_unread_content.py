"""Request content that the application left unread: dropped within limits, or the end."""

from __future__ import annotations

import pytest

from perdure.core import Reason
from perdure.wire.network import Network
from tests.server.stand import answer_from, ignoring, serving
from tests.wire.conftest import Play


@pytest.mark.row("R100", "R70")
@pytest.mark.parametrize("method", [b"POST", b"GET", b"DELETE", b"HEAD"])
def test_content_that_nobody_read_is_dropped_and_never_a_request(play: Play, method: bytes) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, ignoring) as stand:
            peer = await stand.dial()
            smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
            head = b"%b /first HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (method, len(smuggled))
            peer.send(head + smuggled[:9])
            assert (await answer_from(peer, method)).options == {b"keep-alive"}
            peer.send(smuggled[9:] + b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer_from(peer)).content == b"ignored /second"
            assert stand.server.registry.requests == 2

    play(scene)


@pytest.mark.row("R100", "R115")
def test_more_unread_content_than_is_dropped_announces_the_close(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, ignoring) as stand:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
            peer, answer = await stand.ask(head + b"x" * 1000)
            assert (answer.status, answer.options) == (200, {b"close"})
            assert await peer.at_eof()
            assert await stand.closes() == {Reason.UNREAD_CONTENT: 1}

    play(scene)


def test_chunked_content_is_dropped_up_to_the_limit_then_the_connection_ends(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, ignoring, drain_body=10000) as stand:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer, answer = await stand.ask(head)
            assert answer.options == {b"keep-alive"}, "how much will come cannot be known"
            chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
            peer.send(chunk * 9)
            peer.send(chunk * 3)
            assert await peer.at_eof()
            assert await stand.closes() == {Reason.UNREAD_CONTENT: 1}

    play_in_time(scene)
