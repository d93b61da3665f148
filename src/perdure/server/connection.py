"""The serving side of one connection, without what answers the requests.

`InboundConnection` reads requests, keeps the times, refuses what is wrong, drains what was left
unread, announces and performs closes. A subclass answers: an ASGI application, a gateway.

    wire_opened ─▶ first head ─Request─▶ exchange ─response and request complete─▶ idle ─┐
                      │                    ▲  │                                      │   │
                      │ head_timeout       └──┼────────── the next Request ──────────┘   │
                      ▼                       ▼ not persistent, fault                    ▼ idle limit
                     408 ──────────────▶ lingering close ◀────────────────────────────────

One deadline per connection, moved as it goes through these phases; one sweep looks at all.

RFC 9112 §9.3 to §9.6; RFC 9110 §15.5.9 (408).
"""

from __future__ import annotations

import enum
import logging
import math
from collections.abc import Sequence
from typing import Final

from perdure.core import (
    Data,
    EndOfMessage,
    Event,
    FieldLine,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    make_line,
)
from perdure.server.registry import Registry
from perdure.wire.errors import WireError
from perdure.wire.loop import LoopWire

logger = logging.getLogger("perdure.server")

PLAIN_TEXT: Final = make_line(b"Content-Type", b"text/plain; charset=utf-8")
CORKED_OCTETS: Final = 65536
"""Responses to pipelined requests are gathered up to this size before they are written."""


@enum.unique
class Phase(enum.Enum):
    """What a deadline that is reached means."""

    HEAD = "a head is awaited or under way"
    CONTENT = "request content is under way"
    ANSWER = "the request is complete, the response is not"
    LEFTOVER = "unread request content is read and dropped"
    IDLE = "between two exchanges"
    ENDED = "closing"


class InboundConnection(LoopWire):
    """One client's connection. Subclass it and define the four hooks.

    Attributes:
        number: counts the connections of the server from 1.
        protocol: the sans-I/O connection.
        phase: see `Phase`.
        idle_since: `now()` when the last exchange was complete.
    """

    __slots__ = (
        "_age_limit",
        "_again",
        "_content_octets",
        "_content_since",
        "_cork_mark",
        "_corked",
        "_corked_octets",
        "_cycling",
        "idle_since",
        "number",
        "phase",
        "protocol",
        "registry",
    )

    def __init__(self, registry: Registry, protocol: ServerConnection | None = None) -> None:
        super().__init__(registry.settings.write_timeout)
        self.registry = registry
        self.protocol = protocol or ServerConnection(registry.limits, registry.terms)
        self.phase = Phase.HEAD
        self.number = 0
        self.idle_since = math.inf
        self._age_limit = math.inf
        self._content_since = 0.0
        self._content_octets = 0
        self._cycling = False
        self._again = False
        self._corked: list[bytes] = []
        self._corked_octets = 0
        self._cork_mark = 0

    # Hooks: what a subclass defines.

    def exchange_begins(self, request: Request) -> None:
        """The head of a request came; `content_arrived` follows unless `request.end`."""
        raise NotImplementedError

    def content_arrived(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Request content came; with `end` it was the last (octets may then be b"")."""

    def exchange_aborted(self, reason: Reason) -> None:
        """The exchange will not be completed: the client is gone or broke the protocol.

        Drop what works on it. Whatever is sent afterwards is ignored.
        """

    # What a subclass calls.

    def respond(self, response: Response, content: bytes = b"") -> None:
        """Send a whole response.

        Raises:
            LocalViolation: it is not a response that can be sent now; nothing was sent.

        RFC 9112 §6.
        """
        if self.phase is Phase.ENDED:
            return
        self._write_corked(self.protocol.send_whole(response, content))
        self._response_complete()

    def begin_response(self, response: Response) -> None:
        """Send the head of a response whose content follows. Raises as `respond`."""
        if self.phase is not Phase.ENDED:
            self._write_corked(self.protocol.send(response))

    def send_content(self, octets: bytes) -> None:
        """Send some content of a response. Stop while `writing_paused`.

        Raises:
            LocalViolation: it is longer than the response's head said; the connection is cut off.
        """
        if self.phase is Phase.ENDED or not octets:
            return
        self._write_corked(self._send_or_cut(Data(octets)))

    def end_response(self, trailers: Sequence[FieldLine] = ()) -> None:
        """Complete a response.

        Raises:
            LocalViolation: it is shorter than its head said; the connection is cut off, so that
                the client sees that something is missing.
        """
        if self.phase is Phase.ENDED:
            return
        octets = self._send_or_cut(EndOfMessage(trailers))
        if octets:
            self._write_corked(octets)
        self._response_complete()

    def send_interim(self, interim: Interim) -> None:
        """Send an interim response; an HTTP/1.0 client gets none. RFC 9110 §15.2."""
        if self.phase is not Phase.ENDED and (octets := self.protocol.send(interim)):
            self._write_corked(octets)

    def refuse(self, status: int, message: str, fields: Sequence[FieldLine] = ()) -> None:
        """Answer with an error of our own; the connection lives on where framing allows."""
        content = message.encode() + b"\n"
        self.respond(Response(status, [PLAIN_TEXT, *fields, *self.own_fields()]), content)

    def abandon_response(self, reason: Reason) -> None:
        """End the connection in the middle of a response, so that the truncation shows. RFC 9112 §8."""
        if self.phase is Phase.ENDED:
            return
        self.protocol.end(reason)
        self._flush()
        self._ended()
        self.abort() if self.protocol.response_framing.kind.name == "UNTIL_CLOSE" else self._linger()

    def own_fields(self) -> Sequence[FieldLine]:
        """Fields of every response of ours, such as Date; a subclass may add some."""
        return ()

    # What the wire calls.

    def wire_opened(self) -> None:
        """Enter the registry and await the first head."""
        settings = self.registry.settings
        self.deadline = self.opened_at + settings.head_timeout
        self.number = self.registry.admit(self)
        if settings.max_age is not None:
            # Spread over ± 10 %, so that connections opened together do not end together.
            self._age_limit = self.opened_at + settings.max_age * (0.9 + 0.2 * (self.number * 0.618 % 1))
        if self.registry.draining:
            self.drain()

    def data_received(self, octets: bytes) -> None:
        """Feed the protocol and act on its events."""
        phase = self.phase
        if phase is Phase.IDLE:
            self.phase = Phase.HEAD
            self.deadline = self.now() + self.registry.settings.head_timeout
            self.registry.idle.pop(self, None)
        protocol = self.protocol
        try:
            events = protocol.receive(octets)
        except RemoteViolation as violation:
            self._violated(violation)
            return
        if events:
            self._handle(events)
        elif phase is Phase.ANSWER and protocol.waiting_octets > self.registry.settings.pipeline_octets:
            self.pause_reading()

    def end_received(self) -> None:
        """The client sends nothing more; it may still want its answers (R121)."""
        try:
            self.protocol.receive_eof()
        except RemoteViolation as violation:
            self._violated(violation)
            return
        if self.protocol.own_state is State.CLOSED:
            self._ended()
            self.close()

    def wire_lost(self, error: WireError | None) -> None:
        """Tell the subclass if its exchange is lost; leave the registry."""
        exchanging = self.phase in (Phase.CONTENT, Phase.ANSWER)
        self.protocol.end(Reason.PEER_RESET if error is not None else Reason.PEER_CLOSED)
        reason = self.protocol.reason or Reason.PEER_CLOSED
        self.phase = Phase.ENDED
        if exchanging:
            self.exchange_aborted(reason)
        self.registry.remove(self, reason)
        if logger.isEnabledFor(logging.DEBUG):
            self._log_end(reason)

    def deadline_reached(self, now: float) -> None:
        """A time ran out; which one, the phase tells."""
        phase = self.phase
        if phase is Phase.IDLE:
            self.end_connection(Reason.DRAIN if self.registry.draining else Reason.IDLE_LIMIT)
        elif phase is Phase.HEAD:
            self._time_out(Reason.HEAD_TIMEOUT, "the head of the request took too long")
        elif phase is Phase.CONTENT:
            self._check_content_rate(now)
        elif phase is Phase.LEFTOVER:
            self.end_connection(Reason.UNREAD_CONTENT)
        else:
            self.deadline = math.inf

    def write_stalled(self, now: float) -> None:
        """The client took nothing for `write_timeout`: give up on it."""
        self.cut_off(Reason.WRITE_TIMEOUT)

    # Exchanges.

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is Request:
                self._begin(event)  # type: ignore[arg-type]  # kind says Request
            elif kind is Data:
                self._take_content(event.octets, event.end, ())  # type: ignore[union-attr]  # kind says Data
            elif isinstance(event, EndOfMessage):
                self._take_content(b"", True, event.trailers)
            if self.phase is Phase.ENDED:
                return

    def _begin(self, request: Request) -> None:
        registry = self.registry
        registry.requests += 1
        if request.end:
            self.phase = Phase.ANSWER
            self.deadline = math.inf
        else:
            self.phase = Phase.CONTENT
            self._content_since = self.now()
            self._content_octets = 0
            self.deadline = self._content_since + registry.settings.body_grace
        self.exchange_begins(request)

    def _take_content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        self._content_octets += len(octets)
        if self.phase is Phase.CONTENT:
            if end:
                self.phase = Phase.ANSWER
                self.deadline = math.inf
            self.content_arrived(octets, end, trailers)
        elif self.phase is Phase.LEFTOVER:
            if end:
                self._next_exchange()
            elif self._content_octets > self.registry.settings.drain_body:
                self.end_connection(Reason.UNREAD_CONTENT)

    def _response_complete(self) -> None:
        protocol = self.protocol
        if not protocol.persists:
            self._flush()
            self._ended()
            self._linger()
        elif protocol.peer_state is State.DONE:
            self._next_exchange()
        else:
            self.phase = Phase.LEFTOVER
            self._content_octets = 0
            self.deadline = self.now() + self.registry.settings.drain_body_seconds
            self._flush()
            self.resume_reading()

    def _next_exchange(self) -> None:
        """Go on with what has already arrived, else become idle. Flat, however many are pipelined."""
        if self._cycling:
            self._again = True
            return
        self._cycling = True
        try:
            self._again = True
            while self._again and self.phase is not Phase.ENDED:
                self._again = False
                self._cycle()
        finally:
            self._cycling = False

    def _cycle(self) -> None:
        now = self.now()
        protocol = self.protocol
        if now >= self._age_limit:
            protocol.limit = protocol.limit or Reason.MAX_AGE
        settings = self.registry.settings
        self.idle_since = now
        self.phase = Phase.HEAD
        if protocol.waiting_octets:
            self.deadline = now + settings.head_timeout
        else:
            self.deadline = now + self._idle_seconds()
        try:
            events = protocol.next_cycle()
        except RemoteViolation as violation:
            self._flush()
            self._violated(violation)
            return
        if self.reading_paused and protocol.waiting_octets <= settings.pipeline_octets:
            self.resume_reading()
        if protocol.own_state is State.CLOSED:
            self._flush()
            self._ended()
            self.close()
        elif events:
            self._handle(events)
            self._flush_soon()
        elif not protocol.waiting_octets:
            self._flush()
            self.phase = Phase.IDLE
            self.registry.idle[self] = None
        else:
            self._flush()

    def _idle_seconds(self) -> float:
        settings = self.registry.settings
        if self.registry.draining:
            return settings.drain_grace
        return settings.idle_timeout + settings.idle_buffer

    # Writing.

    def _write_corked(self, octets: bytes) -> None:
        """Write, or gather while further requests have arrived: few writes for many responses."""
        if self._corked:
            self._corked.append(octets)
            self._corked_octets += len(octets)
            if self.protocol.waiting_octets and self._corked_octets < CORKED_OCTETS:
                return
            self._flush()
        elif self.protocol.waiting_octets and len(octets) < CORKED_OCTETS:
            self._corked.append(octets)
            self._corked_octets = len(octets)
            self._flush_soon()
        else:
            self.write(octets)

    def _flush(self) -> None:
        if self._corked:
            corked, self._corked = self._corked, []
            self._corked_octets = 0
            self.write(b"".join(corked))

    def _flush_soon(self) -> None:
        """Write what is gathered once the loop comes round, unless more was gathered until then."""
        if self._corked:
            self._cork_mark = len(self._corked)
            self.loop.call_soon(self._flush_unless_grown, self._cork_mark)

    def _flush_unless_grown(self, mark: int) -> None:
        if len(self._corked) == mark and not self.lost:
            self._flush()

    def _send_or_cut(self, event: Event) -> bytes:
        try:
            return self.protocol.send(event)
        except LocalViolation:
            self.cut_off(Reason.LOCAL_FAULT)
            raise

    # Ends.

    def _violated(self, violation: RemoteViolation) -> None:
        """Refuse what is not HTTP, if an answer can still be given; then close."""
        logger.warning("connection %d: %s", self.number, violation)
        answerable = self.protocol.own_state is State.IDLE
        exchanging = self.phase in (Phase.CONTENT, Phase.ANSWER)
        if exchanging:
            self.exchange_aborted(violation.reason)
        if self.phase is Phase.ENDED:
            return
        if answerable:
            self.refuse(violation.status, str(violation))
        else:
            self._flush()
            self._ended()
            self._linger() if self.protocol.own_state is State.DONE else self.abort()

    def _time_out(self, reason: Reason, sentence: str) -> None:
        self._violated(self._fault(RemoteViolation(sentence, reason, 408)))

    def _fault(self, violation: RemoteViolation) -> RemoteViolation:
        self.protocol.peer_state = State.ERROR
        self.protocol.reason = violation.reason
        return violation

    def _check_content_rate(self, now: float) -> None:
        """A body may take `body_grace`, and longer as long as it averages `body_min_rate`."""
        settings = self.registry.settings
        if self.reading_paused:  # we are the slow ones
            self._content_since = now
            self._content_octets = 0
            self.deadline = now + settings.body_grace
            return
        allowed = settings.body_grace + self._content_octets / settings.body_min_rate
        if now < self._content_since + allowed:
            self.deadline = self._content_since + allowed
            return
        self._time_out(Reason.BODY_TIMEOUT, f"{self._content_octets} octets of content in {allowed:.0f} s")

    def end_connection(self, reason: Reason) -> None:
        """End a connection that has no exchange under way, by FIN, reading on for a while."""
        if self.phase is Phase.ENDED:
            return
        self.protocol.end(reason)
        self._flush()
        self._ended()
        self._linger()

    def cut_off(self, reason: Reason) -> None:
        """End the connection at once, whatever is under way."""
        exchanging = self.phase in (Phase.CONTENT, Phase.ANSWER)
        if self.phase is not Phase.ENDED:
            self.protocol.end(reason)
            self.protocol.reason = reason
            self._ended()
            if exchanging:
                self.exchange_aborted(reason)
        self.abort()

    def drain(self) -> None:
        """End with the exchange under way, or the next one if it comes within the grace."""
        self.protocol.limit = Reason.DRAIN
        if self.phase is Phase.IDLE or (self.phase is Phase.HEAD and not self.protocol.waiting_octets):
            self.deadline = min(self.deadline, self.now() + self.registry.settings.drain_grace)

    def _ended(self) -> None:
        self.phase = Phase.ENDED
        self.deadline = math.inf
        self.registry.idle.pop(self, None)

    def _linger(self) -> None:
        settings = self.registry.settings
        self.linger(settings.linger_octets, settings.linger_idle, settings.linger_total)

    def _log_end(self, reason: Reason) -> None:
        idle = self.now() - self.idle_since if self.idle_since != math.inf else 0.0
        logger.debug(
            "connection %d: closed after %d requests, %.1f s idle: %s",
            self.number,
            self.protocol.exchanges,
            idle,
            reason,
        )
