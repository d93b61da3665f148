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

import logging
import math
from collections.abc import Sequence

from perdure.core import (
    Data,
    EndOfMessage,
    Event,
    FieldLine,
    Reason,
    RemoteViolation,
    Request,
    ServerConnection,
    State,
)
from perdure.server.answering import Answering, Phase
from perdure.server.registry import Registry
from perdure.wire.errors import WireError

logger = logging.getLogger("perdure.server")


class InboundConnection(Answering):
    """One client's connection. Subclass it and define the four hooks.

    Attributes:
        number: counts the connections of the server from 1.
        idle_since: `now()` when the last exchange was complete.
    """

    __slots__ = (
        "_again",
        "_age_limit",
        "_content_octets",
        "_content_since",
        "_cycling",
        "idle_since",
        "number",
    )

    def __init__(self, registry: Registry, protocol: ServerConnection | None = None) -> None:
        super().__init__(registry, protocol)
        self.number = 0
        self.idle_since = math.inf
        self._age_limit = math.inf
        self._content_since = 0.0
        self._content_octets = 0
        self._cycling = False
        self._again = False

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
            self._cork.flush()
            self._ended()
            self._linger()
        elif protocol.peer_state is State.DONE:
            self._next_exchange()
        else:
            self.phase = Phase.LEFTOVER
            self._content_octets = 0
            self.deadline = self.now() + self.registry.settings.drain_body_seconds
            self._cork.flush()
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
            self._cork.flush()
            self._violated(violation)
            return
        if self.reading_paused and protocol.waiting_octets <= settings.pipeline_octets:
            self.resume_reading()
        if protocol.own_state is State.CLOSED:
            self._cork.flush()
            self._ended()
            self.close()
        elif events:
            self._handle(events)
            self._cork.flush_soon()
        elif not protocol.waiting_octets:
            self._cork.flush()
            self.phase = Phase.IDLE
            self.registry.idle[self] = None
        else:
            self._cork.flush()

    def _idle_seconds(self) -> float:
        settings = self.registry.settings
        if self.registry.draining:
            return settings.drain_grace
        return settings.idle_timeout + settings.idle_buffer

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
            self._cork.flush()
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
        self._cork.flush()
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

    def _log_end(self, reason: Reason) -> None:
        idle = self.now() - self.idle_since if self.idle_since != math.inf else 0.0
        logger.debug(
            "connection %d: closed after %d requests, %.1f s idle: %s",
            self.number,
            self.protocol.exchanges,
            idle,
            reason,
        )
