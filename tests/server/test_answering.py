"""How a response is framed, whatever the application says of it."""

from __future__ import annotations

import pytest

from perdure.server.asgi import Message
from perdure.wire.network import Network
from tests.server.stand import GET, answer_from, plain, saying, serving
from tests.wire.conftest import Play

STREAMED: list[Message] = [
    {"type": "http.response.start", "status": 200},
    {"type": "http.response.body", "body": b"one ", "more_body": True},
    {"type": "http.response.body", "body": b"", "more_body": True},
    {"type": "http.response.body", "body": b"two"},
]


def told(request: bytes, head: bytes, content: bytes, play: Play, *messages: Message) -> None:
    """The head, Date and hints apart, and what follows up to the next response."""

    async def scene(network: Network) -> None:
        async with serving(network, saying(*messages), announce="never") as stand:
            peer = await stand.dial()
            peer.send(request)
            received = await peer.receive_until(b"\r\n\r\n")
            lines = [
                line for line in received.split(b"\r\n") if not line.startswith((b"Date: ", b"Server: "))
            ]
            assert b"\r\n".join(lines) == head
            if b"Connection: close" in head:
                assert await peer.receive_all() == content
                return
            peer.send(b"BREW / HTTP/9.9\r\n\r\n")
            rest = await peer.receive_all()
            assert rest.startswith(content + b"HTTP/1.1 505 "), "the next octets are the next response"

    play(scene)


@pytest.mark.row("R62", "R69", "R93")
def test_content_that_is_whole_has_a_length(play: Play) -> None:
    told(GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"hello", play, *plain(b"hello"))


@pytest.mark.row("R62")
def test_content_in_pieces_is_chunked(play: Play) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    told(GET, head, b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n", play, *STREAMED)


@pytest.mark.row("R47")
def test_to_http_10_content_in_pieces_ends_with_the_connection(play: Play) -> None:
    request = b"GET / HTTP/1.0\r\n\r\n"
    told(request, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"one two", play, *STREAMED)


@pytest.mark.row("R47", "R170")
def test_to_http_10_with_keep_alive_little_content_in_pieces_gets_its_length(play: Play) -> None:
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"
    told(request, head, b"one two", play, *STREAMED)


@pytest.mark.row("R47", "R170")
def test_to_http_10_with_keep_alive_much_content_in_pieces_ends_with_the_connection(play: Play) -> None:
    much = [dict(message) for message in STREAMED]
    much[1]["body"] = b"o" * 70000
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    told(request, head, b"o" * 70000 + b"two", play, *much)


@pytest.mark.row("R69", "R94", "R170")
def test_to_http_10_whole_content_has_a_length_and_the_connection_persists(play: Play) -> None:
    request = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"
    told(request, head, b"hello", play, *plain(b"hello"))


@pytest.mark.row("R68", "R67")
def test_head_is_answered_without_content_and_with_the_length_of_get(play: Play) -> None:
    request = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    told(request, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"", play, *plain(b"hello"))
    said = plain(b"", 200, (b"content-length", b"5"))
    told(request, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b"", play, *said)
    told(request, b"HTTP/1.1 200 OK\r\n\r\n", b"", play, *STREAMED)


@pytest.mark.row("R44", "R68", "R67")
@pytest.mark.parametrize(
    ("status", "head"),
    [
        (204, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (205, b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
        (304, b"HTTP/1.1 304 Not Modified\r\n%b\r\n"),
    ],
)
@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("headers", [(), ((b"content-length", b"5"),), ((b"transfer-encoding", b"chunked"),)])
def test_a_status_without_content_has_none_whatever_is_said(
    play: Play, status: int, head: bytes, pieces: bool, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    length = b"content-length: 5\r\n" if headers and headers[0][0] == b"content-length" else b""
    messages = plain(b"hello", status, *headers)
    if pieces:
        messages[1]["more_body"] = True
        messages.append({"type": "http.response.body", "body": b"more"})
    told(GET, head % length if b"%b" in head else head, b"", play, *messages)


@pytest.mark.row("R43", "R50", "R98", "R115", "R135")
@pytest.mark.parametrize(
    "said",
    [
        (b"transfer-encoding", b"gzip, chunked"),
        (b"transfer-encoding", b"identity"),
        (b"connection", b"keep-alive"),
        (b"keep-alive", b"timeout=9999"),
        (b"proxy-connection", b"keep-alive"),
    ],
)
def test_what_is_not_the_applications_to_say_is_left_out(play: Play, said: tuple[bytes, bytes]) -> None:
    told(GET, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"hello", play, *plain(b"hello", 200, said))


@pytest.mark.row("R98", "R115")
def test_an_application_can_ask_for_the_close(play: Play) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    told(GET, head, b"hello", play, *plain(b"hello", 200, (b"connection", b"close")))


@pytest.mark.row("R24")
def test_a_status_without_a_usual_phrase_has_its_space(play: Play) -> None:
    told(GET, b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", b"", play, *plain(b"", 299))


@pytest.mark.row("R12", "R144")
def test_a_switch_that_was_not_offered_is_a_fault_of_the_application(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*plain(b"", 101, (b"upgrade", b"foo")))) as stand:
            peer, answer = await stand.ask()
            assert answer.status == 500
            peer.send(b"GET / HTTP/1.0\r\n\r\n")
            assert (await answer_from(peer)).head.startswith(b"HTTP/1.1 500 ")

    play(scene)


def test_pieces_are_written_with_what_belongs_to_them(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, saying(*STREAMED)) as stand:
            await stand.ask()
            crossings = network.connections[0].crossings  # type: ignore[attr-defined]  # a MemoryNetwork
            writes = [octets for _, side, octets in crossings if side == "server"]
            assert len(writes) == 2, "head and first piece; last piece and last chunk"
            assert writes[1] == b"3\r\ntwo\r\n0\r\n\r\n"

    play_in_time(scene)
