"""The short ways of a server's connection do what the long ones do (9112 §9.3, §9.6; 9110 §10.1.1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import (
    HTTP_11,
    Announce,
    Interim,
    Limits,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    Terms,
    make_lines,
)
from perdure.core.persistence import announce_response
from perdure.core.writer import connection_lines
from tests.core.harness import every_way

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
CLOSE = GET[:-2] + b"Connection: close\r\n\r\n"


def answered(octets: bytes) -> ServerConnection:
    connection = ServerConnection()
    connection.receive(octets)
    connection.send_whole(Response(200))
    return connection


def seen(connection: ServerConnection) -> tuple[object, ...]:
    """What anybody can see of a connection between exchanges."""
    return (
        connection.idle,
        connection.own_state,
        connection.peer_state,
        connection.reason,
        connection.exchanges,
        connection.waiting_octets,
        connection.half_closed,
    )


@pytest.mark.row("R91")
@pytest.mark.parametrize("octets", [GET, OLD, POST + b"ok"])
def test_resting_is_a_cycle_where_nothing_of_the_next_request_has_arrived(octets: bytes) -> None:
    short, long = answered(octets), answered(octets)
    assert short.rest()
    assert long.next_cycle() == []
    assert seen(short) == seen(long)
    for connection in (short, long):
        assert [event.end for event in connection.receive(GET)] == [True]
        with pytest.raises(LocalViolation, match="before both messages are complete"):
            connection.next_cycle()


@pytest.mark.parametrize("octets", [b"", GET + b"G", GET + GET, CLOSE, POST, POST + b"o", GET[:-1]])
def test_connection_with_more_to_do_does_not_rest_and_nothing_was_done(octets: bytes) -> None:
    connection = ServerConnection()
    connection.receive(octets)
    if not connection.idle and connection.peer_state is not State.IDLE:
        connection.send_whole(Response(200))
    before = seen(connection)
    assert not connection.rest()
    assert seen(connection) == before


def test_half_closed_or_unanswered_connection_does_not_rest() -> None:
    connection = answered(GET)
    connection.receive_eof()
    assert not connection.rest()
    connection = ServerConnection()
    connection.receive(GET)
    assert not connection.rest()
    connection.send(Response(200, end=False))
    assert not connection.rest()


@pytest.mark.row("R103")
def test_request_that_says_the_same_again_is_a_cycle_of_one_step() -> None:
    short, long = ServerConnection(), ServerConnection()
    for connection in (short, long):
        connection.receive(GET * 3 + GET[:-1])
        connection.send_whole(Response(200))
    for _ in range(2):
        request = short.next_request()
        (event,) = long.next_cycle()
        assert isinstance(request, Request)
        assert isinstance(event, Request)
        assert (request.method, request.target, request.end) == (event.method, event.target, event.end)
        assert request.facts is event.facts
        assert seen(short) == seen(long)
        assert short.send_whole(Response(200)) == long.send_whole(Response(200))
    assert short.next_request() is None
    assert short.next_cycle() == []
    assert short.receive(GET[-1:])


@pytest.mark.parametrize(
    "octets",
    [GET, GET + GET[:-1], GET + b"\r\n" + GET, GET + POST, POST + b"ok" + POST + b"ok", CLOSE + CLOSE, OLD],
)
def test_anything_else_is_no_cycle_of_one_step_and_nothing_was_done(octets: bytes) -> None:
    connection = ServerConnection()
    connection.receive(octets)
    connection.send_whole(Response(200))
    before = seen(connection)
    assert connection.next_request() is None
    assert seen(connection) == before


def test_unanswered_or_half_closed_connection_has_no_cycle_of_one_step() -> None:
    connection = ServerConnection()
    connection.receive(GET * 3)
    assert connection.next_request() is None
    connection.send_whole(Response(200))
    connection.receive_eof()
    assert connection.next_request() is None
    assert len(connection.next_cycle()) == 1


def test_the_same_head_again_is_one_request_whatever_came_between() -> None:
    connection = ServerConnection()
    (first,) = connection.receive(GET)
    for octets in (GET, b"\r\n\r\n" + GET, GET, POST + b"ok", GET, GET, OLD, GET, GET):
        connection.send_whole(Response(200))
        connection.next_cycle()
        events = connection.receive(octets)
        assert isinstance(events[0], Request)
        assert (events[0].method, events[0].version) == (
            octets.split()[0],
            (1, 0) if octets is OLD else (1, 1),
        )
        assert connection.waiting_octets == 0
    connection.send_whole(Response(200))
    connection.next_cycle()
    assert connection.receive(GET) == events
    assert isinstance(first, Request)
    assert connection.receive(b"") == []


def test_first_head_of_a_connection_may_be_the_one_that_another_began_with() -> None:
    strict = Limits(max_fields=2)
    three = b"GET /3 HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\n\r\n"
    for octets in (GET, GET, three, three, OLD, GET, POST + b"ok", GET, CLOSE, three, three):
        connection = ServerConnection()
        (request, *_) = connection.receive(octets)
        assert isinstance(request, Request)
        assert request.target == octets.split()[1]
        assert len(request.fields) == octets.partition(b"\r\n\r\n")[0].count(b"\r\n")
        connection.send_whole(Response(200))
        assert connection.persists == (octets is not CLOSE)
    with pytest.raises(RemoteViolation, match="3 field lines, at most 2 allowed"):
        ServerConnection(strict).receive(three)


def test_the_same_head_after_a_piece_of_one_is_a_part_of_it() -> None:
    connection = answered(GET)
    connection.next_cycle()
    assert connection.receive(b"GET /other HTTP/1.1\r\nA: ") == []
    (event,) = connection.receive(GET)
    assert isinstance(event, Request)
    assert event.target == b"/other"
    assert [line.value for line in event.fields] == [b"GET / HTTP/1.1", b"x"]


@pytest.mark.row("S4", "R173")
@given(st.none() | st.integers(0, 600), st.none() | st.integers(1, 1000), st.sampled_from(Announce))
def test_head_says_what_was_decided_to_be_announced(
    timeout: int | None, maximum: int | None, announce: Announce
) -> None:
    most = None if maximum is None else maximum + 1
    terms = Terms(keep_alive_timeout=timeout, max_requests=most, announce=announce)
    connection = ServerConnection(terms=terms)
    connection.receive(GET)
    said = connection_lines(*announce_response(Reason.PERSISTS_11, HTTP_11, announce, timeout, maximum))
    assert connection.send_whole(Response(204)) == b"HTTP/1.1 204 No Content\r\n" + said + b"\r\n"


@pytest.mark.row("R163", "R158")
@pytest.mark.parametrize(
    ("version", "value", "unmet"),
    [
        (b"1.1", b"100-continue", False),
        (b"1.1", b"100-Continue", False),
        (b"1.1", b"foo", True),
        (b"1.1", b"100-continue, foo", True),
        (b"1.1", b",,", False),
        (b"1.0", b"foo", False),
    ],
)
def test_unknown_expectation_is_unmet_and_http_10_expects_nothing(
    version: bytes, value: bytes, unmet: bool
) -> None:
    for pieces in every_way(b"GET / HTTP/%b\r\nHost: x\r\nExpect: %b\r\n\r\n" % (version, value)):
        connection = ServerConnection()
        for piece in pieces:
            connection.receive(piece)
        assert connection.unmet_expectation is unmet


@pytest.mark.row("R160", "R164")
def test_interim_responses_say_nothing_of_persistence_or_framing() -> None:
    connection = ServerConnection()
    connection.receive(CLOSE)
    pairs = [
        (b"Connection", b"close"),
        (b"Content-Length", b"5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Link", b"</a>"),
    ]
    head = connection.send(Interim(103, make_lines(pairs)))
    assert head == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.mark.row("R135", "R134")
@pytest.mark.parametrize("name", [b"Content-Length", b"Host", b"Authorization", b"Transfer-Encoding", b"Via"])
def test_option_for_a_field_that_is_needed_beyond_this_hop_is_never_sent(name: bytes) -> None:
    connection = ServerConnection()
    connection.receive(GET)
    head = connection.send_whole(Response(200, make_lines([(b"Connection", b"%b, X-Hop" % name)])), b"ok")
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop\r\n\r\nok"


@pytest.mark.row("R47", "R69", "R170", "S5")
@pytest.mark.parametrize(
    ("request_line", "fields", "settings", "needed"),
    [
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", {}, True),
        (b"GET / HTTP/1.0", b"", {}, False),
        (b"GET / HTTP/1.1", b"Host: x\r\n", {}, False),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", {"http_10_honoured": False}, False),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", {"max_requests": 1}, False),
    ],
)
def test_a_length_is_worth_waiting_for_only_where_it_saves_the_connection(
    request_line: bytes, fields: bytes, settings: dict[str, Any], needed: bool
) -> None:
    server = ServerConnection(terms=Terms(**settings))
    server.receive(request_line + b"\r\n" + fields + b"\r\n")
    assert server.needs_length(Response(200)) is needed
    declared = Response(200, make_lines([(b"Content-Length", b"5")]))
    assert not server.needs_length(declared)


@pytest.mark.parametrize(
    ("held", "heads"),
    [(b"", 0), (GET[:-1], 0), (GET, 1), (GET + POST + b"hi", 2), (GET * 3 + GET[:9], 3), (GET * 50, 4)],
)
def test_heads_that_wait_are_counted_up_to_as_many_as_are_asked_for(held: bytes, heads: int) -> None:
    connection = ServerConnection()
    connection.receive(GET + held)
    assert connection.waiting_heads(4) == heads
