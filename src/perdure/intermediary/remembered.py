"""What became of the last head of a connection, for the next one that is the same.

Heads of one connection often differ in nothing but their target. Comparing the received lines, most
of which are the same objects, is much less than forwarding them anew: a third of all that Python
does for an exchange of ten fields (77 → 51 µs; bench/bench_gateway.py, "hooks"). Nothing is shared
between connections, so one user's fields never meet another's, and each keeps one head at most.

RFC 9110 §7.6.
"""

from __future__ import annotations

from perdure.core import HTTP_11, Request, Response
from perdure.intermediary.forwarding import Forwarding


class RememberedRequest:
    """The last request of a connection, as received and as forwarded.

    Only for rules by which that depends on the head alone (`Forwarding.may_remember`).
    """

    __slots__ = ("_forwarded", "_last", "_received", "_rules")

    def __init__(self, request: Request, forwarded: Request, rules: Forwarding) -> None:
        self._received = self._last = request
        self._rules = rules
        self._forwarded = forwarded
        forwarded.prepared = {}

    def forward(self, request: Request, rules: Forwarding) -> Request | None:
        """The request as it leaves; None if its head or the rules are others, or its target needs a look."""
        received, last = self._received, self._last
        if rules is not self._rules:
            return None
        if request.fields is not received.fields and request.fields != received.fields:
            return None
        if request.version != received.version or request.end is not received.end:
            return None
        if request.target == last.target and request.method == last.method and request.end:
            return self._forwarded
        if request.target[:1] != b"/":
            return None
        before = self._forwarded
        again = self._forwarded = Request(
            request.method, request.target, before.fields, HTTP_11, before.facts, request.framing, request.end
        )
        again.prepared = {}
        self._last = request
        return again


class RememberedResponse:
    """The last response of a connection to an origin, as received and as forwarded.

    As `RememberedRequest`; made by `remember_response`.
    """

    __slots__ = ("_forwarded", "_received")

    def __init__(self, response: Response, forwarded: Response) -> None:
        self._received = response
        self._forwarded = forwarded
        forwarded.prepared = {}

    def forward(self, response: Response) -> Response | None:
        """The response as it goes to the client; None if its head is another."""
        received, before = self._received, self._forwarded
        if response is received:  # as the protocol hands out where one head is like the one before
            return before
        if response.fields != received.fields or response.version != received.version:
            return None
        if response.status == 101:
            return None
        forwarded = Response(
            response.status, before.fields, response.reason_phrase, facts=before.facts, end=response.end
        )
        forwarded.block = before.block
        return forwarded


def remember_response(response: Response, forwarded: Response) -> RememberedResponse | None:
    """Remember what became of a response, unless it has our Date, which would grow old.

    RFC 9110 §6.6.1.
    """
    if any([line[1] == b"date" for line in response.fields]):
        return RememberedResponse(response, forwarded)
    return None
