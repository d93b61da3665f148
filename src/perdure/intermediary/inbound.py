"""One client's connection to a gateway.

It answers in the origin's place only what it must: a request that is not to be forwarded at all.

RFC 9110 §7.6.2 (Max-Forwards), §9.3.6 (CONNECT), §9.3.8 (TRACE).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from perdure.core import HTTP_11, FieldLine, Reason, RemoteViolation, Request, Response, make_line
from perdure.core.fields import gather
from perdure.core.heads import authority
from perdure.intermediary.belongings import Belongings, speaks_for_connection
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.exchange import Exchange
from perdure.intermediary.failures import (
    HOOK_FAILED,
    LOOP,
    NO_TUNNEL,
    RETRY_AFTER,
    TRACE_WITH_CONTENT,
    UNKNOWN_EXPECTATION,
    Row,
    proxy_status,
    refusal,
    text_of,
)
from perdure.intermediary.forwarding import (
    RequestHook,
    add_to_request,
    date_line,
    max_forwards,
    offer_upgrade,
    reflection,
    seen_before,
    strip_request,
)
from perdure.intermediary.origins import OriginServer, Refused
from perdure.intermediary.remembered import RememberedRequest, start_of
from perdure.intermediary.shared import Shared
from perdure.intermediary.tunnel import Relay
from perdure.intermediary.upgrade import UpgradeExchange, guard_upgrade
from perdure.server.connection import InboundConnection
from perdure.wire.errors import WireError

logger = logging.getLogger("perdure.gateway")

MESSAGE_HTTP: Final = make_line(b"Content-Type", b"message/http")
MOST_LOGGED_OCTETS: Final = 200
NOT_PLAIN: Final = frozenset([b"CONNECT", b"OPTIONS", b"TRACE"])
"""Methods that concern an intermediary itself."""


class Underway(Protocol):
    """What a client's connection is busy with: an `Exchange`, or a tunnel that is opening or open."""

    def content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Request content came."""

    def aborted(self, reason: Reason) -> None:
        """The client is gone."""

    def client_full(self) -> None:
        """The client takes no more for now."""

    def client_drained(self) -> None:
        """The client takes more."""


class GatewayConnection(InboundConnection):
    """A client's connection whose requests are forwarded.

    Attributes:
        exchange: what is under way; None between two exchanges.
        belongings: what of the connections to origins is its alone; None as long as nothing is.
    """

    __slots__ = ("_hop", "_remembered", "_shared", "belongings", "exchange")

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared.registry)
        self._shared = shared
        self._hop: ClientHop
        self._remembered: RememberedRequest | None = None
        self.exchange: Underway | None = None
        self.belongings: Belongings | None = None

    def wire_opened(self) -> None:
        """Prepare what all requests of this connection share."""
        super().wire_opened()
        self.meet()

    def meet(self) -> None:
        """Find out who the client is, and whether it is trusted by the rules that hold now."""
        address = self.peer_address
        host = address[0] if isinstance(address, tuple) else ""
        scheme = b"https" if self.tls else b"http"
        self._hop = ClientHop(host.encode(), scheme, self._shared.rules.trusted.include(address))

    def own(self) -> Belongings:
        """What is its alone of the connections to origins."""
        if self.belongings is None:
            self.belongings = Belongings(self.number, self.peer_address, self.own_address)
        return self.belongings

    def wire_lost(self, error: WireError | None) -> None:
        """The client is gone, and with it what was for nobody else."""
        super().wire_lost(error)
        if self.belongings is not None:
            self.belongings.give_up()

    def exchange_begins(self, request: Request) -> None:
        """Forward a request, unless it is to be answered here."""
        try:
            if request.method in NOT_PLAIN:
                if not self._answers_itself(request):
                    self._forward(request, self._shared.destinations.choose(request, self._hop))
                return
            shared, remembered = self._shared, self._remembered
            origin = shared.destinations.choose(request, self._hop)
            again = remembered.forward(request, origin.rules) if remembered is not None else None
            if again is None:
                self._forward(request, origin)
            else:
                exchange = self.exchange = Exchange(self, shared, origin, request, again)
                exchange.begin()
        except Refused as refused:
            guard_upgrade(self, request)
            self.turn_away(request, refused.row, refused.fields)
        except RemoteViolation as violation:
            # What nominates or says such things is not trusted with a next request.
            self.protocol.limit = violation.reason
            self._tell_refusal(request, refusal(violation))
            self.refuse(violation.status, str(violation), [self._proxy_status(refusal(violation))])

    def _forward(self, request: Request, origin: OriginServer) -> None:
        rules = origin.rules
        guard_upgrade(self, request)
        if request.target[:1] != b"/" and self.refuses_secured(request):
            return
        if seen_before(request.fields, rules):
            self.turn_away(request, LOOP)
            return
        if self.protocol.unmet_expectation:
            # An expectation that each hop understands otherwise desynchronises them (CVE-2025-32094).
            self.turn_away(request, UNKNOWN_EXPECTATION)
            return
        forwarded = strip_request(request, rules, origin.authority, self._hop.trusted)
        if rules.on_request is not None and self._hook_answers(rules.on_request, forwarded):
            return
        forwarded = add_to_request(forwarded, request, rules, self._hop)
        if request.facts.upgrade:
            self._begin_upgrade(origin, request, forwarded)
            return
        if speaks_for_connection(forwarded.fields):
            self.own().speaking = True
        elif rules.may_remember and _is_plain(request):
            self._remembered = RememberedRequest(request, forwarded, rules)
        self._begin_exchange(origin, request, forwarded)

    def _begin_exchange(self, origin: OriginServer, request: Request, forwarded: Request) -> None:
        exchange = self.exchange = Exchange(self, self._shared, origin, request, forwarded)
        exchange.begin()

    def _begin_upgrade(self, origin: OriginServer, request: Request, forwarded: Request) -> None:
        if offer := offer_upgrade(request.facts.upgrade, origin.rules):
            forwarded.fields = [*forwarded.fields, *offer]
            forwarded.facts = gather(HTTP_11, True, forwarded.fields)
        exchange = self.exchange = UpgradeExchange(self, self._shared, origin, request, forwarded)
        exchange.begin()

    def _hook_answers(self, hook: RequestHook, forwarded: Request) -> bool:
        """Let the user's hook look at a request; whether that was the end of it."""
        try:
            answer = hook(forwarded)
        except Exception:
            logger.exception("on_request failed")
            self.refuse_with(HOOK_FAILED)
            return True
        if answer is None:
            return False
        self.respond(answer)
        return True

    def _answers_itself(self, request: Request) -> bool:
        """Whether the request ends here: a tunnel, or the last hop that Max-Forwards allows."""
        method = request.method
        guard_upgrade(self, request)
        if method == b"CONNECT":
            self.turn_away(request, NO_TUNNEL)
            return True
        if method == b"TRACE" and not request.end:
            self.turn_away(request, TRACE_WITH_CONTENT)
            return True
        if max_forwards(request) != 0:
            return False
        if method == b"TRACE":
            self.respond(Response(200, [MESSAGE_HTTP, *self.own_fields()]), reflection(request))
        else:
            self.respond(Response(200, self.own_fields()))
        return True

    def content_arrived(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Hand request content to the exchange."""
        if self.exchange is not None:
            self.exchange.content(octets, end, trailers)

    def exchange_aborted(self, reason: Reason) -> None:
        """The client is gone."""
        if self.exchange is not None:
            self.exchange.aborted(reason)

    def write_side_full(self) -> None:
        """The client is slower than the origin: let the origin wait."""
        if self.exchange is not None:
            self.exchange.client_full()

    def write_side_drained(self) -> None:
        """The client takes more."""
        if self.exchange is not None:
            self.exchange.client_drained()

    def tunnel_time_over(self, now: float) -> None:
        """The tunnel knows what that means."""
        if isinstance(self.exchange, Relay):
            self.exchange.time_over(now)

    def own_fields(self) -> Sequence[FieldLine]:
        """Date; we are no origin server, so not Server."""
        return (date_line(),)

    def turn_away(self, request: Request, row: Row, fields: Sequence[FieldLine] = ()) -> None:
        """Refuse a request before anybody is asked, and say why in the log: nothing else tells of it."""
        self._tell_refusal(request, row)
        self.refuse_with(row, fields)

    def _tell_refusal(self, request: Request, row: Row) -> None:
        if logger.isEnabledFor(logging.INFO):
            logger.info("connection %d: %s refused: %s", self.number, _in_words(request), text_of(row))

    def refuse_with(self, row: Row, fields: Sequence[FieldLine] = (), said: FieldLine | None = None) -> None:
        """Answer in the origin's place, saying who failed: in `said`, where more is known. RFC 9209 §2.3."""
        lines = [said or self._proxy_status(row), *fields]
        if row.status == 503:
            lines.append(RETRY_AFTER)
        self.refuse(row.status, text_of(row, self._shared.rules.next_hop), lines)

    def _proxy_status(self, row: Row) -> FieldLine:
        return proxy_status(row, self._shared.rules.pseudonym)


def _in_words(request: Request) -> str:
    """Method and target for the log, without the query, in which secrets stand."""
    target = request.target.partition(b"?")[0][:MOST_LOGGED_OCTETS]
    return (request.method + b" " + target).decode("ascii", "backslashreplace")


def _is_plain(request: Request) -> bool:
    """Whether it leaves in the same way whichever origin is asked: who names no host gets the origin's."""
    named = authority(request.target, request.facts)
    return request.method not in NOT_PLAIN and bool(named and start_of(request.target))
