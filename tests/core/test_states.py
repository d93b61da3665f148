"""Both machines of a connection take the steps of the table, and no others (`states`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from perdure.core import (
    ClientConnection,
    Connection,
    Data,
    EndOfMessage,
    EndOfStream,
    Event,
    Interim,
    LocalViolation,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    make_lines,
    states,
)
from perdure.core.states import TRANSITIONS
from tests.core.harness import every_way

HOST = make_lines([(b"Host", b"x")])
LENGTH_2 = make_lines([(b"Host", b"x"), (b"Content-Length", b"2")])
REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n"
)
RESPONSES = (
    b"HTTP/1.1 100 A\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    b"HTTP/1.1 204 No\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    b"HTTP/1.1 200 OK\r\n\r\nto the end"
)


def walk(state: State, events: Iterable[Event]) -> State:
    """Where the table leads to; KeyError where it has no such step."""
    for event in events:
        state = TRANSITIONS[state][type(event)]
        if event.end and not isinstance(event, EndOfMessage):
            state = TRANSITIONS[state][EndOfMessage]
    return state


def peer_state(connection: Connection) -> State:
    return connection.peer_state


def drive(connection: Connection, pieces: Sequence[bytes]) -> None:
    """Feed the pieces and the end of the stream, answering each request, and hold it to the table."""

    def cycle() -> None:
        """Go through the exchanges that are complete."""
        while connection.peer_state is State.DONE:
            if connection.own_state is State.IDLE:
                connection.send_whole(Response(200))
            events = connection.next_cycle()
            ended = connection.own_state is State.CLOSED
            assert peer_state(connection) is (State.CLOSED if ended else walk(State.IDLE, events))

    for piece in pieces:
        state = connection.peer_state
        events = connection.receive(piece)
        assert peer_state(connection) is walk(state, events)
        cycle()
    state = connection.peer_state
    events = connection.receive_eof()
    assert peer_state(connection) is walk(state, events)
    cycle()


def test_server_reads_requests_by_the_table() -> None:
    for pieces in every_way(REQUESTS):
        connection = ServerConnection()
        drive(connection, pieces)
        assert (connection.exchanges, connection.peer_state) == (3, State.CLOSED)


def test_client_reads_responses_by_the_table() -> None:
    for pieces in every_way(RESPONSES):
        connection = ClientConnection()
        for _ in range(4):
            connection.send_whole(Request(b"GET", b"/", HOST))
        drive(connection, pieces)
        assert (connection.exchanges, connection.peer_state) == (4, State.CLOSED)


def chunked_exchange() -> ServerConnection:
    connection = ServerConnection()
    connection.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection


@pytest.mark.parametrize(
    ("connection", "events"),
    [
        (
            chunked_exchange(),
            [Interim(103), Response(200, end=False), Data(b"a"), Data(b"b"), EndOfMessage()],
        ),
        (chunked_exchange(), [Response(200, end=False), Data(b"b", True)]),
        (chunked_exchange(), [Response(200)]),
        (
            ClientConnection(),
            [
                Request(b"GET", b"/", HOST),
                Request(b"PUT", b"/", LENGTH_2, end=False),
                Data(b"a"),
                Data(b"b"),
                EndOfMessage(),
                Request(b"GET", b"/", HOST),
            ],
        ),
    ],
)
def test_each_side_sends_by_the_table(connection: Connection, events: list[Event]) -> None:
    for event in events:
        state = connection.own_state
        connection.send(event)
        assert connection.own_state is walk(state, [event])


@pytest.mark.parametrize("octets", [b"\0", REQUESTS[:40], REQUESTS.replace(b"2\r\nok", b"2\r\nokk")])
def test_violation_leads_to_error_from_everywhere(octets: bytes) -> None:
    connection = ServerConnection()
    with pytest.raises(RemoteViolation):
        drive(connection, [octets])
    assert connection.peer_state is State.ERROR


@pytest.mark.parametrize("state", [State.CLOSED, State.ERROR])
def test_no_step_leads_out_of_the_last_states(state: State) -> None:
    assert TRANSITIONS[state] == {}
    connection = ServerConnection()
    connection.own_state = connection.peer_state = state
    assert connection.receive(REQUESTS) == []
    assert connection.receive_eof() == []
    with pytest.raises(LocalViolation):
        connection.send(Response(200))


def test_table_has_a_row_for_every_state_and_steps_for_every_event() -> None:
    assert set(TRANSITIONS) == set(State)
    steps = {event for row in TRANSITIONS.values() for event in row}
    assert steps == {Request, Response, Interim, Data, EndOfMessage, EndOfStream}


def test_diagram_draws_every_state() -> None:
    drawing = states.__doc__ or ""
    assert [state.name for state in State if drawing.count(state.name) < 2] == []
