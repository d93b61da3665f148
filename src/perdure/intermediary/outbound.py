"""One connection to an origin.

It belongs to one exchange at a time, or to nobody while it lies idle in the pool. What happens to
it is told to whoever has it; what arrives while nobody has it ends it, in silence.

RFC 9112 §9.2 (unasked octets), §9.5 (who ends it), §5.2 (folded lines are refused here).
"""

from __future__ import annotations

import math
from typing import Protocol, TypeVar

from perdure.client.loop_pool import LoopPool
from perdure.client.pooled_wire import PooledWire
from perdure.core import ClientConnection, Event, Limits, Reason, RemoteViolation, Response, State, Terms
from perdure.core.heads import was_folded
from perdure.core.keepalive import Hints
from perdure.core.reader import Reader
from perdure.intermediary.forwarding import (
    Forwarding,
    date_line,
    forward_response,
)
from perdure.intermediary.proxy_status import next_hop_of
from perdure.intermediary.remembered import RememberedResponse, remember_response
from perdure.wire.errors import WireError
from perdure.wire.handover import hand_over
from perdure.wire.loop import LoopWire

T = TypeVar("T", bound=LoopWire)


class _StrictReader(Reader):
    """Refuses what a user agent would repair: an intermediary must not pass a guess on."""

    __slots__ = ()

    def take_head(self, long_line_status: int) -> bytes | None:
        """As a reader; a folded field line is a fault (R29)."""
        head = Reader.take_head(self, long_line_status)  # super() costs 0.2 µs more
        if head is not None and was_folded(head):
            raise RemoteViolation("a folded field line in a response (9112 §5.2)", Reason.BAD_SYNTAX, 502)
        return head


class OriginConnection(ClientConnection):
    """The protocol of a connection to an origin."""

    __slots__ = ()

    def __init__(self, limits: Limits, terms: Terms) -> None:
        super().__init__(limits, terms)
        self._reader = _StrictReader(limits)


class Asker(Protocol):
    """What a connection to an origin tells of the request that it carries: an exchange, or a check.

    Attributes:
        answered: an octet of the response has arrived.
    """

    answered: bool

    def origin_sent(self, events: list[Event]) -> None:
        """A part of the response came, or all of it."""

    def said_again(
        self, remembered: RememberedResponse, said: Response, hints: Hints, content: bytes
    ) -> None:
        """The whole response came, its head being one that came before, or like it.

        The wire awaits its next request.

        Args:
            remembered: what became of the head before; `said` becomes of this one.
            hints: of the connection.
        """

    def origin_failed(self, reason: Reason, details: str = "") -> None:
        """The connection broke, or what came over it is no response."""

    def awaits_origin(self) -> bool:
        """Whether the origin has to do something before more of the request comes."""

    def origin_full(self) -> None:
        """The origin takes no more for now."""

    def origin_drained(self) -> None:
        """The origin takes more."""


class OriginWire(PooledWire):
    """A connection to an origin.

    Attributes:
        protocol: the sans-I/O connection.
        exchange: what has it; None while it lies idle.
        read_timeout: how long the origin may be silent, in seconds.
    """

    __slots__ = ("_pool", "_remembered", "_rules", "exchange", "protocol", "read_timeout")

    def __init__(self, pool: LoopPool[OriginWire], rules: Forwarding, protocol: OriginConnection) -> None:
        super().__init__(pool.settings.write_timeout)
        self._pool = pool
        self._rules = rules
        self._remembered: RememberedResponse | None = None
        self.protocol = protocol
        self.exchange: Asker | None = None
        self.read_timeout = pool.settings.read_timeout

    def forward(self, response: Response) -> Response:
        """The response as it goes to the client. Raises RemoteViolation where it may not."""
        remembered, rules = self._remembered, self._rules
        again = remembered.forward(response) if remembered is not None else None
        if again is not None:
            return again
        hop = next_hop_of(self.entry.origin) if rules.says == "detailed" else ""
        forwarded = forward_response(response, rules, date_line, hop)
        if rules.on_response is None and rules.says == "errors":
            self._remembered = remember_response(response, forwarded, remembered)
        return forwarded

    def data_received(self, octets: bytes) -> None:
        """Feed the protocol; hand what it makes of it to the exchange."""
        exchange, remembered = self.exchange, self._remembered
        if remembered is not None and exchange is not None:
            content = self.protocol.hear_again(octets, remembered.received)
            if content is not None:
                remembered.unlike = 0
                exchange.said_again(remembered, remembered.forwarded, remembered.hints, content)
                return
            like = remembered.hear_like(self.protocol, octets)
            if like is not None:
                exchange.said_again(remembered, *like)
                return
        try:
            events = self.protocol.receive(octets)
        except RemoteViolation as violation:
            if exchange is not None:
                exchange.origin_failed(violation.reason, str(violation))
            else:
                self._pool.discard(self.entry, violation.reason)
            return
        if exchange is None:
            self._unasked()
            return
        if not exchange.answered:
            # A stray line end is no answer (R90): the request may still be tried again.
            exchange.answered = bool(events) or self.protocol.response_begun
        if events:
            exchange.origin_sent(events)
        if self.exchange is exchange and not self.reading_paused:
            self.deadline = self.now() + self.read_timeout

    def leave_pool(self, following: T) -> T:
        """Hand the connection over to another wire: it is a tunnel now, and never comes back.

        It takes no place of the pool's any more.
        """
        hand_over(self, lambda: following)
        self._pool.discard(self.entry, Reason.TUNNEL)
        self._pool.wire_gone(self)
        return following

    def _unasked(self) -> None:
        """Octets came that nobody asked for: a few line ends, a 408, or an attack (R90)."""
        if not self.protocol.persists:
            self._pool.peer_closed(self.entry, self.protocol.reason or Reason.SURPLUS_OCTETS)

    def end_received(self) -> None:
        """The origin sends nothing more."""
        exchange = self.exchange
        if exchange is None:
            self.protocol.end(Reason.PEER_CLOSED)
            self._pool.peer_closed(self.entry, Reason.PEER_CLOSED)
            return
        try:
            events = self.protocol.receive_eof(clean=not self.truncated)
        except RemoteViolation:
            # In the middle of a response, or before any of it: then it may have been stale.
            exchange.origin_failed(Reason.INCOMPLETE if exchange.answered else Reason.PEER_CLOSED)
            return
        exchange.origin_sent(events)

    def wire_lost(self, error: WireError | None) -> None:
        """The connection is gone, whoever ended it."""
        reason = Reason.PEER_CLOSED if error is None else error.reason
        exchange = self.exchange
        if exchange is not None:
            exchange.origin_failed(reason)
        else:
            self.protocol.end(reason)
            self._pool.peer_closed(self.entry, reason)
        self._pool.wire_gone(self)

    def write_side_full(self) -> None:
        """The origin is slower than the client: let the client wait."""
        if self.exchange is not None:
            self.exchange.origin_full()

    def write_side_drained(self) -> None:
        """The origin takes more."""
        if self.exchange is not None:
            self.exchange.origin_drained()

    def deadline_reached(self, now: float) -> None:
        """The origin was silent for too long; unless it is the client that we all wait for."""
        exchange = self.exchange
        if exchange is None:
            self.deadline = math.inf
        elif self.protocol.own_state is State.SENDING and not exchange.awaits_origin():
            self.deadline = now + self.read_timeout
        else:
            exchange.origin_failed(Reason.READ_TIMEOUT)

    def write_stalled(self, now: float) -> None:
        """The origin took none of the request for too long."""
        if self.exchange is not None:
            self.exchange.origin_failed(Reason.WRITE_TIMEOUT)
        else:
            self.abort()
