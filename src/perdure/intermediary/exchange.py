"""One request of a client, joined with one connection to an origin.

Callbacks only: where a connection lies idle, neither a task nor a future is made for a request.

    inbound ──begin, content──▶ Exchange ──connected: head, content──▶ OriginWire
       ▲                           │ ▲                                     │
       └──respond, send_content────┘ └──origin_sent(events), origin_failed─┘

Each side reads only while the other one takes: an exchange's memory is bounded by the buffers of
its two transports and `HELD_OCTETS`. Each hop's persistence is its own affair: nothing here looks
at it, so neither side's close ever ends the other (R124). What cannot be completed is answered
with an error of our own as long as no head has gone out, and cut off visibly afterwards (R86).

RFC 9110 §7.6, §10.1.1, §15.2; RFC 9112 §8, §9.3.1.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from perdure.client.errors import ExchangeError
from perdure.client.loop_pool import Lease
from perdure.client.urls import Origin
from perdure.core import (
    Data,
    EndOfMessage,
    FieldLine,
    FramingKind,
    Interim,
    LocalViolation,
    Reason,
    Request,
    State,
)
from perdure.core.pool import Entry, Private
from perdure.core.retry import Failure, is_repeatable, may_retry
from perdure.intermediary.answer import Answer
from perdure.intermediary.content import Upload
from perdure.intermediary.failures import BODY_TOO_LARGE, LENGTH_REQUIRED, Row, row_of, row_of_error
from perdure.intermediary.forwarding import forward_trailers, readdress
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.outbound import OriginWire
from perdure.intermediary.proxy_status import next_hop_of, status_line
from perdure.intermediary.shared import Shared
from perdure.wire.seldom import how_often

if TYPE_CHECKING:
    from perdure.intermediary.inbound import GatewayConnection

logger = logging.getLogger("perdure.gateway")

GONE: Final = frozenset([Reason.PEER_CLOSED, Reason.PEER_RESET, Reason.IDLE_408])
"""What a connection that had gone stale looks like."""


TUNNEL: Final = Reason.TUNNEL
_NOT_CONNECTED: Final = frozenset({Reason.CONNECT_FAILED, Reason.CONNECT_TIMEOUT})


class Exchange(Answer):
    """See the module; `Answer` is the half that brings the response back."""

    __slots__ = ("_forwarded", "_lease", "_retried", "_tried", "_upload")

    def __init__(
        self,
        inbound: GatewayConnection,
        shared: Shared,
        origin: OriginServer,
        request: Request,
        forwarded: Request,
    ) -> None:
        """Join them.

        Args:
            request: as received; `forwarded` is what goes to the origin.
        """
        self._inbound = inbound
        self._shared = shared
        self._request = request
        self._gathering = None
        self.wire = None
        self.answered = False
        self.response = None
        self.begun = False
        self.over = False
        self.origin = origin
        origin.outstanding += 1
        self._forwarded = forwarded
        self._lease: Lease | None = None
        self._retried = False
        self._tried: list[OriginServer] | None = None
        self._upload: Upload | None = None

    # What the client's side calls.

    def begin(self) -> None:
        """Seek a connection; with content to come, only once this turn has brought what it brings."""
        if self._request.end:
            origin, sent = self.origin, self._forwarded
            shared = not origin.apart and self._inbound.belongings is None
            if shared and is_repeatable(sent.method, sent.facts.idempotency_key, True):
                entry = origin.pool.lease_idle(origin.key, True)
                if entry is not None:
                    self._connected(entry)
                    return
            self._seek(False)
            return
        if self._exceeds(self._request.framing.length):
            self._refuse(BODY_TOO_LARGE)
            return
        chunked = self._request.framing.kind is FramingKind.CHUNKED
        upload = self._upload = Upload(chunked and self.origin.old)
        inbound = self._inbound
        if not upload.needs_length:
            inbound.loop.call_soon(self._seek_at_last)
        elif inbound.protocol.awaits_continue:
            # 9110 §10.1.1: a proxy may say so itself where the next hop speaks HTTP/1.0.
            inbound.send_interim(Interim(100))

    def content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Take request content."""
        upload = self._upload
        if upload is None or self.over:
            return
        upload.take(octets, end)
        if self._exceeds(upload.octets):
            self._refuse_rest()
            return
        if trailers:
            upload.trailers = forward_trailers(trailers, self._request.facts, not self.origin.old)
        if self.wire is not None:
            self._send_content(self.wire, upload, octets)
        elif upload.unsought and end:
            upload.needs_length = False
            self._seek_at_last()
        elif upload.too_much:
            if upload.needs_length:
                self._refuse(LENGTH_REQUIRED)
            else:
                self._inbound.pause_reading()

    def aborted(self, reason: Reason) -> None:
        """The client is gone: give up whatever is under way for it."""
        if not self.over:
            self._over()
            self._give_up()

    def _exceeds(self, octets: int) -> bool:
        """Whether so much content is more than the route takes."""
        most = self.origin.max_body
        return most is not None and octets > most

    def _refuse_rest(self) -> None:
        """Content of unknown length has become too much, whatever the origin has got of it."""
        self._give_up()
        if self.begun:
            self._over().abandon_response(Reason.TOO_LARGE)
        else:
            self._refuse(BODY_TOO_LARGE)

    def _give_up(self) -> None:
        """End what there is toward the origin."""
        if self._lease is not None:
            self.origin.pool.cancel(self._lease)
            self._lease = None
        if self.wire is not None:
            self.origin.pool.discard(self._detach().entry, Reason.ABANDONED)

    # The connection to the origin.

    def _seek_at_last(self) -> None:
        upload = self._upload
        if upload is not None and upload.unsought and not self.over:
            upload.unsought = False
            self._seek(False)

    def _seek(self, fresh: bool) -> None:
        upload = self._upload
        repeatable = self._is_repeatable(upload is None or upload.replayable(self._request))
        origin, inbound = self.origin, self._inbound
        pool = origin.pool
        key: Origin | Private = origin.key
        first = not repeatable and not inbound.protocol.exchanges
        connected = self._connected
        if origin.apart or inbound.belongings is not None:
            belongings = inbound.own()
            own = belongings.key_of(origin)
            if belongings.speaking:
                connected = self._claimed
            if origin.apart:
                key = own or key
            elif own is not None and not fresh and (claimed := pool.lease_idle(own, True)) is not None:
                self._connected(claimed)  # what was begun on it cannot go on elsewhere
                return
        entry = None if fresh else pool.lease_idle(key, repeatable, first)
        if entry is not None:
            connected(entry)
            return
        lease = pool.lease(key, repeatable, connected, self._refused, fresh, first=first)
        if lease is not None:  # otherwise one of the two was called, and may have sought again
            self._lease = lease

    def _is_repeatable(self, replayable: bool) -> bool:
        """Judged by what goes out: a hook, or the hop, may have changed what came in."""
        sent = self._forwarded
        return is_repeatable(sent.method, sent.facts.idempotency_key, replayable)

    def _claimed(self, entry: Entry[OriginWire]) -> None:
        """There is a connection, and what is said on it may make it the client's."""
        self._inbound.own().claim(self.origin, entry)
        self._connected(entry)

    def _connected(self, entry: Entry[OriginWire]) -> None:
        """There is a connection: send the head, and what there is of the content."""
        self._lease = None
        wire = self.wire = entry.handle
        wire.exchange = self
        protocol = wire.protocol
        upload = self._upload
        if upload is None and not (wire.lost or wire.end_received_already):
            said = protocol.say_again(self._forwarded)  # the commonest case by far; it saves four calls
            if said is not None:
                wire.write(said)
                wire.deadline = wire.now() + wire.read_timeout
                if self._inbound.writing_paused:
                    wire.pause_reading()
                return
        if wire.spent() or not protocol.persists:  # it ended on its way to us
            self.origin_failed(Reason.PEER_CLOSED, written=0)
            return
        try:
            if upload is None:
                octets = protocol.send_whole(self._forwarded)
            else:
                protocol.peer_speaks_11 = not self.origin.old
                octets = upload.first_octets(protocol, self._forwarded)
        except LocalViolation as violation:
            self.origin_failed(Reason.LOCAL_FAULT, str(violation))
            return
        except Exception:  # a hook left something behind that is no request: the client must not wait
            logger.exception("%s: the request cannot be sent", self.origin)
            self.origin_failed(Reason.LOCAL_FAULT)
            return
        wire.write(octets)
        wire.deadline = wire.now() + wire.read_timeout
        inbound = self._inbound
        if inbound.writing_paused:
            wire.pause_reading()
        if upload is not None:
            self._keep_or_let_go(upload)
            if inbound.reading_paused and not upload.complete and not wire.writing_paused:
                inbound.resume_reading()

    def _keep_or_let_go(self, upload: Upload) -> None:
        """Keep content only as long as it may have to be sent again."""
        if not self._is_repeatable(not upload.too_much):
            upload.let_go()

    def _send_content(self, wire: OriginWire, upload: Upload, octets: bytes) -> None:
        protocol = wire.protocol
        if protocol.own_state is not State.SENDING or not (protocol.persists or protocol.reason is TUNNEL):
            return  # 9112 §9.5: the origin closes, having answered early; more would be in vain (R113)
        self._keep_or_let_go(upload)
        end = upload.complete and not upload.trailers
        written = protocol.send(Data(octets, end))
        if upload.trailers:
            written += protocol.send(EndOfMessage(upload.trailers))
        wire.write(written)
        if not wire.reading_paused:
            wire.deadline = wire.now() + wire.read_timeout

    def _refused(self, error: ExchangeError) -> None:
        """There is no connection. Nothing was sent, this time, so another origin may be asked."""
        self._lease = None
        if times := self._shared.failed_dials.note((self.origin, error.reason), self._inbound.now()):
            logger.warning("%s: %s%s", self.origin, error, how_often(times))
        if error.reason in _NOT_CONNECTED:
            self.origin.health.failed(self._inbound.now(), unreachable=True)
            tried = self._tried = [*(self._tried or ()), self.origin]
            other = self._shared.destinations.another(self.origin, tried)
            if other is not None:
                self._move_to(other)
                readdress(self._forwarded, self._request, other.rules, other.authority)
                self._seek(self._retried)
                return
        self._refuse(row_of_error(error), str(error))

    # What the origin's side calls.

    def awaits_origin(self) -> bool:
        """Whether the origin has to do something before more of the request comes."""
        wire = self.wire
        return self._inbound.protocol.awaits_continue or (wire is not None and wire.writing_paused)

    def origin_full(self) -> None:
        """The origin takes no more for now."""
        self._inbound.pause_reading()

    def origin_drained(self) -> None:
        """The origin takes more."""
        if self._upload is not None and not self._upload.complete:
            self._inbound.resume_reading()

    def _is_idle_close(self) -> bool:
        """Whether a 408 says only that the connection was idle for too long; then ask again.

        The request that may not be repeated gets the 408. RFC 9110 §15.5.9.
        """
        return self._may_retry(Reason.IDLE_408, False)

    def _may_retry(self, reason: Reason, answered: bool, written: int = 1) -> bool:
        if reason not in GONE or self.wire is None or not self.origin.pool.settings.retry:
            return False
        sent, upload = self._forwarded, self._upload
        failure = Failure(
            sent.method,
            self.wire.entry.reused,
            written,
            answered,
            upload is None or upload.pieces is not None,
            sent.facts.idempotency_key,
            self._retried,
        )
        return may_retry(failure).allowed

    def origin_failed(self, reason: Reason, details: str = "", written: int = 1) -> None:
        """The connection to the origin broke, or what came over it cannot be forwarded.

        Args:
            written: 0 where the connection was found broken before anything was written.
        """
        answered = self.answered and reason is not Reason.IDLE_408
        stale = reason in GONE and not answered
        retry = self._may_retry(reason, answered, written)
        entry = self._detach().entry
        pool = self.origin.pool
        logger.warning("connection %d to %s: %s", entry.number, self.origin, f"{reason} {details}".rstrip())
        if stale and entry.reused:
            pool.discard_stale(entry, reason)
        else:
            pool.discard(entry, reason)
            if reason is not Reason.LOCAL_FAULT:
                self.origin.health.failed(self._inbound.now())
        if retry:
            self._shared.retried += 1
            self._retried = True
            self.answered = False
            self._seek(True)
        elif self.begun:
            inbound = self._over()
            inbound.abandon_response(Reason.INCOMPLETE if reason in GONE else reason)
        elif stale and entry.reused and self._leaves_it_to_the_client():
            self._over().abandon_response(reason)
        else:
            row = row_of(Reason.INCOMPLETE if answered and reason in GONE else reason)
            self._refuse(row, details or str(reason))

    def _leaves_it_to_the_client(self) -> bool:
        """Whether the client hears nothing of a request that was lost, and may send it again.

        It does so only where its own connection was used before, so that this looks like an idle close.
        RFC 9112 §9.3.1.
        """
        return self.origin.settings.on_stale == "close" and self._inbound.protocol.exchanges > 0

    def _refuse(self, row: Row, details: str = "") -> None:
        """Answer in the origin's place."""
        response, rules = self.response, self.origin.rules
        received = response.status if response is not None else None
        if rules.says == "detailed":
            hop = next_hop_of(self.origin.key)
            said = status_line(rules.pseudonym, row.error, received, hop, details)
        else:
            said = status_line(rules.pseudonym, row.error, received)
        self._over().refuse_with(row, said=said)
