"""The steps of one exchange, each done at once: what `exchange` puts into an order.

Nothing here waits, dials or reads a clock; a step that fails raises, and `_failed` says what that means
for the connection and whether the request may be sent again.

RFC 9112 §9.3 (persistence), §9.3.1 (retrying), §9.5 (failures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perdure.client.content import PIECE_OCTETS
from perdure.client.effects import (
    RECEIVE,
    Effect,
    Handle,
    Shared,
)
from perdure.client.errors import LocalProtocolError
from perdure.client.failures import (
    Announced408,
    KeptByRelay,
    ResponseAbandoned,
    exchange_failure,
    reason_of,
    request_sent,
    stale_reason,
)
from perdure.client.models import ConnectionUse
from perdure.client.requests import Asked
from perdure.core.client_connection import ClientConnection
from perdure.core.events import NO_LINES, Data, EndOfMessage, Event, Interim, Response
from perdure.core.fields import HTTP_11, FieldLine
from perdure.core.keepalive import NO_HINTS, parse
from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.core.retry import Failure, may_retry, reason_of_end
from perdure.core.states import State
from perdure.wire.errors import PeerReset, ReadTimeout

_PERSISTS_11 = Reason.PERSISTS_11
_DONE, _SENDING = State.DONE, State.SENDING  # 0.2 µs less each time (core/client_connection.py)


class ExchangeSteps:
    """One request and its response, without an order; use `exchange.Exchange`.

    Attributes:
        asked: the request.
        response: the final head, once it is here.
        pieces: content, unless it is handed to the caller piece by piece.
        interims, trailers: as of `models.Message`.
        use: the connection.
        whole: True if content is gathered in `pieces`.
    """

    __slots__ = (
        "_accepted_before",
        "_answered",
        "_awaits_continue",
        "_connection",
        "_drain_left",
        "_drain_until",
        "_entry",
        "_gathered",
        "_handle",
        "_hurried",
        "_receive",
        "_retried",
        "_shared",
        "_unsent",
        "_uploading",
        "_write_error",
        "abandoned",
        "asked",
        "content_octets",
        "interims",
        "pieces",
        "response",
        "trailers",
        "use",
        "whole",
    )

    _connection: ClientConnection
    _entry: Entry[Any]
    _handle: Handle
    use: ConnectionUse
    _unsent: bytes | None
    _write_error: PeerReset | None

    def __init__(self, shared: Shared, asked: Asked, whole: bool) -> None:
        self.asked = asked
        self.whole = whole
        self.abandoned = False
        self.response: Response | None = None
        self.pieces: list[bytes] = []
        self.interims: list[Interim] = []
        self.trailers: Sequence[FieldLine] = NO_LINES
        self._shared = shared
        self._retried = self._hurried = False
        self._gathered = 0
        self.content_octets = self._drain_left = 0
        self._drain_until = 0.0
        self._receive: Effect = (RECEIVE, asked.read_timeout)

    @property
    def without_content(self) -> bool:
        """True if both messages are over with the response's head. RFC 9112 §6.3."""
        return self.response is not None and self.response.end and not self._sending

    @property
    def _sending(self) -> bool:
        return self._uploading or self._unsent is not None

    # Before

    def _must_gather(self) -> bool:
        """Whether content must be gathered first: its length is unknown, and so is the server (R46)."""
        asked = self.asked
        if asked.content.length is not None or asked.declares_length:
            return False
        return asked.request.version < HTTP_11 or not self._takes_chunks()

    def _takes_chunks(self) -> bool:
        asked = self.asked
        return asked.location.origin in self._shared.speaks_11 or asked.declares_chunks

    def _gather(self, piece: bytes | None) -> bool:
        """Keep a piece; False at the end."""
        if piece is None:
            self.asked.become_whole(b"".join(self.pieces))
            self.pieces = []
            return False
        self.pieces.append(piece)
        self._gathered += len(piece)
        limit = self._shared.settings.buffer_octets
        if self._gathered > limit:
            raise LocalProtocolError(
                f"content of unknown length, more than {limit} octets, for a server not known to speak"
                " HTTP/1.1: set Content-Length, or buffer_octets, or ask it something else first"
                " (9112 §6.1)"
            )
        return True

    def _begin(self, entry: Entry[Any]) -> None:
        shared, asked = self._shared, self.asked
        self._entry = entry
        self._handle = handle = entry.handle
        self._connection = connection = handle.connection
        self._answered = self._uploading = self._awaits_continue = self._hurried = False
        self._unsent = None
        self._write_error = None
        self.use = ConnectionUse(entry, shared.pool.now())
        self._accepted_before = handle.accepted()
        if entry.ended is not None or handle.spent():
            raise PeerReset(f"{entry.origin}: the connection ended before it was used")
        origin = asked.location.origin
        if origin.proxy is not None:
            connection.next_hop = origin.next_hop
        most = shared.settings.max_requests
        if most is not None and entry.uses >= most:
            connection.limit = Reason.MAX_REQUESTS
        if shared.relays.suspected and origin in shared.relays.suspected:
            if connection.kept_by_option:
                raise KeptByRelay
            connection.limit = Reason.NOT_ASKED
        content = asked.content
        whole = content.whole
        if whole is not None and len(whole) <= PIECE_OCTETS and not asked.expects_continue:
            self._unsent = connection.send_whole(asked.request, whole)
            if connection.relay_possible:
                self._hurry()
            return
        content.start()
        connection.peer_speaks_11 = self._takes_chunks()
        self._unsent = connection.send(asked.streamed_request())
        self._uploading = connection.own_state is _SENDING
        if asked.expects_continue and self._uploading:
            self._awaits_continue = True
            self._receive = (RECEIVE, shared.settings.continue_timeout)

    def _hurry(self) -> None:
        """Wait less long where nobody may hear us, if sending again does no harm."""
        shared, asked = self._shared, self.asked
        if self._retried or not (shared.settings.retry and asked.repeatable):
            return
        if asked.location.origin not in shared.relays.cleared:
            self._hurried = True
            self._receive = (RECEIVE, min(asked.read_timeout, shared.settings.relay_timeout))

    # Sending

    def _send_piece(self, piece: bytes | None) -> None:
        event: Event = EndOfMessage() if piece is None else Data(piece)
        self._unsent = self._connection.send(event) or None
        self._uploading = piece is not None

    def _stop_sending(self) -> None:
        self._uploading = False
        self._unsent = None

    def _await_continue_no_more(self) -> None:
        self._awaits_continue = False
        self._receive = (RECEIVE, self.asked.read_timeout)

    # Receiving

    def _events(self, arrived: bytes | None) -> Sequence[Event]:
        if arrived is None:
            return ()
        if arrived:
            self._answered = True
            if self._hurried:
                self._hurried = False
                self._shared.relays.clear(self.asked.location.origin)
                self._receive = (RECEIVE, self.asked.read_timeout)
            return self._connection.receive(arrived)
        if self._sending and self._connection.peer_state is not _SENDING:
            self._stop_sending()  # the peer is leaving; it will not read the rest
        return self._connection.receive_eof(not self._handle.truncated)

    def _take(self, event: Event) -> bool:
        """Take note of an event; True where it is for the caller at once."""
        if type(event) is Data:
            if self.whole:
                self.pieces.append(event.octets)
                return False
            self.content_octets += len(event.octets)
            if self.abandoned:
                self._drain(len(event.octets))
                return False
            return bool(event.octets)
        if type(event) is Response:
            self._take_head(event)
            return not self.whole
        if type(event) is Interim:
            self.interims.append(event)
            if event.status == 100 and self._awaits_continue:
                self._await_continue_no_more()
        elif type(event) is EndOfMessage:
            self.trailers = event.trailers
        return False

    def _take_head(self, response: Response) -> None:
        if response.status == 408 and self._verdict(False):
            raise Announced408
        connection = self._connection
        self.response = response
        if not connection.persists:
            self.use.ends = connection.reason
        if self._entry.uses == 1 or response.version < HTTP_11:  # it hardly ever changes in between
            self._shared.saw_version(self.asked.location.origin, response.version)
        if not self._sending:
            return
        if self._awaits_continue or not connection.persists:
            # 9112 §9.5, 9110 §10.1.1: nobody will read what is left.
            self._await_continue_no_more()
            self._stop_sending()

    def _complete(self) -> None:
        """Both messages are over, or we stopped ours: let go of the connection."""
        connection, pool = self._connection, self._shared.pool
        if connection.own_state is not _DONE:
            reason = Reason.EARLY_RESPONSE if connection.persists else connection.reason
            pool.discard(self._entry, reason or Reason.EARLY_RESPONSE)
        else:
            assert self.response is not None
            connection.next_cycle()
            self._handle.judge_rest()
            keep_alive = self.response.facts.keep_alive
            hints = parse(keep_alive) if keep_alive else NO_HINTS
            reason = connection.reason or Reason.LOCAL_FAULT
            if self.response.status == 408:
                reason = reason_of_end(408, self._entry.reused, reason)
            pool.release(self._entry, reason, hints.timeout, hints.maximum)
        self.use.ends = self._entry.ended

    def _take_again(self, response: Response, content: bytes) -> None:
        """Take a response that was told by `ClientConnection.receive_again`, and let go of the connection.

        What `_events`, `_take` and `_complete` come to there, at a third of their cost.
        """
        entry, shared = self._entry, self._shared
        self._answered = True
        self.response = response
        self.pieces.append(content)
        if entry.uses == 1 or response.version < HTTP_11:
            shared.saw_version(self.asked.location.origin, response.version)
        keep_alive = response.facts.keep_alive
        hints = parse(keep_alive) if keep_alive else NO_HINTS
        shared.pool.release(entry, self._connection.reason or _PERSISTS_11, hints.timeout, hints.maximum)
        self.use.ends = entry.ended

    # Giving up

    def _drain(self, octets: int) -> None:
        self._drain_left -= octets
        if self._drain_left < 0 or self._shared.pool.now() > self._drain_until:
            raise ResponseAbandoned

    def _let_go(self) -> None:
        """The flow is closed before its end: by `close`, or because nobody holds it any more."""
        pool = self._shared.pool
        (pool.discard if self.abandoned else pool.discard_later)(self._entry, Reason.ABANDONED)
        self.use.ends = Reason.ABANDONED

    def _failed(self, error: BaseException) -> None:
        """End the lease; return if the request may be sent again, raise otherwise."""
        if isinstance(error, KeptByRelay):  # nothing was sent
            self._shared.pool.discard(self._entry, Reason.RELAY_SUSPECTED)
            return
        stale = stale_reason(error, self._answered)
        relay = isinstance(error, ReadTimeout) and self._connection.relay_possible
        again = (relay or stale is not None) and self._verdict(
            self._answered and stale is not Reason.IDLE_408
        )
        sent = request_sent(
            self._handle.accepted() - self._accepted_before,
            self._connection.own_state is _DONE and self._unsent is None and self._write_error is None,
        )
        pool, entry = self._shared.pool, self._entry
        reason = Reason.ABANDONED if self.abandoned else stale or reason_of(error, self._connection)
        if relay:
            reason = self._suspect_relay()
        if stale is not None and entry.reused:
            pool.discard_stale(entry, stale)
        else:
            pool.discard(entry, reason)
        self.use.ends = entry.ended or reason
        if again:
            self._retried = True
            return
        failure = exchange_failure(error, self._answered, self._write_error)
        if failure is None:
            raise error
        if relay:
            failure.reason = reason
        failure.request_sent = sent
        failure.reused, failure.idle_seconds, failure.uses = entry.reused, entry.idle_seconds, entry.uses
        raise failure from error

    def _suspect_relay(self) -> Reason:
        """Ask this origin for keep-alive no more, and trust none of the connections that it kept (R172)."""
        self._shared.relays.suspect(self.asked.location.origin)
        return Reason.RELAY_SUSPECTED

    def _verdict(self, answered: bool) -> bool:
        asked = self.asked
        if not self._shared.settings.retry:
            return False
        facts = asked.request.facts
        failure = Failure(
            asked.request.method,
            self._entry.reused,
            self._handle.accepted() - self._accepted_before,
            answered,
            asked.content.replayable,
            facts.idempotency_key,
            self._retried,
        )
        return may_retry(failure).allowed
