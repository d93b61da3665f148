"""A response that is sent again and again is sent as if it were made anew each time."""

from __future__ import annotations

import pytest

from perdure.core import (
    Announce,
    LocalViolation,
    Reason,
    Response,
    ServerConnection,
    State,
    Terms,
    make_lines,
)
from perdure.core.limits import SERVER_LIMITS
from perdure.core.server_repeats import MOST_PREPARED
from perdure.core.writer import block

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
REQUESTS = (
    GET,
    GET,
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: y\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n",
    GET,
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
)


def response(*pairs: tuple[bytes, bytes], status: int = 200, prepared: bool = False) -> Response:
    lines = make_lines(pairs)
    made = Response(status, lines, end=False)
    if prepared:
        made.block = block(lines)
        made.prepared = {}
    return made


def connection(terms: Terms) -> ServerConnection:
    return ServerConnection(SERVER_LIMITS, terms)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "terms",
    [
        Terms(),
        Terms(keep_alive_timeout=75, max_requests=1000),
        Terms(keep_alive_timeout=75, max_requests=6),
        Terms(keep_alive_timeout=75, announce=Announce.NEVER),
        Terms(keep_alive_timeout=75, announce=Announce.HTTP_10),
        Terms(persist=False),
    ],
)
@pytest.mark.parametrize(
    ("status", "pairs"),
    [
        (200, ()),
        (200, ((b"A", b"b"), (b"Content-Length", b"5"))),
        (204, ((b"Content-Length", b"5"),)),
        (304, ((b"Content-Length", b"5"),)),
        (200, ((b"Connection", b"close"),)),
        (200, ((b"Keep-Alive", b"timeout=1"),)),
    ],
)
def test_every_response_is_the_one_that_is_not_prepared(
    status: int, pairs: tuple[tuple[bytes, bytes], ...], terms: Terms, streamed: bool
) -> None:
    prepared, plain = response(*pairs, status=status, prepared=True), response(*pairs, status=status)
    for _ in range(2):
        one, other = connection(terms), connection(terms)
        for request in REQUESTS:
            states = []
            for side, head in ((one, prepared), (other, plain)):
                side.receive(request)
                octets = side.send(head) if streamed else side.send_whole(head, b"hello")
                states.append((octets, side.reason, side.own_state, side.response_framing))
            assert states[0] == states[1]
            if not one.persists or one.own_state is not State.DONE:
                break
            one.next_cycle()
            other.next_cycle()


def test_limits_that_come_up_meanwhile_count() -> None:
    head = response(prepared=True)
    for limited in ("drain", "half-closed", "unread"):
        side = connection(Terms())
        side.receive(GET)
        assert b"close" not in side.send_whole(head, b"hello")
        side.next_cycle()
        if limited == "unread":
            side.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        else:
            side.receive(GET)
        if limited == "drain":
            side.limit = Reason.DRAIN
        elif limited == "half-closed":
            side.receive_eof()
        assert b"\r\nConnection: close\r\n" in side.send_whole(head, b"hello")


def test_last_request_of_a_connection_is_told_so_though_the_head_was_sent_before() -> None:
    head, side = response(prepared=True), connection(Terms(keep_alive_timeout=75, max_requests=3))
    said = []
    for _ in range(3):
        side.receive(GET)
        said.append(side.send_whole(head, b"hello"))
        side.next_cycle()
    assert [b"max=%d" % left in octets for left, octets in zip((2, 1, 0), said, strict=True)] == [
        True,
        True,
        False,
    ]
    assert [b"\r\nConnection: close\r\n" in octets for octets in said] == [False, False, True]


def test_what_cannot_be_sent_is_not_prepared_either() -> None:
    head = response((b"Content-Length", b"5"), prepared=True)
    side = connection(Terms())
    with pytest.raises(LocalViolation):
        side.send_whole(head, b"hello")
    side.receive(GET)
    side.send_whole(head, b"hello")
    side.next_cycle()
    side.receive(GET)
    with pytest.raises(LocalViolation):
        side.send_whole(head, b"hell")
    side.send_whole(head, b"hello")
    with pytest.raises(LocalViolation):
        side.send_whole(head, b"hello")


def test_a_connect_that_was_refused_ends_however_often() -> None:
    head = response(status=501, prepared=True)
    for _ in range(2):
        side = connection(Terms())
        side.receive(b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n")
        side.send_whole(head)
        assert side.reason is Reason.CONNECT_REJECTED


def test_few_ways_are_remembered() -> None:
    head = response(prepared=True)
    side = connection(Terms())
    for size in range(MOST_PREPARED * 2):
        side.receive(GET)
        assert side.send_whole(head, b"x" * size).endswith(b"\r\n\r\n" + b"x" * size)
        side.next_cycle()
    assert head.prepared is not None
    assert len(head.prepared) == MOST_PREPARED
