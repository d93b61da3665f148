"""What became of the last head of a connection, for the next one that is the same.

Heads of one connection often differ in nothing but their target. Comparing the received lines, most
of which are the same objects, is much less than forwarding them anew: a third of all that Python
does for an exchange of ten fields (77 → 51 µs; bench/bench_gateway.py, "hooks"). Nothing is shared
between connections, so one user's fields never meet another's, and each keeps one head at most.

RFC 9110 §7.6.
"""

from __future__ import annotations

from typing import Final

from perdure.core import HTTP_11, Request, Response
from perdure.core.keepalive import NO_HINTS, parse
from perdure.intermediary.forwarding import Forwarding

NEVER_REMEMBERED: Final = frozenset([101, 408])
"""Statuses that are no mere answer: they switch protocols, or say that the connection was idle too long."""


class RememberedRequest:
    """The last request of a connection, as received and as forwarded.

    Only for rules by which that depends on the head alone (`Forwarding.may_remember`).
    """

    __slots__ = ("_received", "forwarded", "last", "rules")

    def __init__(self, request: Request, forwarded: Request, rules: Forwarding) -> None:
        self._received = self.last = request
        self.rules = rules
        self.forwarded = forwarded
        forwarded.prepared = {}

    def forward(self, request: Request, rules: Forwarding) -> Request | None:
        """The request as it leaves; None if its head or the rules are others, or its target needs a look."""
        received, last = self._received, self.last
        if rules is not self.rules:
            return None
        if (
            request is last and request.end
        ):  # as the protocol hands out where one head says what the one before said
            return self.forwarded
        if request.fields is not received.fields and request.fields != received.fields:
            return None
        if request.version != received.version or request.end is not received.end:
            return None
        if request.target == last.target and request.method == last.method and request.end:
            return self.forwarded
        if request.target[:1] != b"/":
            return None
        before = self.forwarded
        again = self.forwarded = Request(
            request.method, request.target, before.fields, HTTP_11, before.facts, request.framing, request.end
        )
        again.prepared = {}
        self.last = request
        return again


class RememberedResponse:
    """The last response of a connection to an origin; made by `remember_response`.

    Attributes:
        received: as received, and `forwarded` as it goes to the client.
        hints: what it said of how long the connection may be kept.
        old: True if it was HTTP/1.0.
    """

    __slots__ = ("forwarded", "hints", "old", "received")

    def __init__(self, response: Response, forwarded: Response) -> None:
        self.received = response
        self.forwarded = forwarded
        self.old = response.version < HTTP_11
        values = response.facts.keep_alive
        self.hints = parse(values) if values else NO_HINTS
        forwarded.prepared = {}

    def forward(self, response: Response) -> Response | None:
        """The response as it goes to the client; None if its head is another."""
        received, before = self.received, self.forwarded
        if response is received:  # as the protocol hands out where one head is like the one before
            return before
        if response.fields != received.fields or response.version != received.version:
            return None
        if response.status in NEVER_REMEMBERED:
            return None
        forwarded = Response(
            response.status, before.fields, response.reason_phrase, facts=before.facts, end=response.end
        )
        forwarded.block = before.block
        forwarded.prepared = {}
        self.received, self.forwarded = response, forwarded
        return forwarded


def remember_response(response: Response, forwarded: Response) -> RememberedResponse | None:
    """Remember what became of a response, unless it has our Date, which would grow old, or asks for a look.

    RFC 9110 §6.6.1.
    """
    if response.status not in NEVER_REMEMBERED and any([line[1] == b"date" for line in response.fields]):
        return RememberedResponse(response, forwarded)
    return None
