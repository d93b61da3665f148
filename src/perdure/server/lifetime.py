"""How long an inbound connection lives: its one deadline, its age, and the ways in which it ends.

The deadline means something else in each phase:

    HEAD      the head took too long: 408; while draining, nobody asked for anything: FIN
    CONTENT   the content came too slowly: 408
    LEFTOVER  unread content took too long to come: FIN
    IDLE      idle for longer than was advertised: FIN; or old enough to announce the end
    TUNNEL    what it carries knows
    ANSWER    never: how long an answer takes is the application's business

RFC 9112 §9.5 (timeouts), §9.6 (tear-down); RFC 9110 §15.5.9 (408).
"""

from __future__ import annotations

import logging
import math

from perdure.core import Interim, Reason, RemoteViolation, Request, ServerConnection, State
from perdure.server.access_log import CloseRecord, ExchangeRecord, NotedConnection
from perdure.server.answering import ANSWER, CONTENT, ENDED, HEAD, IDLE, LEFTOVER, TUNNEL, Answering
from perdure.server.registry import Registry
from perdure.wire.linger import break_off

logger = logging.getLogger("perdure.server")


class Lifetime(Answering):
    """The times and ends of an inbound connection.

    Attributes:
        number: counts the connections of the process from 1.
        idle_since: `now()` when the last exchange was complete.
    """

    __slots__ = ("_age_limit", "_content_octets", "_content_since", "_held", "_noted", "idle_since", "number")

    def __init__(self, registry: Registry, protocol: ServerConnection | None) -> None:
        super().__init__(registry, protocol)
        self.number = 0
        self.idle_since = math.inf
        self._age_limit = math.inf
        self._content_since = 0.0
        self._content_octets = 0
        self._held = False
        self._noted: tuple[Request, float] | None = None

    # What the wire calls.

    def deadline_reached(self, now: float) -> None:
        """A time ran out; which one, the phase tells."""
        self.deadline = math.inf
        phase = self.phase
        if phase is IDLE:
            self._idle_time_over(now)
        elif phase is HEAD:
            if self.registry.draining and not self.protocol.waiting_octets:
                self.end_idle(Reason.DRAIN)  # it has not asked for anything
            else:
                self._time_out(Reason.HEAD_TIMEOUT, "the head of the request took too long")
        elif phase is CONTENT:
            self._check_content_rate(now)
        elif phase is LEFTOVER:
            self.end_connection(Reason.UNREAD_CONTENT)
        elif phase is TUNNEL:
            self.tunnel_time_over(now)

    def write_stalled(self, now: float) -> None:
        """The client took nothing for `write_timeout`: give up on it."""
        self.cut_off(Reason.WRITE_TIMEOUT)

    def resume_reading(self) -> None:
        """Ask for octets again; the client is not to blame for the time that has passed."""
        if self.reading_paused:
            super().resume_reading()
            self._restart_content_clock()

    def send_interim(self, interim: Interim) -> None:
        """As `Answering.send_interim`; content that waited for it is not late."""
        super().send_interim(interim)
        self._restart_content_clock()

    # Idleness and age.

    def _fall_idle(self, now: float) -> None:
        registry = self.registry
        self.phase = IDLE
        self.idle_since = now
        registry.idle[self] = None
        deadline = now + registry.idle_seconds
        if deadline > self._age_limit:
            if now >= self._age_limit:
                self._grow_old()
            else:
                deadline = self._age_limit
        self.deadline = deadline
        if self.reading_paused:
            self.resume_reading()

    def _grow_old(self) -> None:
        """From now on the next response is the last."""
        self._age_limit = math.inf
        self.protocol.limit = self.protocol.limit or Reason.MAX_AGE

    def _idle_time_over(self, now: float) -> None:
        """It was idle for too long; or it has only grown old, which the next response will say."""
        if now >= self._age_limit:
            self._grow_old()
        limit = self.idle_since + self.registry.idle_seconds
        if now < limit:
            self.deadline = limit
        else:
            self.end_idle(Reason.DRAIN if self.registry.draining else Reason.IDLE_LIMIT)

    # Content.

    def _check_content_rate(self, now: float) -> None:
        """A body may take `body_grace`, and longer as long as it averages `body_min_rate`."""
        settings = self.registry.settings
        if self.reading_paused or self.protocol.awaits_continue:  # we are the slow ones
            self._restart_content_clock()
            return
        allowed = settings.body_grace + self._content_octets / settings.body_min_rate
        if now < self._content_since + allowed:
            self.deadline = self._content_since + allowed
            return
        self._time_out(Reason.BODY_TIMEOUT, f"{self._content_octets} octets of content in {allowed:.0f} s")

    def _restart_content_clock(self) -> None:
        if self.phase is CONTENT:
            self._content_since = now = self.now()
            self._content_octets = 0
            self.deadline = now + self.registry.settings.body_grace

    # Ends.

    def end_connection(self, reason: Reason) -> None:
        """End a connection that has no exchange under way, by FIN, reading on for a while."""
        if self.phase is ENDED:
            return
        self.protocol.end(reason)
        self._cork.flush()
        self._ended()
        self._linger()

    def end_idle(self, reason: Reason) -> None:
        """End a connection on which nothing is under way, by FIN; it is gone once the client has that."""
        if self.phase is ENDED:
            return
        self.protocol.end(reason)
        self._cork.flush()
        self._ended()
        self.registry.parting[self] = None
        self.part(self.registry.settings.linger_idle)

    def _time_out(self, reason: Reason, sentence: str) -> None:
        self.protocol.peer_state = State.ERROR
        self.protocol.reason = reason
        self._violated(RemoteViolation(sentence, reason, 408))

    def cut_off(self, reason: Reason) -> None:
        """End the connection at once, whatever is under way."""
        exchanging = self.phase is CONTENT or self.phase is ANSWER or self.phase is TUNNEL
        if self.phase is not ENDED:
            self.protocol.end(reason)
            self.protocol.reason = reason
            self._ended()
            if exchanging:
                self.exchange_aborted(reason)
        self.abort()

    def end_tunnel(self, reason: Reason) -> None:
        """End a connection that is a tunnel: the client gets what was written, and FIN."""
        if self._leave_tunnel(reason):
            if self.tls:
                self.close()
            else:
                self._linger()

    def break_tunnel(self, reason: Reason) -> None:
        """End a connection that is a tunnel so that the client sees that something is missing."""
        if self._leave_tunnel(reason):
            break_off(self)

    def _leave_tunnel(self, reason: Reason) -> bool:
        if self.phase is ENDED:
            return False
        self.protocol.end(reason)
        self.protocol.reason = reason
        self._ended()
        return True

    def note_tunnel(self, octets: int) -> None:
        """For the access log: so many octets went to the client through the tunnel."""
        if isinstance(self.protocol, NotedConnection):
            self.protocol.octets = octets

    def drain(self) -> None:
        """End with the exchange under way, or the next one if it comes within the grace."""
        self.protocol.limit = Reason.DRAIN
        if self.phase is TUNNEL:
            self.tunnel_drains()
        elif self.phase is IDLE or (self.phase is HEAD and not self.protocol.waiting_octets):
            self.deadline = min(self.deadline, self.now() + self.registry.settings.drain_grace)

    def tunnel_drains(self) -> None:
        """The server shuts down: end the tunnel in good order, if what it carries knows how."""

    def tunnel_time_over(self, now: float) -> None:
        """What the tunnel set as its deadline passed."""

    def _ended(self) -> None:
        if self.phase is not ENDED:
            self.registry.ending += 1
        self.phase = ENDED
        self.deadline = math.inf
        self._held = False
        self.registry.idle.pop(self, None)

    def _log_end(self, reason: Reason) -> None:
        logger.debug(
            "connection %d: closed after %d requests, %.1f s idle: %s",
            self.number,
            self.protocol.exchanges,
            self._idle_for(),
            reason,
        )

    def _note_begin(self, request: Request) -> None:
        """An exchange begins, and the access log wants to know."""
        if isinstance(self.protocol, NotedConnection):
            self.protocol.forget()
            self._noted = (request, self.now())

    def _note_end(self) -> None:
        """The exchange is over, whole or cut short."""
        noted, self._noted = self._noted, None
        log, protocol = self.registry.access_log, self.protocol
        if noted is None or log is None or not isinstance(protocol, NotedConnection):
            return
        request, began = noted
        log.note(
            ExchangeRecord(
                log.now(),
                self.peer_address,
                request,
                protocol.status,
                protocol.octets,
                self.number,
                protocol.exchanges + 1,
                self.now() - began,
            )
        )

    def _note_close(self, reason: Reason) -> None:
        self._note_end()
        log = self.registry.access_log
        if log is not None:
            requests = self.protocol.exchanges
            log.note(
                CloseRecord(log.now(), self.peer_address, self.number, requests, self._idle_for(), reason)
            )

    def _idle_for(self) -> float:
        return 0.0 if self.idle_since == math.inf else self.now() - self.idle_since

    def exchange_aborted(self, reason: Reason) -> None:
        """The exchange will not be completed: the client is gone or broke the protocol.

        Drop what works on it. Whatever is sent afterwards is ignored.
        """

    def _violated(self, violation: RemoteViolation) -> None:
        """Refuse what is not HTTP, if an answer can still be given; then close."""
        raise NotImplementedError
