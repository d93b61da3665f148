"""What both sides share: cycles, ends of the stream, faults of the peer and of the caller (9112 §8, §9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from perdure.core import (
    HTTP_10,
    SERVER_LIMITS,
    ClientConnection,
    Connection,
    Data,
    EndOfMessage,
    EndOfStream,
    Event,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    Role,
    ServerConnection,
    State,
    Terms,
    make_lines,
)
from perdure.core.terms import DEFAULT_TERMS

HOST = make_lines([(b"Host", b"x")])
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nok"


def server(octets: bytes = b"", terms: Terms = DEFAULT_TERMS) -> ServerConnection:
    connection = ServerConnection(terms=terms)
    connection.receive(octets)
    return connection


def client(requests: int = 1) -> ClientConnection:
    connection = ClientConnection()
    for _ in range(requests):
        connection.send_whole(Request(b"GET", b"/", HOST))
    return connection


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


def length(octets: int) -> list[tuple[bytes, bytes]]:
    return [(b"Content-Length", b"%d" % octets)]


# Cycles


@pytest.mark.row("R91")
def test_connection_is_idle_between_exchanges_and_counts_them() -> None:
    connection = server()
    for number in range(3):
        assert (connection.idle, connection.exchanges) == (True, number)
        connection.receive(GET)
        assert not connection.idle
        connection.send_whole(Response(204))
        assert connection.next_cycle() == []


@pytest.mark.row("R103", "R117")
def test_nothing_beyond_the_current_message_is_handed_out() -> None:
    connection = server(b"")
    assert kinds(connection.receive(POST + b"ok" + GET)) == [Request, Data]
    assert connection.waiting_octets == len(GET)
    assert connection.receive(GET) == []
    connection.send_whole(Response(200))
    assert kinds(connection.next_cycle()) == [Request]
    assert connection.waiting_octets == len(GET)


def test_no_octets_are_no_news() -> None:
    for connection in (server(), client()):
        assert connection.receive(b"") == []
        assert connection.persists


@pytest.mark.parametrize("octets", [b"", GET[:-1], POST, POST + b"o", GET])
def test_cycle_does_not_begin_before_both_messages_are_complete(octets: bytes) -> None:
    connection = server(octets)
    with pytest.raises(LocalViolation, match="before both messages are complete"):
        connection.next_cycle()
    assert connection.exchanges == 0


def test_bare_connection_has_no_side() -> None:
    connection = Connection(Role.SERVER, SERVER_LIMITS)
    with pytest.raises(AssertionError):
        connection.receive(GET)
    with pytest.raises(AssertionError):
        connection.send(Response(200))
    connection.own_state = connection.peer_state = State.DONE
    with pytest.raises(AssertionError):
        connection.next_cycle()


# The end of the stream


@pytest.mark.row("R110")
@pytest.mark.parametrize("octets", [b"", b"\r\n"])
def test_end_of_the_stream_on_an_idle_connection_ends_it(octets: bytes) -> None:
    connection = server(octets)
    assert kinds(connection.receive_eof()) == [EndOfStream]
    assert (connection.reason, connection.own_state) == (Reason.PEER_CLOSED, State.CLOSED)
    assert connection.receive_eof() == []
    assert connection.receive(GET) == []


@pytest.mark.row("R87", "R60", "R125", "R32")
@pytest.mark.parametrize("octets", [GET[:1], GET[:-1], POST, POST + b"o"])
def test_request_cut_short_is_incomplete_and_may_be_answered(octets: bytes) -> None:
    connection = server(octets)
    with pytest.raises(
        RemoteViolation, match=r"closed the connection in the middle of .* \(9112 §8\)"
    ) as caught:
        connection.receive_eof()
    assert (caught.value.status, connection.reason) == (400, Reason.INCOMPLETE)
    assert b"\r\nConnection: close\r\n" in connection.send_whole(Response(400))


@pytest.mark.row("R121")
def test_half_closed_client_is_served_and_its_end_is_met_in_turn() -> None:
    connection = server(GET)
    connection.send(Response(200, make_lines(length(1)), end=False))
    assert kinds(connection.receive_eof()) == [EndOfStream]
    assert connection.half_closed
    connection.send(Data(b"x", True))
    assert connection.persists  # nothing else was announced
    assert connection.next_cycle() == []
    assert (connection.reason, connection.own_state) == (Reason.PEER_CLOSED, State.CLOSED)


@pytest.mark.row("R121", "R60")
@pytest.mark.parametrize("rest", [GET[:-1], POST, POST + b"o"])
def test_pipelined_request_that_a_half_close_cut_is_incomplete(rest: bytes) -> None:
    connection = server(GET + rest)
    connection.receive_eof()
    connection.send_whole(Response(200))
    with pytest.raises(RemoteViolation, match="9112 §8"):
        connection.next_cycle()
    assert connection.reason is Reason.INCOMPLETE


@pytest.mark.row("R55", "R85")
def test_end_of_the_stream_completes_a_close_delimited_response() -> None:
    connection = client()
    connection.receive(UNTIL_CLOSE)
    assert kinds(connection.receive_eof()) == [EndOfMessage]
    assert connection.next_cycle() == []
    assert connection.reason is Reason.CLOSE_DELIMITED


@pytest.mark.row("R55")
def test_end_that_came_during_an_earlier_response_completes_a_later_one() -> None:
    connection = client(2)
    connection.receive(OK + UNTIL_CLOSE)
    assert kinds(connection.receive_eof()) == [EndOfStream]
    assert kinds(connection.next_cycle()) == [Response, Data, EndOfMessage]
    assert (connection.peer_state, connection.reason) == (State.DONE, Reason.CLOSE_DELIMITED)


@pytest.mark.row("R129")
def test_unclean_end_completes_only_what_has_its_own_length() -> None:
    connection = client()
    connection.receive(OK)
    assert kinds(connection.receive_eof(clean=False)) == [EndOfStream]
    connection = client()
    connection.receive(UNTIL_CLOSE)
    with pytest.raises(RemoteViolation) as caught:
        connection.receive_eof(clean=False)
    assert (caught.value.status, connection.reason) == (502, Reason.INCOMPLETE)
    connection = client(2)
    connection.receive(OK + UNTIL_CLOSE)
    connection.receive_eof(clean=False)
    with pytest.raises(RemoteViolation):
        connection.next_cycle()


# Faults of the peer


@pytest.mark.row("R9", "R98", "R115")
def test_violation_is_sticky_and_one_last_response_announces_the_close() -> None:
    connection = ServerConnection()
    with pytest.raises(RemoteViolation):
        connection.receive(b"GET\r\n\r\n")
    assert connection.receive(GET) == []
    assert connection.receive_eof() == []
    assert connection.send_whole(Response(400)) == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with pytest.raises(LocalViolation, match="by a server that is done"):
        connection.send_whole(Response(400))
    assert connection.reason is Reason.BAD_SYNTAX


@pytest.mark.row("R9", "R68")
def test_answer_to_an_unreadable_request_is_not_shaped_by_the_one_before() -> None:
    connection = server(HEAD)
    connection.send_whole(Response(200), b"unseen")
    connection.next_cycle()
    with pytest.raises(RemoteViolation):
        connection.receive(b"GET\r\n\r\n")
    assert connection.send_whole(Response(400), b"why").endswith(b"\r\n\r\nwhy")


@pytest.mark.row("R9")
def test_violation_of_a_pipelined_request_comes_in_its_turn() -> None:
    connection = server(GET + b"rubbish\r\n\r\n")
    assert connection.send_whole(Response(200)).startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(RemoteViolation):
        connection.next_cycle()
    assert (connection.exchanges, connection.reason) == (1, Reason.BAD_SYNTAX)


# Faults of the caller


@pytest.mark.parametrize(
    ("make", "event"),
    [
        (server, Response(200)),
        (server, Interim(100)),
        (server, Request(b"GET", b"/", HOST)),
        (server, Data(b"x")),
        (server, EndOfMessage()),
        (server, EndOfStream()),
        (lambda: server(GET), Interim(101)),
        (lambda: server(GET), Interim(200)),
        (lambda: server(GET), Interim(99)),
        (lambda: server(GET), Response(99)),
        (lambda: server(GET), Response(1000)),
        (lambda: server(GET), Response(200, reason_phrase=b"O\r\nK")),
        (lambda: server(GET), Response(200, make_lines(length(5)))),
        (lambda: server(GET), Response(200, make_lines([*length(5), *length(5)]), end=False)),
        (client, Response(200)),
        (client, Interim(100)),
        (client, Data(b"x")),
        (client, EndOfStream()),
        (ClientConnection, Request(b"GET", b"/ x", HOST)),
        (ClientConnection, Request(b"G T", b"/", HOST)),
        (ClientConnection, Request(b"GET", b"/", HOST, end=False)),
    ],
)
def test_event_out_of_place_changes_nothing(make: Callable[[], Connection], event: Event) -> None:
    connection = make()
    before = (connection.own_state, connection.peer_state, connection.reason, connection.response_framing)
    with pytest.raises(LocalViolation) as caught:
        connection.send(event)
    assert caught.value.reason is Reason.LOCAL_FAULT
    assert before == (
        connection.own_state,
        connection.peer_state,
        connection.reason,
        connection.response_framing,
    )
    if connection.role is Role.SERVER and connection.peer_state is State.DONE:
        assert connection.send_whole(Response(500)).startswith(b"HTTP/1.1 500 ")
        assert connection.persists


def test_server_that_was_not_asked_speaks_only_to_end() -> None:
    connection = server(GET[:9])
    with pytest.raises(LocalViolation, match="there is no request to answer"):
        connection.send_whole(Response(408))
    connection.limit = Reason.HEAD_TIMEOUT
    assert connection.send_whole(Response(408)) == (
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert connection.reason is Reason.HEAD_TIMEOUT


@pytest.mark.row("R66", "S5")
@pytest.mark.parametrize(
    "events", [[Data(b"abc")], [Data(b"a", True)], [EndOfMessage()], [Data(b"ab"), Data(b"c")]]
)
def test_content_of_the_wrong_length_ends_the_connection(events: list[Event]) -> None:
    connection = server(GET)
    connection.send(Response(200, make_lines(length(2)), end=False))
    *fitting, last = events
    for event in fitting:
        connection.send(event)
    with pytest.raises(LocalViolation, match="than its Content-Length"):
        connection.send(last)
    assert (connection.own_state, connection.reason) == (State.ERROR, Reason.LOCAL_FAULT)
    with pytest.raises(LocalViolation, match="by a side that is error"):
        connection.send(Data(b"x"))
    assert connection.next_cycle() == []
    assert connection.own_state is State.CLOSED


@pytest.mark.row("R68", "R51", "R44")
@pytest.mark.parametrize(("request_head", "status"), [(HEAD, 200), (GET, 204), (GET, 205), (GET, 304)])
def test_content_that_http_does_not_allow_is_dropped(request_head: bytes, status: int) -> None:
    connection = server(request_head)
    octets = connection.send(Response(status, end=False))
    assert octets.endswith(b"\r\n\r\n")
    assert connection.send(Data(b"content")) == b""
    assert connection.send(EndOfMessage()) == b""
    connection.next_cycle()
    assert connection.idle


# Ending


@pytest.mark.parametrize("make", [server, client])
def test_end_is_recorded_once_and_nothing_follows(make: Callable[[], Connection]) -> None:
    connection = make()
    connection.end(Reason.IDLE_LIMIT)
    connection.end(Reason.DRAIN)
    assert (connection.reason, connection.persists) == (Reason.IDLE_LIMIT, False)
    assert (connection.own_state, connection.peer_state) == (State.CLOSED, State.CLOSED)
    assert connection.receive(GET) == []
    with pytest.raises(LocalViolation):
        connection.send(Data(b"x"))


@pytest.mark.row("R96")
def test_reason_to_end_that_was_decided_is_kept() -> None:
    connection = server(b"GET / HTTP/1.0\r\n\r\n")
    connection.send_whole(Response(200, version=HTTP_10))
    connection.end(Reason.DRAIN)
    assert connection.reason is Reason.HTTP_10


def test_exchange_under_way_may_become_the_last_before_or_after_its_head() -> None:
    connection = server(GET)
    connection.end_after_exchange(Reason.UPGRADE_REJECTED)
    assert b"\r\nConnection: close\r\n" in connection.send_whole(Response(200))
    assert connection.reason is Reason.UPGRADE_REJECTED
    connection = server(GET + GET)
    assert b"close" not in connection.send(Response(200, end=False))
    connection.end_after_exchange(Reason.UPGRADE_REJECTED)
    connection.send(EndOfMessage())
    assert (connection.persists, connection.reason) == (False, Reason.UPGRADE_REJECTED)
    assert connection.next_cycle() == []


def test_exchange_that_is_the_last_one_already_keeps_its_reason() -> None:
    connection = server(GET)
    connection.limit = Reason.DRAIN
    connection.end_after_exchange(Reason.UPGRADE_REJECTED)
    connection.send_whole(Response(200))
    assert connection.reason is Reason.DRAIN
    connection = server(b"GET / HTTP/1.0\r\n\r\n")
    connection.send_whole(Response(200, version=HTTP_10))
    connection.end_after_exchange(Reason.UPGRADE_REJECTED)
    assert connection.reason is Reason.HTTP_10
