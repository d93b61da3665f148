"""`response.raw`: read, stream, close and release, as users of urllib3 know them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests

from perdure.client.adapters.requests import Adapter
from perdure.wire.scripted import Pause, Script, ScriptedNetwork, Until
from tests.client.adapters.conftest import HELLO
from tests.client.conftest import BLANK, Peer, answer, says

URL = "http://origin.test/"


def asked(*scripts: Peer, method: str = "GET") -> tuple[requests.Response, requests.Session, ScriptedNetwork]:
    network = ScriptedNetwork(scripts)
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter(network=network))
    return session.request(method, URL, stream=True), session, network


def test_it_looks_like_urllib3s() -> None:
    old = b"HTTP/1.0 200 Fine\r\nX-One: a\r\nX-One: b\r\nContent-Length: 2\r\n\r\nok"
    response, _, _ = asked(says(old))
    raw = response.raw
    assert (raw.status, raw.reason, raw.version, raw.version_string) == (200, "Fine", 10, "HTTP/1.0")
    assert raw.headers.getlist("x-one") == ["a", "b"]
    assert raw.perdure_connection.uses == 1
    assert not raw.closed
    assert raw.read() == b"ok"
    assert raw.closed


def test_reading_returns_as_much_as_is_asked_for() -> None:
    response, session, network = asked(says(answer(b"0123456789"), HELLO))
    assert response.raw.read(4) == b"0123"
    assert response.raw.read(100) == b"456789"
    assert response.raw.read(4) == b""
    session.get(URL)
    assert len(network.connections) == 1


PACKED = gzip.compress(b"hello " * 1000)


@pytest.mark.parametrize(
    ("coding", "packed"), [(b"gzip", PACKED), (b"deflate", zlib.compress(b"hello " * 1000))]
)
def test_content_codings_are_undone_where_that_is_asked(coding: bytes, packed: bytes) -> None:
    fields = b"Content-Encoding: " + coding
    assert asked(says(answer(packed, fields)))[0].raw.read() == packed
    assert asked(says(answer(packed, fields)))[0].raw.read(decode_content=True) == b"hello " * 1000
    assert asked(says(answer(packed, fields)))[0].content == b"hello " * 1000
    pieces = list(asked(says(answer(packed, fields)))[0].iter_content(100))
    assert b"".join(pieces) == b"hello " * 1000
    assert max(map(len, pieces)) <= 100


def test_chunked_content_codings_are_undone_in_bounded_pieces() -> None:
    half = len(PACKED) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (PACKED[:half], PACKED[half:]))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = list(asked(says(head + chunks + b"0\r\n\r\n"))[0].iter_content(100))
    assert b"".join(pieces) == b"hello " * 1000
    assert max(map(len, pieces)) <= 100


def test_content_that_is_not_as_it_says_is_told() -> None:
    response, _, _ = asked(says(answer(b"not gzip", b"Content-Encoding: gzip")))
    with pytest.raises(requests.exceptions.ContentDecodingError):
        response.content  # noqa: B018


def events() -> Script:
    yield Until(BLANK)
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
    yield Pause(5.0)
    yield b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"


def test_chunks_are_handed_on_as_they_come() -> None:
    response, _, network = asked(events)
    came: list[tuple[float, bytes]] = []
    began = network.now()
    came.extend((network.now() - began, line) for line in response.iter_lines() if line)
    assert came == [(0.0, b"data: 1"), (5.0, b"data: 2")]


def leaves(response: requests.Response) -> None:
    with response:
        pass


ENDINGS: list[Callable[[Any], object]] = [
    leaves,
    lambda response: response.close(),
    lambda response: response.raw.close(),
    lambda response: response.raw.release_conn(),
    lambda response: response.raw.drain_conn(),
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("left", "connections"), [(b"x" * 100, 1), (b"x" * 500_000, 2)])
def test_a_response_given_back_unread_gives_nobody_its_octets(
    ending: Callable[[Any], object], left: bytes, connections: int
) -> None:
    response, session, network = asked(says(answer(left), HELLO), says(HELLO))
    ending(response)
    assert session.get(URL).text == "hello"
    assert len(network.connections) == connections


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000000\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_a_response_without_content_holds_no_connection(method: str, head: bytes) -> None:
    response, session, network = asked(says(head, HELLO), method=method)
    assert session.get(URL).text == "hello"
    assert response.content == b""
    assert len(network.connections) == 1
