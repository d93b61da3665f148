"""An exchange whose request asks for another protocol, such as WebSocket.

    request, Upgrade ──▶ the origin is asked the same, on its own hop, for the protocols that the rules allow
    101              ◀── the connection leaves the pool for good; the tunnel begins (`tunnels`)
    any other answer ◀── an ordinary exchange; octets that came behind the request are nobody's, and end
                         the client's connection: they may be of the other protocol (RFC 9931 §3.1)

Octets that the client sends behind its request wait in the protocol's own buffer, bounded by
`pipeline_octets`; only the 101 makes them the tunnel's (CVE-2026-2833). Content belongs to the request:
an origin that switches before it has all of it gets the rest first.

RFC 9110 §7.8; RFC 6455 §4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perdure.core import (
    Data,
    Event,
    FieldLine,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    State,
)
from perdure.core.fields import UPGRADE
from perdure.core.hopbyhop import strip
from perdure.core.keepalive import Hints
from perdure.intermediary.exchange import Exchange
from perdure.intermediary.failures import row_of
from perdure.intermediary.forwarding import Forwarding, call_hook, forward_interim, via_of_response
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.remembered import RememberedResponse
from perdure.intermediary.tunnel import FarWire
from perdure.server.connection import InboundConnection

if TYPE_CHECKING:
    from perdure.intermediary.inbound import GatewayConnection


def guard_upgrade(inbound: InboundConnection, request: Request) -> None:
    """Before an answer that grants no upgrade: see that what came behind the request is not read as HTTP.

    Harmless for a request that asks for none, and before a 101.

    RFC 9931 §3.1.
    """
    protocol = inbound.protocol
    if request.facts.upgrade and protocol.waiting_octets:
        protocol.end_after_exchange(Reason.UPGRADE_REJECTED)


def forward_switch(response: Response, rules: Forwarding) -> Response:
    """The 101 as it goes to the client.

    Raises:
        RemoteViolation: with status 502 if it nominates what must not be removed.
        LocalViolation: the hook failed.

    RFC 9110 §7.6.1, §7.8.
    """
    named = [line for line in response.fields if line.kind == UPGRADE]
    forwarded = Response(101, strip(response.fields, response.facts), response.reason_phrase)
    if rules.on_response is not None:
        call_hook(rules.on_response, forwarded)
    return Response(
        101, [*forwarded.fields, *named, via_of_response(response, rules)], forwarded.reason_phrase
    )


class UpgradeExchange(Exchange):
    """See the module."""

    __slots__ = ("_early", "_switch")

    _early: list[bytes]
    _switch: Response | None

    def begin(self) -> None:
        """As `Exchange.begin`."""
        self._early = []
        self._switch = None
        super().begin()

    # The answer is not 101.

    def _guard(self) -> None:
        protocol = self._inbound.protocol
        if protocol.waiting_octets or protocol.peer_state is not State.DONE:  # what is behind is yet to come
            protocol.end_after_exchange(Reason.UPGRADE_REJECTED)

    def said_again(
        self, remembered: RememberedResponse, said: Response, hints: Hints, content: bytes
    ) -> None:
        """As `Answer.said_again`."""
        self._guard()
        super().said_again(remembered, said, hints, content)

    def _begin(self, response: Response) -> None:
        self._guard()
        super()._begin(response)

    def _over(self) -> GatewayConnection:
        self._guard()
        return super()._over()

    # It is.

    def origin_sent(self, events: list[Event]) -> None:
        """Pass on what the origin sent; of a 101, open the tunnel."""
        wire = self.wire
        if wire is None or wire.protocol.reason is not Reason.TUNNEL:
            super().origin_sent(events)
            return
        for event in events:
            if isinstance(event, Interim):
                self._inbound.send_interim(forward_interim(event))
            elif isinstance(event, Response):
                self._switch = event
            elif isinstance(event, Data):
                self._early.append(event.octets)
        if self._inbound.protocol.awaits_continue:
            # 9110 §7.8: the 100 comes before the 101 (R147), or the content would never come.
            self.origin_failed(Reason.BAD_SYNTAX, "101 before the 100 that is awaited (9110 §7.8)")
        elif self._upload is None or self._upload.complete:
            self._open()
        else:
            wire.pause_reading()
            wire.deadline = math.inf  # it is the client that all wait for

    def content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """Take request content; the last of it may be what a 101 waits for."""
        super().content(octets, end, trailers)
        if end and not self.over and self._switch is not None:
            self._open()

    def _open(self) -> None:
        response, wire = self._switch, self.wire
        assert response is not None
        assert wire is not None
        try:
            forwarded = forward_switch(response, self.origin.rules)
        except (RemoteViolation, LocalViolation) as violation:
            self.origin_failed(violation.reason, str(violation))
            return
        tunnels, inbound, origin = self._shared.tunnels, self._inbound, self.origin
        self._detach()
        self.over = True  # the origin has it to do with the tunnel: it stays outstanding
        far = wire.leave_pool(FarWire(tunnels, wire.write_timeout))
        ended = functools.partial(_tunnel_ended, origin)
        try:
            tunnels.join(inbound, far, forwarded, b"".join(self._early), ended)
        except LocalViolation as violation:  # a hook, or a client that did not ask
            self._guard()
            inbound.refuse_with(row_of(violation.reason))


def _tunnel_ended(origin: OriginServer) -> None:
    origin.outstanding -= 1
