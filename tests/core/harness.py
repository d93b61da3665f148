"""Feed a connection octets in pieces, and say what it made of them in a form that can be compared.

How octets are cut on their way must not change what they mean, so each head and body is read in
three ways: all at once, one octet at a time, and cut at every position. Data events are merged and
the end of a message is said in one way, whichever event told it; what is left must be equal.

After a violation only whole messages are compared: events that lie in the same octets as a fault
are not handed out, so how much of the faulty message was seen depends on the cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from perdure.core import (
    CLIENT_LIMITS,
    SERVER_LIMITS,
    ClientConnection,
    Connection,
    Data,
    EndOfMessage,
    EndOfStream,
    Event,
    FieldLine,
    FramingKind,
    Interim,
    Limits,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    make_lines,
)

Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]
Pieces: TypeAlias = Sequence[bytes]
HOST: Pairs = ((b"Host", b"x"),)


class Head(NamedTuple):
    """A Request, Response or Interim, normalised: `start` is (method, target) or (status, phrase)."""

    start: tuple[object, ...]
    version: tuple[int, int]
    fields: Pairs
    kind: FramingKind
    length: int


class Content(NamedTuple):
    """All the content between a head and its end."""

    octets: bytes


class End(NamedTuple):
    """The end of a message, with its trailers."""

    trailers: Pairs


class Stop(NamedTuple):
    """The end of the stream, between messages."""


Normal: TypeAlias = Head | Content | End | Stop


class Outcome(NamedTuple):
    """What a connection made of octets: two outcomes are equal if nobody could tell them apart."""

    events: tuple[Normal, ...]
    status: int | None
    """Of the violation, None if there was none."""
    reason: Reason | None
    """Of the violation if there was one; else of the connection."""

    @property
    def heads(self) -> list[Head]:
        return [event for event in self.events if isinstance(event, Head)]

    @property
    def starts(self) -> list[tuple[object, ...]]:
        """(method, target) or (status, phrase) of each head."""
        return [head.start for head in self.heads]

    @property
    def contents(self) -> list[bytes]:
        return [event.octets for event in self.events if isinstance(event, Content)]

    @property
    def trailers(self) -> list[Pairs]:
        """Of each complete message, () where it had none."""
        return [event.trailers for event in self.events if isinstance(event, End)]

    @property
    def complete(self) -> int:
        """How many messages came to their end."""
        return len(self.trailers)


def pairs_of(lines: Iterable[FieldLine]) -> Pairs:
    """(name, value) of field lines, the name as received."""
    return tuple((line.name, line.value) for line in lines)


def head_of(event: Request | Response | Interim) -> Head:
    """The normal form of a head."""
    fields = pairs_of(event.fields)
    if isinstance(event, Request):
        framing = event.framing
        return Head((event.method, event.target), event.version, fields, framing.kind, framing.length)
    start = (event.status, event.reason_phrase)
    if isinstance(event, Interim):
        return Head(start, (1, 1), fields, FramingKind.NONE, 0)
    return Head(start, event.version, fields, event.framing.kind, event.framing.length)


def normalise(events: Iterable[Event]) -> tuple[Normal, ...]:
    """Merge adjacent Data, and say every end of a message in the same way."""
    normal: list[Normal] = []
    for event in events:
        if isinstance(event, EndOfStream):
            normal.append(Stop())
            continue
        if isinstance(event, (Request, Response, Interim)):
            normal.append(head_of(event))
        elif isinstance(event, Data) and event.octets:
            last = normal[-1] if normal else None
            if isinstance(last, Content):
                normal[-1] = Content(last.octets + event.octets)
            else:
                normal.append(Content(event.octets))
        if event.end:
            normal.append(End(pairs_of(event.trailers) if isinstance(event, EndOfMessage) else ()))
    return tuple(normal)


def whole_messages(events: tuple[Normal, ...]) -> tuple[Normal, ...]:
    """What there is up to the last end of a message."""
    ends = [place for place, event in enumerate(events) if isinstance(event, End)]
    return events[: ends[-1] + 1] if ends else ()


# Ways to cut


def singly(octets: bytes) -> list[bytes]:
    """One octet at a time."""
    return [octets[place : place + 1] for place in range(len(octets))]


def cut(octets: bytes, *places: int) -> list[bytes]:
    """In pieces that begin at these places."""
    edges = [0, *sorted(places), len(octets)]
    return [octets[start:end] for start, end in pairwise(edges)]


def every_way(octets: bytes) -> Iterator[Pieces]:
    """All at once, one at a time, and in two at every place."""
    yield [octets]
    yield singly(octets)
    for place in range(1, len(octets)):
        yield cut(octets, place)


# Sides


def respond(connection: ServerConnection, request: Request) -> bytes:
    """The answer of a server that only counts: 200 without content."""
    return connection.send_whole(Response(200))


def drive(
    connection: Connection, pieces: Iterable[bytes], eof: bool, take: Callable[[list[Event]], None]
) -> Outcome:
    """Feed the pieces; `take` gets the events of each, and completes exchanges."""
    events: list[Event] = []

    def take_all(received: list[Event]) -> None:
        events.extend(received)
        take(received)
        while connection.peer_state is State.DONE and is_over(connection):
            received = connection.next_cycle()
            events.extend(received)
            take(received)

    try:
        for piece in pieces:
            take_all(connection.receive(piece))
        if eof:
            take_all(connection.receive_eof())
    except RemoteViolation as violation:
        return Outcome(whole_messages(normalise(events)), violation.status, violation.reason)
    return Outcome(normalise(events), None, connection.reason)


def is_over(connection: Connection) -> bool:
    """True if nothing stands in the way of the next exchange."""
    return connection.own_state is State.DONE or not connection.persists


def read_requests(
    pieces: Iterable[bytes],
    *,
    eof: bool = False,
    limits: Limits = SERVER_LIMITS,
    connection: ServerConnection | None = None,
    answer: Callable[[ServerConnection, Request], bytes] = respond,
    sent: bytearray | None = None,
) -> Outcome:
    """What a server reads; each request is answered once it is complete.

    A violation while the next of pipelined requests is read keeps the earlier ones.
    """
    server = connection if connection is not None else ServerConnection(limits)
    octets = sent if sent is not None else bytearray()
    requests: list[Request] = []

    def take(received: list[Event]) -> None:
        requests.extend(event for event in received if isinstance(event, Request))
        if server.peer_state is State.DONE and server.own_state is State.IDLE:
            octets.extend(answer(server, requests[-1]))

    return drive(server, pieces, eof, take)


def read_responses(
    pieces: Iterable[bytes],
    requests: Sequence[bytes | Request] = (b"GET",),
    *,
    eof: bool = False,
    limits: Limits = CLIENT_LIMITS,
    connection: ClientConnection | None = None,
) -> Outcome:
    """What a client reads that has sent these requests: methods, or requests without content."""
    client = connection if connection is not None else ClientConnection(limits)
    for request in requests:
        client.send_whole(request if isinstance(request, Request) else request_for(request))
    return drive(client, pieces, eof, lambda received: None)


def request_for(method: bytes) -> Request:
    """A request without content, to the host x."""
    return Request(method, b"x:80" if method == b"CONNECT" else b"/", make_lines(HOST))


def only(outcomes: Iterable[Outcome]) -> Outcome:
    """The one outcome that all ways of cutting lead to."""
    first, *rest = outcomes
    for number, other in enumerate(rest):
        assert other == first, f"way {number + 1} of cutting the octets changes what they mean"
    return first


def requests_every_way(octets: bytes, *, eof: bool = False, limits: Limits = SERVER_LIMITS) -> Outcome:
    """What a server reads, however the octets are cut."""
    return only(read_requests(pieces, eof=eof, limits=limits) for pieces in every_way(octets))


def responses_every_way(
    octets: bytes,
    requests: Sequence[bytes | Request] = (b"GET",),
    *,
    eof: bool = False,
    limits: Limits = CLIENT_LIMITS,
) -> Outcome:
    """What a client reads, however the octets are cut."""
    return only(read_responses(pieces, requests, eof=eof, limits=limits) for pieces in every_way(octets))
