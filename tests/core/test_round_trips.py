"""What one side of ours writes the other reads back, whatever is sent and however it is cut.

Both sides must also agree, without having spoken of it, whether the connection goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.core import (
    HTTP_10,
    HTTP_11,
    ClientConnection,
    Connection,
    Data,
    EndOfMessage,
    Event,
    FramingKind,
    Interim,
    Request,
    Response,
    ServerConnection,
    State,
    make_lines,
)
from tests.core.harness import Content, End, Head, Normal, Pairs, Stop, cut, normalise

NAMES = st.sampled_from([b"X-A", b"x-a", b"Accept", b"ETag", b"Cookie"])
VALUES = st.text('ab \t,;="/:\xe9\x85', max_size=10).map(lambda text: text.encode("latin-1").strip(b" \t"))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=3).map(tuple)
TRAILERS = st.lists(st.tuples(st.sampled_from([b"X-Sum", b"X-Time"]), VALUES), max_size=2).map(tuple)
PIECES = st.lists(st.binary(min_size=1, max_size=30), max_size=3)
PLACES = st.lists(st.integers(0, 300), max_size=5)


class Message(NamedTuple):
    """A message to be sent: `way` is how its content is handed over."""

    fields: Pairs
    pieces: list[bytes]
    way: str
    trailers: Pairs

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


class Exchange(NamedTuple):
    """A request, interim responses, and the final one."""

    method: bytes
    version: tuple[int, int]
    close: bool
    request: Message
    interims: list[int]
    status: int
    response: Message
    server_closes: bool


WAYS = st.sampled_from(["whole", "with its length", "in pieces"])
MESSAGES = st.builds(Message, FIELDS, PIECES, WAYS, TRAILERS)
EXCHANGES = st.builds(
    Exchange,
    method=st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE"]),
    version=st.sampled_from([HTTP_11, HTTP_11, HTTP_11, HTTP_10]),
    close=st.sampled_from([False, False, False, True]),
    request=MESSAGES,
    interims=st.lists(st.sampled_from([100, 102, 103]), max_size=2),
    status=st.sampled_from([200, 200, 204, 205, 304, 404, 500, 299]),
    response=MESSAGES,
    server_closes=st.sampled_from([False, False, False, True]),
)


def send(
    connection: Connection, head: Callable[[Pairs, bool], Request | Response], message: Message
) -> bytes:
    """The message, handed over in its way."""
    if message.way == "whole":
        return connection.send_whole(head(message.fields, True), message.content)
    length = ((b"Content-Length", b"%d" % len(message.content)),) if message.way == "with its length" else ()
    octets = connection.send(head(message.fields + length, False))
    if connection.own_state is State.DONE:  # HEAD, 204, 304, or a length of 0
        return octets
    octets += b"".join(connection.send(Data(piece)) for piece in message.pieces)
    return octets + connection.send(EndOfMessage(make_lines(message.trailers)))


def deliver(connection: Connection, octets: bytes, places: Sequence[int]) -> list[Event]:
    """Receive the octets in pieces."""
    events: list[Event] = []
    for piece in cut(octets, *[place % (len(octets) + 1) for place in places]):
        events += connection.receive(piece)
    return events


def read_of(events: Sequence[Event]) -> tuple[Normal, ...]:
    """What was read, without the fields that the writer adds for this hop."""
    ours = (b"content-length", b"connection", b"host", b"transfer-encoding", b"keep-alive")
    return tuple(
        event._replace(fields=tuple(pair for pair in event.fields if pair[0].lower() not in ours))
        if isinstance(event, Head)
        else event
        for event in normalise(events)
    )


def check_content(read: tuple[Normal, ...], message: Message, allowed: bool) -> None:
    """The content and the trailers of the last message read are those that were sent."""
    content = b"".join(event.octets for event in read if isinstance(event, Content))
    assert content == (message.content if allowed else b"")
    (end,) = [event for event in read if isinstance(event, End)]
    chunked = next(event for event in reversed(read) if isinstance(event, Head)).kind is FramingKind.CHUNKED
    assert end.trailers == (message.trailers if chunked else ())


def run(
    client: ClientConnection, server: ServerConnection, exchange: Exchange, places: Sequence[int]
) -> None:
    """One exchange, from the request to the end of the response."""
    asked = exchange.request
    if exchange.version == HTTP_10 or not client.peer_speaks_11:
        asked = asked._replace(way="whole" if asked.way == "in pieces" else asked.way)

    def request(fields: Pairs, end: bool) -> Request:
        options = ((b"Connection", b"close"),) if exchange.close else ()
        lines = make_lines([(b"Host", b"x"), *fields, *options])
        return Request(exchange.method, b"/p", lines, exchange.version, end=end)

    read = read_of(deliver(server, send(client, request, asked), places))
    head = read[0]
    assert isinstance(head, Head)
    assert (head.start, head.version, head.fields) == (
        (exchange.method, b"/p"),
        exchange.version,
        asked.fields,
    )
    check_content(read, asked, True)

    octets = b"".join(server.send(Interim(status)) for status in exchange.interims)

    def response(fields: Pairs, end: bool) -> Response:
        options = ((b"Connection", b"close"),) if exchange.server_closes else ()
        return Response(exchange.status, make_lines([*fields, *options]), end=end)

    octets += send(server, response, exchange.response)
    events = deliver(client, octets, places)
    if client.peer_state is not State.DONE:
        assert server.response_framing.kind is FramingKind.UNTIL_CLOSE
        events += client.receive_eof()
    check_response(read_of(events), exchange)


def check_response(read: tuple[Normal, ...], exchange: Exchange) -> None:
    heads = [event for event in read if isinstance(event, Head)]
    interims = exchange.interims if exchange.version >= HTTP_11 else []
    assert [head.start[0] for head in heads] == [*interims, exchange.status]
    assert heads[-1].fields == exchange.response.fields
    silent = exchange.method == b"HEAD" or exchange.status in (204, 205, 304)
    check_content(read, exchange.response, not silent)


@settings(max_examples=120)
@given(st.lists(EXCHANGES, min_size=1, max_size=4), PLACES)
@pytest.mark.row("R91", "R93", "R94", "R95")
def test_exchanges_are_read_as_they_were_sent_and_both_sides_agree_on_what_comes_after(
    exchanges: list[Exchange], places: list[int]
) -> None:
    client, server = ClientConnection(), ServerConnection()
    client.peer_speaks_11 = True
    for exchange in exchanges:
        run(client, server, exchange, places)
        assert client.persists == server.persists, (client.reason, server.reason)
        assert client.next_cycle() == []
        assert server.next_cycle() == []
        if not server.persists:
            break
        assert client.idle
        assert server.idle
    assert server.waiting_octets == client.waiting_octets == 0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([b"GET", b"HEAD", b"PUT"]), PIECES), min_size=1, max_size=5), PLACES
)
@pytest.mark.row("R89", "R103")
def test_pipelined_requests_are_answered_in_order_and_paired(
    requests: list[tuple[bytes, list[bytes]]], places: list[int]
) -> None:
    client, server = ClientConnection(), ServerConnection()
    sent = b"".join(
        client.send_whole(Request(method, b"/%d" % number, make_lines([(b"Host", b"x")])), b"".join(pieces))
        for number, (method, pieces) in enumerate(requests)
    )
    answers, targets = b"", []
    events = deliver(server, sent, places)
    while events:
        targets += [event.target for event in events if isinstance(event, Request)]
        answers += server.send_whole(Response(200), b"content of " + targets[-1])
        events = server.next_cycle()
    assert targets == [b"/%d" % number for number in range(len(requests))]
    contents: list[bytes] = []
    events = deliver(client, answers, places)
    for method, _ in requests:
        read = normalise(events)
        contents.append(b"".join(event.octets for event in read if isinstance(event, Content)))
        assert (contents[-1] == b"") == (method == b"HEAD")
        events = client.next_cycle()
    assert [text for text in contents if text] == [
        b"content of /%d" % number for number, (method, _) in enumerate(requests) if method != b"HEAD"
    ]
    assert client.idle
    assert normalise(client.receive_eof()) == (Stop(),)
