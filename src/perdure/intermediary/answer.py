"""The half of an exchange that brings the origin's response back to the client.

A response that is complete when its head is read, the commonest case, is one write. A longer one
is passed on as it comes. Where the client can only keep its connection if the response has a
length (HTTP/1.0), and the origin gave none, a small response is gathered to give it one.

RFC 9110 §15.2 (interim responses), §6.5.1 (trailers); RFC 9112 §6.2, §6.3, §8.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from perdure.core import (
    HTTP_11,
    Data,
    EndOfMessage,
    Event,
    FieldLine,
    FramingKind,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    State,
)
from perdure.core.keepalive import NO_HINTS, Hints, parse
from perdure.core.retry import reason_of_end
from perdure.intermediary.belongings import asks_for_connection
from perdure.intermediary.failures import row_of
from perdure.intermediary.forwarding import forward_interim, forward_trailers
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.outbound import OriginWire
from perdure.intermediary.remembered import CHALLENGES, RememberedResponse
from perdure.intermediary.shared import Shared
from perdure.server.gathering import Gathering

if TYPE_CHECKING:
    from perdure.intermediary.inbound import GatewayConnection

logger = logging.getLogger("perdure.gateway")

# Looking a member up in its class costs 0.16 µs on CPython 3.11, a name of the module 0.02 µs.
DONE: Final = State.DONE
LENGTH: Final = FramingKind.LENGTH
PEER_CLOSED: Final = Reason.PEER_CLOSED


class Answer:
    """See the module.

    Attributes:
        origin: who is asked.
        wire: the connection to it, while there is one.
        answered: an octet of the response has arrived.
        response: its head, as received.
        begun: its head has gone to the client.
        over: nothing more comes of this exchange.
    """

    __slots__ = (
        "_gathering",
        "_inbound",
        "_request",
        "_shared",
        "answered",
        "begun",
        "origin",
        "over",
        "response",
        "wire",
    )

    # Set by `Exchange`, all at once: a method of its own for them costs 0.3 µs of each request.
    _inbound: GatewayConnection
    _shared: Shared
    _request: Request
    _gathering: Gathering | None
    wire: OriginWire | None
    answered: bool
    response: Response | None
    begun: bool
    over: bool
    origin: OriginServer

    def origin_failed(self, reason: Reason, details: str = "") -> None:
        """What came cannot be forwarded."""
        raise NotImplementedError

    def _is_idle_close(self) -> bool:
        """Whether a 408 says only that the connection was idle for too long."""
        raise NotImplementedError

    def client_full(self) -> None:
        """The client takes no more for now."""
        wire = self.wire
        if wire is not None:
            wire.pause_reading()
            wire.deadline = math.inf  # it is not the origin that is slow

    def client_drained(self) -> None:
        """The client takes more."""
        wire = self.wire
        if wire is not None:
            wire.deadline = wire.now() + wire.read_timeout
            wire.resume_reading()

    def said_again(
        self, remembered: RememberedResponse, said: Response, hints: Hints, content: bytes
    ) -> None:
        """Pass on a whole response with a head like one that was passed on; the wire awaits its next request.

        As `origin_sent`, without looking at anything again (bench/bench_forward.py).
        """
        wire, origin, inbound = self.wire, self.origin, self._inbound
        assert wire is not None
        self.response = remembered.received
        self.answered = True
        self.wire = wire.exchange = None
        wire.deadline = math.inf
        self.over = True
        origin.old = remembered.old
        origin.outstanding -= 1
        if origin.health.attentive:
            origin.health.answered(said.status, inbound.now())
        inbound.exchange = None
        if wire.reading_paused:
            wire.resume_reading()
        reason = wire.protocol.reason or PEER_CLOSED  # it persists, or the head would not have been like that
        origin.pool.release(wire.entry, reason, hints.timeout, hints.maximum)
        if not inbound.respond_again(said, content):
            self._respond(inbound, said, content)

    def origin_sent(self, events: list[Event]) -> None:
        """Pass on what the origin sent."""
        head = events[0]
        try:
            if type(head) is Response:
                if head.end:
                    self._whole(head, b"")
                    return
                if len(events) == 2 and type(rest := events[1]) is Data and rest.end:
                    self._whole(head, rest.octets)
                    return
            for event in events:
                self._pass_on(event)
                if self.wire is None:
                    return
        except (RemoteViolation, LocalViolation) as violation:
            # LocalViolation: a hook made something of it that cannot be sent.
            if not self.over:
                self.origin_failed(violation.reason, str(violation))

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, Data):
            if event.end:
                self._end((), event.octets)
            else:
                self._content(event.octets)
        elif isinstance(event, EndOfMessage):
            self._end(event.trailers, b"")
        elif isinstance(event, Interim):
            self._inbound.send_interim(forward_interim(event))
        elif isinstance(event, Response):
            if event.end:
                self._whole(event, b"")
            else:
                self._begin(event)

    def _forward(self, response: Response) -> Response | None:
        """Note the response; make what the client gets of it: None if it is no answer at all.

        Raises RemoteViolation where it cannot be forwarded.
        """
        if response.status == 408 and self._is_idle_close():
            self.origin_failed(Reason.IDLE_408, "408 (Request Timeout) on a reused connection")
            return None
        self.response = response
        origin = self.origin
        origin.old = response.version < HTTP_11
        if origin.health.attentive:
            origin.health.answered(response.status, self._inbound.now())
        wire = self.wire
        assert wire is not None
        return wire.forward(response)

    def _whole(self, response: Response, content: bytes) -> None:
        forwarded = self._forward(response)
        if forwarded is not None:
            self._respond(self._finish(response), forwarded, content)

    def _respond(self, inbound: GatewayConnection, forwarded: Response, content: bytes) -> None:
        try:
            inbound.respond(forwarded, content)
        except LocalViolation as violation:  # such as a malformed length in the response to a HEAD
            logger.warning("%s: %s", self.origin, violation)
            inbound.refuse_with(row_of(Reason.FAULTY_FRAMING))

    def _begin(self, response: Response) -> None:
        forwarded = self._forward(response)
        if forwarded is None:
            return
        if response.framing.kind is not LENGTH and self._inbound.protocol.needs_length(forwarded):
            self._gathering = Gathering(forwarded, self._shared.registry.settings.buffer_http10)
        else:
            self._inbound.begin_response(forwarded)
            self.begun = True

    def _content(self, octets: bytes) -> None:
        gathering = self._gathering
        if gathering is None:
            self._inbound.send_content(octets)
            return
        gathering.take(octets)
        if gathering.too_much:
            self._gathering = None
            self.begun = True
            self._inbound.begin_response(gathering.head)
            self._inbound.send_content(gathering.content())

    def _end(self, trailers: Sequence[FieldLine], octets: bytes) -> None:
        response = self.response
        assert response is not None
        gathering = self._gathering
        inbound = self._finish(response)
        if gathering is not None:
            self._respond(inbound, gathering.head, gathering.content() + octets)
            return
        wanted = self._request.facts.trailers_accepted
        inbound.end_response(forward_trailers(trailers, response.facts, wanted), octets)

    def _finish(self, response: Response) -> GatewayConnection:
        """The response is complete: give the connection back before the client hears of it.

        A pipelined request of the same client may begin at once, and shall find it idle.
        """
        wire = self._detach()
        inbound = self._over()
        protocol = wire.protocol
        if protocol.own_state is not DONE:
            self.origin.pool.discard(wire.entry, Reason.EARLY_RESPONSE)
            return inbound
        protocol.next_cycle()
        if wire.reading_paused:
            wire.resume_reading()
        if response.status in CHALLENGES and asks_for_connection(response.fields):
            inbound.own().claim(self.origin, wire.entry)
        values = response.facts.keep_alive
        hints = parse(values) if values else NO_HINTS
        reason = reason_of_end(response.status, wire.entry.reused, protocol.reason or PEER_CLOSED)
        self.origin.pool.release(wire.entry, reason, hints.timeout, hints.maximum)
        return inbound

    def _detach(self) -> OriginWire:
        """Part from the connection to the origin."""
        wire = self.wire
        assert wire is not None
        self.wire = wire.exchange = None
        wire.deadline = math.inf
        return wire

    def _over(self) -> GatewayConnection:
        """Part from the client's connection, which may begin another exchange."""
        self.over = True
        self.origin.outstanding -= 1
        self._inbound.exchange = None
        return self._inbound

    def _move_to(self, origin: OriginServer) -> None:
        """Ask another origin instead."""
        self.origin.outstanding -= 1
        self.origin = origin
        origin.outstanding += 1
