"""Whatever is pipelined is answered as if it had come alone."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.server.asgi import Receive, Scope, Send
from perdure.wire.network import Network
from tests.server.stand import GET, answer_from, let_pass, plain, read_all, serving
from tests.wire.conftest import play_in_memory


def get(path: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: x", *lines, b"", b""])


PIECES = st.sampled_from(
    [
        GET,
        GET,
        get(b"/other"),
        get(b"/waits"),
        get(b"/", b"A: b"),
        b"\r\n" + GET,
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        get(b"/", b"Expect: foo"),
        b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok",
        b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"GET http://other/a?b HTTP/1.1\r\nHost: other\r\n\r\n",
        get(b"/raises"),
    ]
)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with all that was said."""
    if scope["type"] != "http":
        raise NotImplementedError
    content = await read_all(receive)
    if scope["path"] == "/waits":
        await asyncio.sleep(0)
    if scope["path"] == "/raises":
        raise ValueError("on purpose")
    said = [scope["method"], scope["http_version"], scope["path"], scope["query_string"], scope["headers"]]
    for message in plain(repr([*said, content]).encode()):
        await send(message)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=24), st.lists(st.integers(1, 400), max_size=6))
def test_requests_that_arrive_together_are_answered_as_if_they_came_one_by_one(
    pieces: list[bytes], cuts: list[int]
) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, echo, max_requests=None) as stand:
            single, together = await stand.dial(), await stand.dial()
            expected = []
            for piece in pieces:
                single.send(piece)
                expected.append(await answer_from(single, piece.lstrip().partition(b" ")[0]))
            octets, start = b"".join(pieces), 0
            for cut in cuts:
                together.send(octets[start : start + cut])
                await let_pass(0.01)
                start += cut
            together.send(octets[start:])
            got = [await answer_from(together, piece.lstrip().partition(b" ")[0]) for piece in pieces]
            assert [(one.status, one.content, one.options) for one in got] == [
                (one.status, one.content, one.options) for one in expected
            ]

    play_in_memory(scene)
