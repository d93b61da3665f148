"""What is done in one step comes to the same as what takes several: RFC 9112 §9.3."""

from __future__ import annotations

import pytest

from perdure.core import Reason, Request, Response, ServerConnection, State, Terms, make_lines
from perdure.core.limits import SERVER_LIMITS
from perdure.core.writer import block

GET = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: b\r\n\r\n"
TERMS = Terms(keep_alive_timeout=75, max_requests=4)


def prepared() -> Response:
    lines = make_lines([(b"A", b"b")])
    response = Response(200, lines)
    response.block = block(lines)
    response.prepared = {}
    return response


def served(response: Response, requests: int = 1, head: bytes = GET) -> ServerConnection:
    """A connection that rests after so many exchanges."""
    connection = ServerConnection(SERVER_LIMITS, TERMS)
    for _ in range(requests):
        connection.receive(head)
        connection.send_whole(response, b"hello")
        assert connection.rest()
    return connection


def state(connection: ServerConnection) -> tuple[object, ...]:
    return (
        connection.own_state,
        connection.peer_state,
        connection.reason,
        connection.exchanges,
        connection.waiting_octets,
        connection.response_framing,
    )


def test_the_head_before_is_the_same_request_in_one_step() -> None:
    one, other = served(prepared()), served(prepared())
    (received,) = other.receive(GET)
    assert isinstance(received, Request)
    again = one.receive_again(GET)
    assert again is not None
    assert (again.method, again.target, again.fields) == (received.method, received.target, received.fields)
    assert state(one) == state(other)


@pytest.mark.parametrize(
    "octets",
    [
        GET[:-1],
        b"HEAD" + GET[3:] + GET,
        GET.replace(b"b\r\n", b"c\r\n"),
        b"\r\n" + GET,
        b"",
    ],
)
def test_anything_else_is_left_to_receive(octets: bytes) -> None:
    connection = served(prepared())
    before = state(connection)
    assert connection.receive_again(octets) is None
    assert state(connection) == before


def test_a_head_behind_octets_that_wait_is_part_of_them() -> None:
    connection = served(prepared())
    assert connection.receive(b"POST / HTTP/1.1\r\n") == []
    assert connection.receive_again(GET) is None


def test_a_head_during_an_exchange_is_left_to_receive() -> None:
    connection = served(prepared())
    assert connection.receive(GET)
    assert connection.receive_again(GET) is None


def test_content_is_never_part_of_a_head_said_again() -> None:
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    connection = ServerConnection(SERVER_LIMITS, TERMS)
    connection.receive(post + b"hello")
    connection.send_whole(Response(200))
    assert connection.rest()
    assert connection.receive_again(post) is None


@pytest.mark.parametrize("head", [GET, GET.replace(b"GET", b"HEAD")])
@pytest.mark.row("R110")
def test_the_response_before_goes_out_as_send_whole_sends_it_and_the_hints_count_down(head: bytes) -> None:
    response = prepared()
    one, other = served(response, 2, head), served(response, 2, head)
    one.receive(head)
    other.receive(head)
    octets = one.answer_again(response, b"hello")
    assert octets == other.send_whole(response, b"hello")
    assert b"max=1" in octets
    assert octets.endswith(b"hello") is head.startswith(b"GET")
    assert other.rest()
    assert state(one) == state(other)
    assert one.receive_again(head) is not None


def test_the_last_response_of_a_connection_asks_for_another_look() -> None:
    response = prepared()
    connection = served(response, 3)
    connection.receive(GET)
    assert connection.answer_again(response, b"hello") is None
    assert b"Connection: close" in connection.send_whole(response, b"hello")
    assert connection.reason is Reason.MAX_REQUESTS


@pytest.mark.row("R112")
def test_where_an_end_was_decided_nothing_is_answered_from_memory() -> None:
    response = prepared()
    connection = served(response)
    connection.receive(GET)
    connection.limit = Reason.DRAIN
    assert connection.answer_again(response, b"hello") is None
    assert connection.own_state is State.IDLE


def test_where_the_client_has_closed_its_side_nothing_is_answered_from_memory() -> None:
    response = prepared()
    connection = served(response)
    connection.receive(GET)
    connection.receive_eof()
    assert connection.answer_again(response, b"hello") is None


def test_pipelined_requests_are_left_to_the_general_way() -> None:
    response = prepared()
    connection = served(response)
    connection.receive(GET + GET)
    assert connection.answer_again(response, b"hello") is None


def test_nothing_is_answered_that_was_not_asked_or_not_sent_before() -> None:
    response = prepared()
    connection = served(response)
    assert connection.answer_again(response, b"hello") is None
    connection.receive(GET)
    assert connection.answer_again(response, b"another length") is None
    assert connection.answer_again(prepared(), b"hello") is None
    assert connection.answer_again(response, b"hello") is not None


def test_a_response_prepared_under_other_terms_is_made_anew() -> None:
    response = prepared()
    served(response)
    connection = ServerConnection(SERVER_LIMITS, Terms(keep_alive_timeout=5))
    connection.receive(GET)
    assert connection.answer_again(response, b"hello") is None


def test_a_close_that_the_client_asked_for_is_announced_by_the_general_way() -> None:
    response = prepared()
    closing = GET.replace(b"Cookie: b", b"Connection: close")
    for _ in range(2):
        connection = ServerConnection(SERVER_LIMITS, TERMS)
        connection.receive(closing)
        assert connection.answer_again(response, b"hello") is None
        assert b"Connection: close" in connection.send_whole(response, b"hello")


LIKE = GET.replace(b"GET / ", b"GET /other?b=1 ")


@pytest.mark.row("R88")
@pytest.mark.parametrize("behind", [GET, LIKE, GET[:20], b"\r\n", b"POST / HTTP/1.1\r\n", b"rubbish"])
def test_the_head_before_is_taken_from_a_pipeline_and_the_rest_waits(behind: bytes) -> None:
    one, other = served(prepared()), served(prepared())
    (received,) = other.receive(b"\r\n" + GET + behind)  # an empty line is read the long way
    assert isinstance(received, Request)
    again = one.receive_again(GET + behind)
    assert again is not None
    assert (again.method, again.target, again.fields) == (received.method, received.target, received.fields)
    assert state(one) == state(other)
    assert one.waiting_octets == len(behind)


def pipelined(*heads: bytes) -> ServerConnection:
    """A connection that has answered the first of what arrived together."""
    connection = served(prepared())
    connection.receive(b"".join(heads))
    connection.send_whole(prepared(), b"hello")
    return connection


@pytest.mark.row("R88")
@pytest.mark.parametrize("second", [GET, LIKE])
@pytest.mark.parametrize("behind", [b"", GET, GET[:20], b"rubbish"])
def test_a_pipelined_head_like_the_one_before_begins_the_next_exchange_in_one_step(
    second: bytes, behind: bytes
) -> None:
    one, other = pipelined(GET, second, behind), pipelined(GET, second, behind)
    (received,) = other.next_cycle()
    assert isinstance(received, Request)
    request = one.next_request()
    assert request is not None
    assert (request.method, request.target, request.fields) == (
        received.method,
        received.target,
        received.fields,
    )
    assert state(one) == state(other)
    response = prepared()
    assert one.send_whole(response, b"x") == other.send_whole(response, b"x")


@pytest.mark.row("R88")
@pytest.mark.parametrize(
    "second",
    [
        b"",
        GET[:-1],
        b"\r\n" + GET,
        GET.replace(b"/ ", b"* "),
        GET.replace(b"1.1", b"1.0"),
        GET.replace(b"Cookie: b", b"Content-Length: 0"),
        b"POST" + LIKE[3:],
        b"G\r\n\r\n",
    ],
)
def test_any_other_pipelined_head_is_left_to_the_next_cycle(second: bytes) -> None:
    connection = pipelined(GET, second)
    before = state(connection)
    assert connection.next_request() is None
    assert state(connection) == before
