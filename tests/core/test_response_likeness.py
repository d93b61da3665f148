"""A response that is like the one before goes on as if it had been read and written anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import (
    ClientConnection,
    Data,
    Event,
    Limits,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    Terms,
    make_lines,
)
from perdure.core.fields import HTTP_11, gather, make_line
from perdure.core.heads import was_folded
from perdure.core.hopbyhop import strip
from perdure.core.limits import CLIENT_LIMITS, SERVER_LIMITS
from perdure.core.response_likeness import LikeResponse, LikeResponses
from perdure.core.writer import block

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TERMS = Terms(keep_alive_timeout=75, max_requests=5)
Value = bytes | None
BASE: dict[bytes, Value] = {
    b"Date": b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"ETag": b'"one"',
    b"Connection": b"keep-alive, x-hop",
    b"Keep-Alive": b"timeout=5, max=100",
    b"X-Hop": b"1",
    b"Content-Length": b"2",
    b"Cache-Control": b"no-cache",
}


def octets_of(
    changes: dict[bytes, Value], content: bytes = b"ok", start: bytes = b"HTTP/1.1 200 OK"
) -> bytes:
    """A response with the fields of BASE, some of them with other values; None leaves one out."""
    lines = [b"%b: %b\r\n" % (name, value) for name, value in (BASE | changes).items() if value is not None]
    return b"".join([start, b"\r\n", *lines, b"\r\n", content])


def forwarded(response: Response) -> Response:
    """What an intermediary makes of it."""
    fields = [*strip(response.fields, response.facts), make_line(b"Via", b"1.1 perdure")]
    said = Response(response.status, fields, response.reason_phrase, facts=gather(HTTP_11, False, fields))
    said.end, said.block, said.prepared = response.end, block(fields), {}
    return said


class Hop:
    """An intermediary's two connections, and one response that went over both."""

    def __init__(self, method: bytes = b"GET", limits: Limits = CLIENT_LIMITS, first: bytes = b"") -> None:
        self.asking = Request(method, b"/", make_lines([(b"Host", b"a")]))
        self.asked = GET.replace(b"GET", method)
        self.origin = ClientConnection(limits)
        self.client = ServerConnection(SERVER_LIMITS, TERMS)
        self.ask()
        first = first or octets_of({}, b"" if method == b"HEAD" else b"ok")
        self.received, content = self.hear(first)
        self.said = forwarded(self.received)
        self.client.send_whole(self.said, content)
        self.likeness = LikeResponses.of(self.received, self.said, first)

    def ask(self) -> None:
        """The next request, on both connections; the client's is a new one where the last has ended."""
        self.origin.send_whole(self.asking)
        if not self.client.persists:
            self.client = ServerConnection(SERVER_LIMITS, TERMS)
        elif self.client.own_state is State.DONE:
            self.client.next_cycle()
        self.client.receive(self.asked)

    def hear(self, octets: bytes) -> tuple[Response, bytes]:
        """A whole response, as any is read."""
        events: list[Event] = self.origin.receive(octets)
        head = events[0]
        assert isinstance(head, Response)
        assert events[-1].end
        self.origin.next_cycle()
        return head, b"".join([event.octets for event in events if isinstance(event, Data)])

    def hear_like(self, octets: bytes) -> tuple[LikeResponse, bytes] | None:
        assert self.likeness is not None
        if not self.origin.may_repeat(self.received):
            return None
        taken = self.likeness.take(octets)
        if taken is not None:
            self.origin.repeat(self.likeness.framing)
        return taken

    def state(self) -> tuple[object, ...]:
        one = self.origin
        return one.own_state, one.peer_state, one.reason, one.exchanges, one.outstanding, one.response_framing


def taken(hop: Hop, octets: bytes) -> bytes:
    """What the client gets of a response that must be taken in one step."""
    heard = hop.hear_like(octets)
    assert heard is not None
    response, content = heard
    sent = hop.client.answer_again(response, content)
    if sent is None:
        sent = hop.client.send_whole(response, content)
    return sent


def general(hop: Hop, octets: bytes) -> bytes:
    """The same by the steps that any response takes."""
    response, content = hop.hear(octets)
    return hop.client.send_whole(forwarded(response), content)


class Pair:
    """The short way, and the general one beside it."""

    def __init__(self, method: bytes = b"GET") -> None:
        self.short, self.long = Hop(method), Hop(method)

    def both(self, octets: bytes) -> None:
        self.short.ask()
        self.long.ask()
        assert taken(self.short, octets) == general(self.long, octets)
        assert self.short.state() == self.long.state()
        assert self.short.client.response_framing == self.long.client.response_framing


@pytest.mark.row("R133", "R173")
def test_values_and_length_that_differ_are_put_into_what_was_said_before() -> None:
    pair = Pair()
    for number in range(12):  # more than one connection of a client
        content = b"x" * (number + 1)
        pair.both(
            octets_of(
                {
                    b"ETag": b'"%d"' % number,
                    b"Content-Length": b"%d" % len(content),
                    b"Keep-Alive": b"timeout=5, max=%d" % (99 - number),
                },
                content,
            )
        )
        assert pair.short.likeness is not None
        assert pair.short.likeness.keep_alive == (b"timeout=5, max=%d" % (99 - number),)


def test_what_a_response_said_last_is_not_said_of_the_next_one() -> None:
    pair = Pair()
    for etag, control in (
        (b"2", b"no-cache"),
        (b"2", b"no-store"),
        (b"3", b"no-store"),
        (b'"one"', b"no-cache"),
    ):
        pair.both(octets_of({b"ETag": etag, b"Cache-Control": control}))


def test_response_is_sent_in_one_step_once_one_like_it_was_sent() -> None:
    hop = Hop()
    for number in range(3):
        hop.ask()
        heard = hop.hear_like(
            octets_of({b"ETag": b"%d" % number, b"Content-Length": b"%d" % (number + 1)}, b"x" * (number + 1))
        )
        assert heard is not None
        assert hop.client.answer_again(*heard) is not None


def test_304_that_differs_is_sent_without_content() -> None:
    start = b"HTTP/1.1 304 Not Modified"
    first = octets_of({b"Content-Length": None}, b"", start)
    short, long = Hop(first=first), Hop(first=first)
    for number in range(3):
        short.ask()
        long.ask()
        octets = octets_of({b"Content-Length": None, b"ETag": b'"%d"' % number}, b"", start)
        assert taken(short, octets) == general(long, octets)


def test_fields_of_such_a_response_are_those_that_are_sent() -> None:
    hop = Hop()
    hop.ask()
    heard = hop.hear_like(octets_of({b"ETag": b"2", b"Content-Length": b"3"}, b"yes"))
    assert heard is not None
    response, content = heard
    assert [(line.name, line.value) for line in response.fields] == [
        (b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (b"ETag", b"2"),
        (b"Content-Length", b"3"),
        (b"Cache-Control", b"no-cache"),
        (b"Via", b"1.1 perdure"),
    ]
    assert (response.status, response.facts.lengths, content) == (200, (b"3",), b"yes")


def test_another_kind_of_client_gets_its_own_kind_of_answer() -> None:
    """How a response is sent depends on who asked: this one asked for the connection to end."""
    hop = Hop()
    hop.ask()
    taken(hop, octets_of({b"ETag": b"2"}))
    hop.client = ServerConnection(SERVER_LIMITS, TERMS)
    hop.client.receive(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    hop.origin.send_whole(hop.asking)
    assert b"\r\nConnection: close\r\n" in taken(hop, octets_of({b"ETag": b"3"}))
    hop.client = ServerConnection(SERVER_LIMITS, TERMS)
    hop.client.receive(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    hop.origin.send_whole(hop.asking)
    assert b"\r\nConnection: keep-alive\r\n" in taken(hop, octets_of({b"ETag": b"4"}))


OTHER = [
    ({b"ETag": b""}, b"ok"),
    ({b"ETag": b"a\x00b"}, b"ok"),
    ({b"ETag": b"a\rb"}, b"ok"),
    ({b"ETag": b"a\nb"}, b"ok"),
    ({b"ETag": b"\xe4"}, b"ok"),
    ({b"ETag": b" a"}, b"ok"),
    ({b"ETag": b"a\t"}, b"ok"),
    ({b"ETag": b"a\r\n b"}, b"ok"),
    ({b"ETag": None}, b"ok"),
    ({b"ETag": b"a\r\nX: b"}, b"ok"),
    ({b"X-Hop": b"2"}, b"ok"),
    ({b"Connection": b"keep-alive"}, b"ok"),
    ({b"Connection": b"close, x-hop, keep"}, b"ok"),
    ({b"Content-Length": b"+2"}, b"ok"),
    ({b"Content-Length": b"02"}, b"ok"),
    ({b"Content-Length": b"2, 2"}, b"ok"),
    ({b"Content-Length": b"0"}, b""),
    ({b"Content-Length": b"3"}, b"ok"),
    ({b"Content-Length": b"1"}, b"ok"),
    ({b"Content-Length": b"9" * 20}, b"ok"),
    ({b"Content-Length": None}, b"ok"),
    ({b"Cache-Control": b"x" * 2100}, b"ok"),
    ({}, b""),
    ({}, b"ok!"),
]


@pytest.mark.row("R39", "R59", "R64", "R86")
@pytest.mark.parametrize(("changes", "content"), OTHER)
def test_anything_else_is_left_to_receive(changes: dict[bytes, Value], content: bytes) -> None:
    hop = Hop()
    hop.ask()
    before = hop.state()
    assert hop.hear_like(octets_of(changes, content)) is None
    assert hop.state() == before
    assert taken(hop, octets_of({b"ETag": b"2"})).endswith(b"ok")


@pytest.mark.parametrize(
    "start", [b"HTTP/1.0 200 OK", b"HTTP/1.1 201 OK", b"HTTP/1.1 200 Fine", b"\r\nHTTP/1.1 200 OK"]
)
def test_another_start_line_is_left_to_receive(start: bytes) -> None:
    hop = Hop()
    hop.ask()
    assert hop.hear_like(octets_of({}, start=start)) is None
    assert LikeResponses.of(hop.received, hop.said, octets_of({}, start=start)) is None


@pytest.mark.row("R64", "R89", "R90")
def test_response_that_answers_no_request_or_one_of_several_is_left_to_receive() -> None:
    hop = Hop()
    assert hop.hear_like(octets_of({})) is None
    hop.ask()
    hop.origin.send_whole(hop.asking)
    assert hop.hear_like(octets_of({})) is None


def test_response_to_head_has_no_content_whatever_its_length() -> None:
    hop = Hop(b"HEAD")
    hop.ask()
    assert hop.hear_like(octets_of({b"Content-Length": b"3"}, b"yes")) is None
    assert hop.hear_like(octets_of({b"ETag": b"2"}, b"ok")) is None
    assert taken(hop, octets_of({b"ETag": b"2"}, b"")).endswith(b"\r\n\r\n")


def test_heads_are_read_anew_where_lines_have_to_be_measured() -> None:
    hop = Hop(limits=Limits(max_line=1000))
    hop.ask()
    assert hop.hear_like(octets_of({b"ETag": b"2"})) is None


def test_lines_that_cannot_be_told_apart_are_not_compared() -> None:
    first = octets_of({b"Cache-Control": b"a\r\nCache-Control: a"})
    assert Hop(first=first).likeness is None


VALUES = st.one_of(
    st.sampled_from(
        [b"1", b"a b", b'"x"', b"", b" ", b"a\r", b"\xff", b"timeout=3", b"close", b"2, 2", b"1e3"]
    ),
    st.text("ab\t\r\n\0 :,", max_size=4).map(str.encode),
    st.integers(0, 12).map(b"%d".__mod__),
)
CHANGES = st.dictionaries(st.sampled_from(sorted(BASE)), VALUES, max_size=3)


@given(st.lists(st.tuples(CHANGES, st.integers(0, 12)), max_size=6))
def test_whatever_is_taken_goes_on_as_it_would_have_gone_the_general_way(
    responses: list[tuple[dict[bytes, Value], int]],
) -> None:
    hop = Hop()
    for changes, length in responses:
        octets = octets_of({b"Content-Length": b"%d" % length, **changes}, b"x" * length)
        hop.client = ServerConnection(SERVER_LIMITS, TERMS)
        hop.client.receive(GET)
        hop.origin.send_whole(hop.asking)
        heard = hop.hear_like(octets)
        other = Hop()
        other.ask()
        other.client = ServerConnection(SERVER_LIMITS, TERMS)
        other.client.receive(GET)
        if heard is None:
            hop = Hop()
            continue
        assert not was_folded(octets)
        try:
            expected = general(other, octets)
        except RemoteViolation as violation:
            pytest.fail(f"taken though {violation}")
        response, content = heard
        sent = hop.client.answer_again(response, content)
        assert (sent or hop.client.send_whole(response, content)) == expected
