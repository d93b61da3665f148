"""What must hold of any octets whatever; shared by hypothesis (in the suite) and atheris (by hand).

1. Nothing but RemoteViolation is raised; after it nothing is read, and a server may answer once.
2. How octets are cut changes neither the messages read, nor whether they are refused.
3. What waits unread is bounded by the limits, however much arrives.
4. Whatever was read is a message: a head, at most one content, one end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perdure.core import ClientConnection, Connection, Limits, Response, ServerConnection, State
from tests.core.harness import (
    Content,
    End,
    Head,
    Normal,
    Outcome,
    cut,
    read_requests,
    read_responses,
    singly,
    whole_messages,
)

SMALL = Limits(
    max_line=40,
    max_fields=4,
    max_head=100,
    max_chunk_extensions=16,
    max_body=1000,
    max_interim=2,
    drain_body=50,
)
MOST_WAITING = SMALL.max_head + 3
METHODS = (b"GET", b"HEAD", b"GET", b"CONNECT")


def watched(connection: Connection, pieces: Sequence[bytes]) -> Iterator[bytes]:
    """The pieces; what the connection left of each is looked at before the next."""
    for piece in pieces:
        yield piece
        if connection.peer_state in (State.IDLE, State.SENDING):
            assert connection.waiting_octets <= MOST_WAITING


def ways_of(octets: bytes, places: Sequence[int]) -> list[list[bytes]]:
    """All at once, one octet at a time, and cut at these places."""
    return [[octets], singly(octets), cut(octets, *[place % (len(octets) + 1) for place in places])]


def check_server(octets: bytes, places: Sequence[int], eof: bool) -> Outcome:
    """Hold a server to the list above; what it read all at once is returned."""
    outcomes = []
    for pieces in ways_of(octets, places):
        connection = ServerConnection(SMALL)
        outcomes.append(read_requests(watched(connection, pieces), connection=connection, eof=eof))
        if outcomes[-1].status is not None:
            assert 400 <= outcomes[-1].status <= 505
            assert connection.receive(octets) == connection.receive_eof() == []
            if connection.own_state is State.IDLE:
                assert b"\r\nConnection: close\r\n" in connection.send_whole(Response(400))
    return agreed(outcomes)


def check_client(octets: bytes, places: Sequence[int], eof: bool) -> Outcome:
    """Hold a client, which has pipelined METHODS, to the list above."""
    outcomes = []
    for pieces in ways_of(octets, places):
        connection = ClientConnection(SMALL)
        outcomes.append(read_responses(watched(connection, pieces), METHODS, connection=connection, eof=eof))
        if outcomes[-1].status is not None:
            assert outcomes[-1].status == 502
            assert connection.receive(octets) == connection.receive_eof() == []
        finals = [head for head in outcomes[-1].heads if head.start[0] == 101 or not _is_interim(head)]
        assert len(finals) <= len(METHODS)
    return agreed(outcomes)


def _is_interim(head: Head) -> bool:
    status = head.start[0]
    return isinstance(status, int) and status < 200


def agreed(outcomes: list[Outcome]) -> Outcome:
    """The outcome, which the ways of cutting must agree on.

    Of what is not complete yet, octets that trickle in may be refused sooner: each line is looked
    at when it comes, not when the head is complete. Which of several faults is seen first may differ.
    """
    first = outcomes[0]
    for outcome in outcomes:
        assert whole_messages(outcome.events) == whole_messages(first.events)
        if outcome.status is None and first.status is None:
            assert outcome.events == first.events
        check_order(outcome.events)
    return first


def check_order(events: tuple[Normal, ...]) -> None:
    """A head, then at most one content, then an end; interim heads stand alone before a final one."""
    before: Normal | None = None
    for event in events:
        if isinstance(event, Content):
            assert isinstance(before, Head)
            assert event.octets
        elif isinstance(event, End):
            assert isinstance(before, (Head, Content))
        elif isinstance(event, Head) and isinstance(before, Head):
            assert _is_interim(before)
        else:
            assert not isinstance(before, Content)
        before = event
