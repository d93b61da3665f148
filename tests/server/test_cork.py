"""Responses to pipelined requests leave in few writes; counted where they leave."""

from __future__ import annotations

from perdure.server.asgi import Receive, Scope, Send
from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import Network
from tests.server.stand import GET, Gated, answer_from, hello, let_pass, plain, saying, serving
from tests.wire.conftest import Play


def writes(network: Network) -> list[bytes]:
    """What the server wrote on the first connection, write by write."""
    assert isinstance(network, MemoryNetwork)
    return [octets for _, side, octets in network.connections[0].crossings if side == "server"]


def test_sixteen_pipelined_requests_are_answered_in_one_write(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            peer.send(GET * 16)
            for _ in range(16):
                assert (await answer_from(peer)).content == b"GET / "
            assert len(writes(network)) == 1

    play_in_time(scene)


def test_a_single_request_is_answered_in_one_write(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            await stand.ask()
            assert len(writes(network)) == 1

    play_in_time(scene)


def test_a_slow_request_does_not_hold_back_the_answers_before_it(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        gated = Gated()
        async with serving(network, gated) as stand:
            peer = await stand.dial()
            slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
            peer.send(GET * 3 + slow + GET * 2)
            for _ in range(3):
                assert (await answer_from(peer)).content == b"/"
            assert len(writes(network)) == 1
            gated.gate.set()
            assert [(await answer_from(peer)).content for _ in range(3)] == [b"/slow", b"/", b"/"]
            assert len(writes(network)) <= 3

    play_in_time(scene)


def test_a_piece_of_an_answer_leaves_though_requests_wait(play_in_time: Play) -> None:
    gated = Gated()

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await gated.gate.wait()
        await send({"type": "http.response.body", "body": b"b"})

    async def scene(network: Network) -> None:
        async with serving(network, streaming) as stand:
            peer = await stand.dial()
            peer.send(GET * 2)
            await peer.receive_until(b"\r\n\r\n1\r\na\r\n")
            await let_pass(1.0)
            gated.gate.set()
            await peer.receive_exactly(len(b"1\r\nb\r\n0\r\n\r\n"))
            assert (await answer_from(peer)).content == b"ab"

    play_in_time(scene)


def test_large_answers_are_not_gathered_without_bound(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*plain(b"x" * 30000))) as stand:
            peer = await stand.dial()
            peer.send(GET * 16)
            for _ in range(16):
                assert len((await answer_from(peer)).content) == 30000
            assert max(map(len, writes(network))) <= 65536 + 31000

    play_in_time(scene)


def test_what_is_gathered_precedes_a_refusal_and_the_close(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            peer = await stand.dial()
            peer.send(GET * 3 + b"rubbish\r\n\r\n")
            assert [(await answer_from(peer)).status for _ in range(4)] == [200, 200, 200, 400]
            assert await peer.at_eof()
            assert len(writes(network)) <= 2

    play_in_time(scene)
