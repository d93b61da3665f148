"""What is done in one step comes to the same as what takes several: RFC 9112 §9.2, §9.3."""

from __future__ import annotations

import pytest

from perdure.core import ClientConnection, Reason, Request, Response, State, make_lines
from perdure.core.persistence import NextHop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


def request(method: bytes = b"GET") -> Request:
    made = Request(method, b"/", make_lines([(b"Host", b"a")]))
    made.prepared = {}
    return made


def asked(asking: Request) -> tuple[ClientConnection, Response]:
    """A connection that had one exchange, and what its response was."""
    connection = ClientConnection()
    connection.send_whole(asking)
    response = connection.receive(HEAD if asking.method == b"HEAD" else HEAD + b"ok")[0]
    assert isinstance(response, Response)
    connection.next_cycle()
    return connection, response


def state(connection: ClientConnection) -> tuple[object, ...]:
    return (
        connection.own_state,
        connection.peer_state,
        connection.reason,
        connection.exchanges,
        connection.outstanding,
        connection.waiting_octets,
        connection.response_begun,
        connection.response_framing,
    )


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_the_same_request_and_a_response_with_the_same_head_in_one_step_each(method: bytes) -> None:
    asking = request(method)
    (one, response), (other, expected) = asked(asking), asked(asking)
    content = b"" if method == b"HEAD" else b"no"
    for _ in range(3):
        assert one.say_again(asking) == other.send_whole(asking)
        assert state(one) == state(other)
        assert one.hear_again(HEAD + content, response) == content
        assert other.receive(HEAD + content)[0] is expected
        other.next_cycle()
        assert state(one) == state(other)


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + b"o",
        HEAD + b"ok!",
        HEAD,
        HEAD[:-4] + b"\r\nX: 1\r\n\r\nok",
        b"\r\n" + HEAD + b"ok",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"ok",
        b"",
    ],
)
@pytest.mark.row("R64")
def test_any_other_response_is_left_to_receive(octets: bytes) -> None:
    asking = request()
    connection, response = asked(asking)
    connection.say_again(asking)
    before = state(connection)
    assert connection.hear_again(octets, response) is None
    assert state(connection) == before


@pytest.mark.row("R64", "R90")
def test_a_response_that_nobody_asked_for_is_never_taken() -> None:
    connection, response = asked(request())
    assert connection.hear_again(HEAD + b"ok", response) is None


@pytest.mark.row("R89")
def test_a_response_to_another_kind_of_request_is_looked_at_anew() -> None:
    connection, response = asked(request())
    connection.send_whole(request(b"HEAD"))
    assert connection.hear_again(HEAD + b"ok", response) is None


def test_a_response_behind_others_or_before_the_end_of_the_request_is_looked_at_anew() -> None:
    asking = request()
    connection, response = asked(asking)
    connection.say_again(asking)
    connection.send_whole(asking)
    assert connection.hear_again(HEAD + b"ok", response) is None
    uploading, response = asked(asking)
    uploading.send(Request(b"GET", b"/", make_lines([(b"Host", b"a"), (b"Content-Length", b"5")]), end=False))
    assert uploading.own_state is State.SENDING
    assert uploading.hear_again(HEAD + b"ok", response) is None


def test_a_head_that_was_heard_as_another_response_is_not_the_one_asked_about() -> None:
    asking = request()
    connection, _ = asked(asking)
    _, stranger = asked(asking)
    connection.say_again(asking)
    assert connection.hear_again(HEAD + b"ok", stranger) is None


def test_after_an_interim_response_or_the_end_of_the_stream_it_is_looked_at_anew() -> None:
    asking = request()
    connection, response = asked(asking)
    connection.say_again(asking)
    connection.receive(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert connection.hear_again(HEAD + b"ok", response) is None


@pytest.mark.row("R99")
def test_nothing_is_said_again_where_something_ended_the_connection() -> None:
    asking = request()
    connection, _ = asked(asking)
    connection.limit = Reason.MAX_AGE
    assert connection.say_again(asking) is None
    connection, _ = asked(asking)
    connection.receive_eof()
    assert connection.say_again(asking) is None
    connection, _ = asked(asking)
    connection.next_hop = NextHop.PROXY
    assert connection.say_again(asking) is None


def test_nothing_is_said_again_that_was_not_said_or_while_another_request_is_out() -> None:
    asking = request()
    connection, _ = asked(asking)
    assert connection.say_again(request()) is None
    assert connection.say_again(asking) is not None
    assert connection.say_again(asking) is None
