"""One HTTP/1.x connection without any I/O: octets in, events out; events in, octets out.

    connection = ServerConnection()
    for event in connection.receive(octets): ...          # up to the end of one message
    transport.write(connection.send_whole(Response(200), b"hello"))
    events = connection.next_cycle()                        # pipelined requests are here already

The driver owns the socket and the clock. It calls `receive` with what arrives, `receive_eof` when
the peer has closed its side, `send` or `send_whole` with what it wants to say, and `next_cycle`
once both messages are complete. It asks `reason` whether the connection persists, and why.
This file holds what both sides share; `ServerConnection` and `ClientConnection` add their half.

Invariants
  1. `receive` hands out nothing beyond the end of the current message; the rest waits.
  2. `reason` is decided before the head of a response is serialised, and is sticky: once the
     connection ends, it ends.
  3. After an exception nothing more is read from the peer; a server may send one final
     response, which announces the close.
  4. Octets that belong to no outstanding request never become an event at a client (R64, R90).

RFC 9112 §9; the states are drawn in `states`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from perdure.core.errors import LocalViolation, RemoteViolation
from perdure.core.events import NO_LINES, Data, EndOfMessage, EndOfStream, Event, Interim, Request, Response
from perdure.core.fields import HTTP_11, Facts, FieldLine
from perdure.core.framing import NO_CONTENT, Framing, FramingKind, Outgoing
from perdure.core.limits import Limits
from perdure.core.persistence import Role
from perdure.core.reader import Phase, Reader
from perdure.core.reason import Reason
from perdure.core.states import State
from perdure.core.terms import DEFAULT_TERMS, Terms
from perdure.core.writer import ContentWriter

NO_REQUEST: Final = Facts(HTTP_11, True, NO_LINES)
"""Stands for a request that could not be read."""
NOTHING_SENT: Final = Outgoing(NO_CONTENT)

# Looking up a member of an Enum costs 0.2 µs on CPython 3.11, a global 0.02 (bench/bench_server.py).
_IDLE, _SENDING, _DONE, _CLOSED, _ERROR = State.IDLE, State.SENDING, State.DONE, State.CLOSED, State.ERROR
_PERSISTS_11, _PERSISTS_10 = Reason.PERSISTS_11, Reason.PERSISTS_10
_NONE, _TUNNEL = FramingKind.NONE, FramingKind.TUNNEL
_PHASE_HEAD, _PHASE_DONE = Phase.HEAD, Phase.DONE


class Connection:
    """One side of one connection; see the module.

    Attributes:
        role: who we are.
        own_state, peer_state: where each side is in its message (`states`).
        reason: None while nothing is decided about the current exchange; afterwards why the
            connection persists or ends.
        limit: set by the driver to a Reason of its own (drain, age, pressure): the connection
            ends with the exchange under way, or with the next.
        exchanges: completed ones.
        half_closed: True once the peer has closed its sending side.
        response_framing: of the current response, once its head is through.
    """

    __slots__ = (
        "_clean",
        "_content",
        "_limits",
        "_outgoing",
        "_reader",
        "_terms",
        "exchanges",
        "half_closed",
        "limit",
        "own_state",
        "peer_state",
        "reason",
        "response_framing",
        "role",
    )

    def __init__(self, role: Role, limits: Limits, terms: Terms = DEFAULT_TERMS) -> None:
        self.role = role
        self.own_state = _IDLE
        self.peer_state = _IDLE
        self.reason: Reason | None = None
        self.limit: Reason | None = None
        self.exchanges = 0
        self.half_closed = False
        self.response_framing: Framing = NO_CONTENT
        self._limits = limits
        self._terms = terms
        self._reader = Reader(limits)
        self._outgoing = NOTHING_SENT
        self._content: ContentWriter | None = None
        self._clean = True

    # What may be asked

    @property
    def persists(self) -> bool:
        """True unless something decided that this connection ends. RFC 9112 §9.3."""
        reason = self.reason
        return reason is None or reason is _PERSISTS_11 or reason is _PERSISTS_10

    @property
    def idle(self) -> bool:
        """True between messages: nothing of the next one was sent or read. RFC 9112 §9.5."""
        return self.own_state is _IDLE and self.peer_state is _IDLE

    @property
    def waiting_octets(self) -> int:
        """Octets received and not yet consumed, such as pipelined requests. RFC 9112 §9.3.2."""
        reader = self._reader
        return len(reader.buffer) - reader.start

    def waiting_heads(self, most: int) -> int:
        """Heads among the `waiting_octets`, counted up to `most`; an empty line in content counts too.

        RFC 9112 §9.3.2.
        """
        buffer, at, heads = self._reader.buffer, self._reader.start, 0
        while heads < most and (end := buffer.find(b"\r\n\r\n", at)) >= 0:
            heads += 1
            at = end + 4
        return heads

    # Receiving

    def receive(self, octets: bytes) -> list[Event]:
        """Take octets from the peer; hand out events up to the end of the current message.

        Args:
            octets: as received; b"" is no end of stream (see `receive_eof`), it changes nothing.

        Raises:
            RemoteViolation: the peer broke the protocol. `reason` and `violation.status` say
                how; events of the same octets before the fault are not handed out. Afterwards
                nothing more is read; a server may still `send_whole` one response.

        RFC 9112 §2.2, §6.3, §9.2.
        """
        state = self.peer_state
        if state is _ERROR or state is _CLOSED:
            return []
        self._reader.push(octets)
        return self._advance()

    def _advance(self) -> list[Event]:
        events: list[Event] = []
        try:
            if self.peer_state is _IDLE:
                self._read_head(events)
            if self.peer_state is _SENDING:
                self._read_content(events)
        except RemoteViolation as violation:
            self._broken(violation)
            raise
        return events

    def _broken(self, violation: RemoteViolation) -> None:
        """Read nothing more from a peer that broke the protocol."""
        self.peer_state = _ERROR
        self.reason = violation.reason
        if self.role is Role.CLIENT:
            violation.status = 502  # whatever in a response is at fault: what a gateway answers

    def _read_head(self, events: list[Event]) -> None:
        """Read the head of the peer's next message, if it is complete."""
        raise AssertionError("a Connection is a ServerConnection or a ClientConnection")

    def _read_content(self, events: list[Event]) -> None:
        self._reader.read_content(events)
        if self._reader.phase is _PHASE_DONE:
            self.peer_state = _DONE

    def receive_eof(self, clean: bool = True) -> list[Event]:
        """Take the news that the peer will send nothing more.

        Args:
            clean: False where TLS was cut off without a closing alert: content that the close
                delimits is then incomplete (RFC 9112 §9.8, R129).

        Returns:
            [EndOfMessage] if that completes a close-delimited response, [EndOfStream] between
            messages. A server may still answer what it has read (R121).

        Raises:
            RemoteViolation: with Reason.INCOMPLETE in the middle of a message, or at a client
                that awaits a response.

        RFC 9112 §8, §9.6.
        """
        if self.half_closed or self.peer_state is _ERROR or self.peer_state is _CLOSED:
            return []
        self.half_closed = True
        self._clean = clean
        return self._meet_end() or [EndOfStream()]

    def _meet_end(self) -> list[Event]:
        """Say what the end of the stream means to the message that the peer is in, if any."""
        if self.peer_state is _SENDING:
            if self._reader.phase is Phase.UNTIL_CLOSE and (self._clean or self.reason is Reason.TUNNEL):
                self.peer_state = _DONE
                return [EndOfMessage()]
            self._incomplete("in the middle of its content")
        if self.peer_state is _IDLE:
            if self._reader.waiting_octets:
                self._incomplete("in the middle of a head")
            self._idle_eof()
        return []

    def _idle_eof(self) -> None:
        self.end(Reason.PEER_CLOSED)

    def _incomplete(self, where: str) -> NoReturn:
        self.peer_state = _ERROR
        self.reason = Reason.INCOMPLETE
        message = f"the peer closed the connection {where} (9112 §8)"
        raise RemoteViolation(message, Reason.INCOMPLETE, 502 if self.role is Role.CLIENT else 400)

    # Sending

    def send(self, event: Event) -> bytes:
        """Turn an event into octets to send.

        A head with `end` completes the message; otherwise Data and a last Data with `end`, or an
        EndOfMessage, follow. Content that HTTP does not allow there (HEAD, 204, 304) is dropped.

        Raises:
            LocalViolation: the event does not fit the state, or the message its own head;
                nothing of it was or may be sent, and unless it was a head the connection must
                be closed: the peer has a part of a message.

        RFC 9112 §6, §7.1, §9.3.
        """
        if isinstance(event, Data):
            return self._send_content(event.octets, event.end, NO_LINES)
        if isinstance(event, EndOfMessage):
            return self._send_content(b"", True, event.trailers)
        if isinstance(event, Interim):
            return self._send_interim(event)
        if isinstance(event, (Request, Response)):
            return self._send_head(event, 0 if event.end else None)
        raise self._local("an end of stream is sent by closing")

    def send_whole(self, head: Request | Response, content: bytes = b"") -> bytes:
        """Turn a head and all of its content into octets: one message, one write.

        A Content-Length is added unless the fields have it. Raises as `send`. RFC 9112 §6.2.
        """
        octets = self._send_head(head, len(content))
        return octets + content if content and not self._outgoing.silent else octets

    def _send_head(self, head: Request | Response, length: int | None) -> bytes:
        raise AssertionError("a Connection is a ServerConnection or a ClientConnection")

    def _send_interim(self, interim: Interim) -> bytes:
        raise self._local("a client sends no interim responses (9110 §15.2)")

    def _begin_sending(self, outgoing: Outgoing, whole: bool) -> None:
        self._outgoing = outgoing
        kind = outgoing.framing.kind
        if (whole or kind is _NONE) and kind is not _TUNNEL:
            self.own_state = _DONE
            return
        self.own_state = _SENDING
        self._content = ContentWriter(outgoing)

    def _send_content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> bytes:
        if self.own_state is not _SENDING or self._content is None:
            if self.own_state is _DONE and self._outgoing.silent:
                return b""
            raise self._local(f"content cannot be sent by a side that is {self.own_state.value}")
        try:
            written = self._content.write(octets)
            if end:
                written += self._content.finish(trailers)
        except LocalViolation:
            self.own_state = _ERROR
            self.reason = Reason.LOCAL_FAULT
            raise
        if end:
            self.own_state = _DONE
            self._content = None
        return written

    def _local(self, message: str) -> LocalViolation:
        return LocalViolation(message, Reason.LOCAL_FAULT, 500)

    # Cycles

    def next_cycle(self) -> list[Event]:
        """Begin the next exchange, if both messages are complete and the connection persists.

        Returns:
            Events of what has already arrived: a pipelined request, or the next response.
            [] and a `reason` that does not persist where the connection has ended, such as by
            an end of the stream that came meanwhile.

        Raises:
            RemoteViolation: as `receive`.
            LocalViolation: if one of the messages is not complete.

        RFC 9112 §9.3.
        """
        persists = self.persists
        if self.peer_state is not _DONE or (
            persists and self.own_state is not _DONE and self._sends_for_this_exchange()
        ):
            raise self._local("an exchange is not over before both messages are complete")
        self.exchanges += 1
        self._exchange_over()
        if not persists:
            self._close_states()
            return []
        self.peer_state = _IDLE
        self._reader.phase = _PHASE_HEAD
        events = self._advance() if self._reader.waiting_octets else []
        return events + self._meet_end() if self.half_closed else events

    def _sends_for_this_exchange(self) -> bool:
        """False where the message being sent belongs to a later exchange."""
        return True

    def _exchange_over(self) -> None:
        """Forget what belonged to the exchange that is complete."""
        raise AssertionError("a Connection is a ServerConnection or a ClientConnection")

    def end_after_exchange(self, reason: Reason) -> None:
        """Record that the connection ends with the exchange under way, though a head may have said otherwise.

        A reason to end already known is kept. RFC 9112 §9.6.
        """
        self.limit = self.limit or reason
        if self.reason is not None and self.persists:
            self.reason = reason

    def end(self, reason: Reason) -> None:
        """Record that the connection ends now, and why; a reason to end already known is kept.

        Nothing is sent or received afterwards. RFC 9112 §9.6.
        """
        if self.persists:
            self.reason = reason
        self._close_states()

    def _close_states(self) -> None:
        self.own_state = self.peer_state = _CLOSED

    def take_rest(self) -> bytes:
        """Octets that arrived after the head that opened a tunnel. RFC 9110 §9.3.6."""
        return self._reader.take_rest()
