"""The serving side of one connection, without what answers the requests.

`InboundConnection` reads requests, one exchange after the other, refuses what is wrong and drains
what was left unread. A subclass answers: an ASGI application, a gateway.

    wire_opened ─▶ first head ─Request─▶ exchange ─response and request complete─▶ idle ─┐
                      │                    ▲  │                                      │   │
                      │ head_timeout       └──┼────────── the next Request ──────────┘   │
                      ▼                       ▼ not persistent, fault                    ▼ idle limit
                     408 ──────────────▶ lingering close ◀────────────────────────────────

The times are in `lifetime`, what may be said in `answering`.

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
    Response,
    ServerConnection,
    State,
)
from perdure.server.answering import ANSWER, CONTENT, ENDED, HEAD, IDLE, LEFTOVER, TUNNEL
from perdure.server.cork import Cork
from perdure.server.lifetime import Lifetime
from perdure.server.registry import Registry
from perdure.wire.errors import WireError

logger = logging.getLogger("perdure.server")

_DONE = State.DONE


class InboundConnection(Lifetime):
    """One client's connection. Subclass it and define the hooks."""

    __slots__ = ("_again", "_cycling")

    def __init__(self, registry: Registry, protocol: ServerConnection | None = None) -> None:
        super().__init__(registry, protocol)
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
        self._cork = Cork(self)
        self.deadline = self.opened_at + settings.head_timeout
        self.number = self.registry.admit(self)
        if settings.max_age is not None:
            # Spread over ± 10 %, so that connections opened together do not end together.
            self._age_limit = self.opened_at + settings.max_age * (0.9 + 0.2 * (self.number * 0.618 % 1))
        if self.registry.draining:
            self.drain()

    def data_received(self, octets: bytes) -> None:
        """Feed the protocol and act on its events."""
        protocol, idle = self.protocol, self.phase is IDLE
        if idle:
            request = protocol.receive_again(octets)
            if request is not None:
                del self.registry.idle[self]
                self._begin(request)
                return
        try:
            events = protocol.receive_anew(octets) if idle else protocol.receive(octets)
        except RemoteViolation as violation:
            self._violated(violation)
            return
        if idle:
            if not events:
                self._head_begins()
                return
            del self.registry.idle[self]
        if len(events) == 1 and type(events[0]) is Request:
            self._begin(events[0])
        elif events:
            self._run(events)
        elif self.phase is ANSWER and self._holds_enough():
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
        exchanging = self.phase is CONTENT or self.phase is ANSWER or self.phase is TUNNEL
        self.protocol.end(Reason.PEER_RESET if error is not None else Reason.PEER_CLOSED)
        if error is not None and self.phase is TUNNEL:
            self.protocol.reason = Reason.PEER_RESET
        reason = self.protocol.reason or Reason.PEER_CLOSED
        self._ended()
        self.registry.remove(self, reason)
        if exchanging:
            self.exchange_aborted(reason)
        if self.registry.access_log is not None:
            self._note_close(reason)
        if logger.isEnabledFor(logging.DEBUG):
            self._log_end(reason)

    def resume_writing(self) -> None:
        """Go on with what was held back. What a subclass defines is `write_side_drained`."""
        super().resume_writing()
        if self._held:
            self._held = False
            self._next_exchange()

    def refuses_secured(self, request: Request) -> bool:
        """Refuse a secured target on a connection that is not; False if there is nothing to refuse.

        RFC 9110 §7.4 (R152).
        """
        if self.tls or request.target[:6].lower() != b"https:":
            return False
        self.refuse(421, "a secured resource was asked for on a connection that is not (9110 §7.4)")
        return True

    def respond_again(self, response: Response, content: bytes) -> bool:
        """Send a whole response as it was sent before, and become idle: `respond` in one step.

        Returns:
            False where there is more to do than that, by `respond`: nothing was done.
        """
        if (
            self.phase is not ANSWER
            or self.writing_paused
            or self._cycling
            or self._cork.pieces
            or self._noted
        ):
            return False
        octets = self.protocol.answer_again(response, content)
        if octets is None:
            return False
        self.write(octets)
        self._fall_idle(self.now())
        return True

    # Exchanges.

    def _begin(self, request: Request) -> None:
        self.registry.requests += 1
        if self.registry.access_log is not None:
            self._note_begin(request)
        if request.end:
            self.phase = ANSWER
            self.deadline = math.inf
        else:
            self.phase = CONTENT
            if self.protocol.peer_state is _DONE:  # all of it came with the head
                self.deadline = math.inf
            else:
                self._restart_content_clock()
        try:
            self.exchange_begins(request)
        except Exception:  # of ours: whoever was being served when this one began must not see it
            self.beginning_failed()

    def beginning_failed(self) -> None:
        """An exception, which is being handled, ends what was to begin; the client must not wait for ever."""
        logger.exception("connection %d: beginning an exchange failed", self.number)
        self.exchange_aborted(Reason.LOCAL_FAULT)
        if self.protocol.own_state is State.IDLE:
            self.protocol.limit = Reason.LOCAL_FAULT
            self.refuse(500, "Internal Server Error")
        else:
            self.cut_off(Reason.LOCAL_FAULT)

    def _take_content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        self._content_octets += len(octets)
        if self.phase is CONTENT:
            if end:
                self.phase = ANSWER
                self.deadline = math.inf
            self.content_arrived(octets, end, trailers)
        elif self.phase is LEFTOVER:
            if end:
                self._next_exchange()
            elif self._content_octets > self.registry.settings.drain_body:
                self.end_connection(Reason.UNREAD_CONTENT)

    def _response_complete(self) -> None:
        if self._noted is not None:
            self._note_end()
        self._go_on()

    def _go_on(self) -> None:
        """After a response: become idle, go on with the next request, or end."""
        protocol = self.protocol
        if not self.writing_paused and not self._cycling and protocol.rest():
            self._fall_idle(self.now())
        elif not protocol.persists:
            protocol.exchanges += 1  # there is no next cycle that would count it
            self._cork.flush()
            self._ended()
            self._linger()
        elif protocol.peer_state is _DONE:
            self._next_exchange()
        else:
            self.phase = LEFTOVER
            self._content_octets = 0
            self._cork.flush()
            self.resume_reading()
            self.deadline = self.now() + self.registry.settings.drain_body_seconds

    def _next_exchange(self) -> None:
        """Go on with what has already arrived, else become idle."""
        if self.writing_paused:
            # Whoever pipelines must also read: answers would gather here without bound.
            self._held = True
            self.phase = ANSWER
            self.deadline = math.inf
        elif self._cycling:
            self._again = True
            self.phase = LEFTOVER  # what is left of the events at hand is nobody's content any more
            self._content_octets = 0
        else:
            self._run(self._cycle())

    def _run(self, events: Sequence[Event]) -> None:
        """Act on events, then on those of the exchanges after it: flat, however many are pipelined."""
        self._cycling = True
        try:
            while True:
                for event in events:
                    self._act(event)
                if not self._again or self.phase is ENDED:
                    break
                self._again = False
                events = self._cycle()
        finally:
            self._cycling = self._again = False
        self._cork.flush_soon()

    def _act(self, event: Event) -> None:
        if self.phase is ENDED:
            return
        if isinstance(event, Request):
            self._begin(event)
        elif isinstance(event, Data):
            self._take_content(event.octets, event.end, ())
        elif isinstance(event, EndOfMessage):
            self._take_content(b"", True, event.trailers)

    def _cycle(self) -> Sequence[Event]:
        """Begin the next exchange; become idle if nothing of it has arrived."""
        now = self.now()
        if now >= self._age_limit:
            self._grow_old()
        self.idle_since = now
        self.phase = HEAD
        self.deadline = now + self.registry.settings.head_timeout
        protocol = self.protocol
        try:
            events = protocol.next_cycle()
        except RemoteViolation as violation:
            self._violated(violation)
            return ()
        if protocol.own_state is State.CLOSED:
            self._cork.flush()
            self._ended()
            self.close()
            return ()
        if not events:
            self._cork.flush()
            if not protocol.waiting_octets:
                self._fall_idle(now)
            self.resume_reading()  # what is held is no whole head: more must come
        elif self.reading_paused and not self._holds_enough():
            self.resume_reading()
        return events

    def _holds_enough(self) -> bool:
        """Whether as many further requests wait as may: whoever pipelines more is not read for now."""
        settings, protocol = self.registry.settings, self.protocol
        depth = settings.pipeline_depth
        return protocol.waiting_octets > settings.pipeline_octets or protocol.waiting_heads(depth + 1) > depth

    def _head_begins(self) -> None:
        """Octets arrived on an idle connection, and they are no whole head."""
        if self.protocol.waiting_octets:  # empty lines are not kept, and restart nothing
            del self.registry.idle[self]
            self.phase = HEAD
            self.deadline = self.now() + self.registry.settings.head_timeout

    # Ends.

    def _violated(self, violation: RemoteViolation) -> None:
        """Refuse what is not HTTP, if an answer can still be given; then close."""
        # Its text: the violation itself would keep us alive, by its traceback, in whatever keeps the record.
        logger.warning("connection %d: %s", self.number, str(violation))
        answerable = self.protocol.own_state is State.IDLE
        if self.phase is CONTENT or self.phase is ANSWER:
            self.exchange_aborted(violation.reason)
        if self.phase is ENDED:
            return
        if answerable:
            self.refuse(violation.status, str(violation))
            return
        self._cork.flush()
        self._ended()
        if self.protocol.own_state is _DONE:
            self._linger()
        else:
            self.abort()
