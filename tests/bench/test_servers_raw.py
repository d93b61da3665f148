"""The reader that asks the servers: it takes what comes, and tells what did not."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from bench.servers.raw import Answer, Conversation, conversation
from tests.programs import raw_server


@contextlib.contextmanager
def server_says(octets: bytes) -> Iterator[Conversation]:
    """A connection whose server says this and closes."""

    def converse(connection: socket.socket) -> None:
        connection.sendall(octets)

    with raw_server(converse) as url, conversation(int(url.rpartition(":")[2])) as talk:
        yield talk


def answer_of(octets: bytes) -> Answer:
    with server_says(octets) as talk:
        return talk.answer()


@pytest.mark.parametrize(
    ("octets", "content", "delimited", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", "length", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", b"hi", "length", False),
        (b"HTTP/1.1 200 OK\r\n\r\nhi", b"hi", "close", True),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            b"hi",
            "chunked",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"hi", "chunked", False),
        (b"HTTP/1.1 204 Gone\r\nContent-Length: 2\r\n\r\n", b"", "none", True),
    ],
)
def test_content_ends_where_its_head_says(octets: bytes, content: bytes, delimited: str, whole: bool) -> None:
    answer = answer_of(octets)
    assert (answer.content, answer.delimited, answer.whole) == (content, delimited, whole)


def test_interim_responses_are_told_apart() -> None:
    answer = answer_of(
        b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    )
    assert (answer.status, answer.interim) == (200, (100, 103))


@pytest.mark.parametrize(("octets", "status"), [(b"", 0), (b"HTTP/1.1 2", 0), (b"hello\r\n\r\n", -1)])
def test_no_response_is_told_from_octets_that_are_none(octets: bytes, status: int) -> None:
    assert answer_of(octets).status == status


@pytest.mark.parametrize("value", [b"close", b"keep-alive, Close", b"x\r\nConnection: close"])
def test_close_is_found_in_any_list(value: bytes) -> None:
    octets = b"HTTP/1.1 200 OK\r\nConnection: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    assert answer_of(octets).says_close


def test_the_end_of_a_connection_is_told() -> None:
    with server_says(b"late") as talk:
        assert talk.ending(5.0)[0::2] == ("FIN", b"late")


def test_a_100_is_read_and_a_final_response_left() -> None:
    with server_says(b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as talk:
        assert talk.asked_to_continue(5.0)
        assert not talk.asked_to_continue(5.0)
        assert talk.answer().status == 200
