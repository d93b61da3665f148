"""What became of the last head of a connection, for the next one that is the same.

Heads of one connection often differ in nothing but their target. Comparing the received lines, most
of which are the same objects, is much less than forwarding them anew: a third of all that Python
does for an exchange of ten fields (77 → 51 µs; bench/bench_gateway.py, "hooks"). Nothing is shared
between connections, so one user's fields never meet another's, and each keeps one head at most.

RFC 9110 §7.6.
"""

from __future__ import annotations

from typing import Final

from perdure.core import HTTP_11, ClientConnection, Request, Response
from perdure.core.events import LikeRequest
from perdure.core.keepalive import NO_HINTS, Hints, parse
from perdure.core.likeness import Likeness
from perdure.core.response_likeness import LikeResponses
from perdure.core.saying import Saying, saying_of
from perdure.intermediary.forwarding import Forwarding, is_copied

NEVER_REMEMBERED: Final = frozenset([101, 408, 426])
"""Statuses that are no mere answer: they switch protocols, or say which to switch to, or that the connection
was idle too long."""

CHALLENGES: Final = frozenset([401, 407])
MOST_UNLIKE: Final = 8
"""So many responses in a row that are not like the one before, and the next are seldom compared."""
TRIED_AGAIN: Final = 64
"""One of so many still is."""


class RememberedRequest:
    """The last request of a connection, as received and as forwarded.

    Only for rules by which that depends on the head alone (`Forwarding.may_remember`). Of a head that differs
    in its target, or in the value of one field that is copied, only that is put into what was sent before.
    """

    __slots__ = (
        "_cut",
        "_forwarded",
        "_likeness",
        "_received",
        "_rules",
        "_said_to_others",
        "_saying",
        "_start",
    )

    def __init__(self, request: Request, forwarded: Request, rules: Forwarding) -> None:
        # Always a pair: what became of the one is the other.
        self._received = request
        self._forwarded = forwarded
        self._rules = rules
        # Targets that begin so are of the same origin; the next hop may get only the rest of an absolute one.
        self._start = start_of(request.target)
        self._cut = 0 if rules.absolute else len(self._start) - 1
        self._said_to_others: Saying | None = None  # of these fields, to other targets
        # How heads that are alike are said.
        self._likeness: Likeness | None = None
        self._saying: Saying | None = None
        forwarded.prepared = {}

    def forward(self, request: Request, rules: Forwarding) -> Request | None:
        """The request as it leaves; None if its head or the rules are others, or its target needs a look."""
        received = self._received
        if rules is not self._rules or request.end is not received.end:
            return None
        if request is received and request.end:  # as the protocol hands out where a head repeats
            return self._forwarded
        if request.method != received.method or request.version != received.version:
            return None
        if not request.target.startswith(self._start):
            return None
        likeness = request.likeness
        if likeness is not None and (likeness is self._likeness or self._learned(request, likeness)):
            return self._forward_like(request, likeness)
        if request.fields is not received.fields and request.fields != received.fields:
            return None
        before, target = self._forwarded, request.target[self._cut :]
        saying = None
        if request.end:
            saying = self._said_to_others = self._said_to_others or saying_of(before)
        if saying is not None:
            again = saying.to(target)
        else:
            again = Request(
                request.method,
                target,
                before.fields,
                HTTP_11,
                before.facts,
                request.framing,
                request.end,
            )
            again.prepared = {}
        self._received, self._forwarded = request, again
        return again

    def _forward_like(self, request: Request, likeness: Likeness) -> Request:
        saying = self._saying
        assert saying is not None
        value = request.value if type(request) is LikeRequest else request.fields[likeness.place].value
        again = saying.like(request.target[self._cut :], value)
        self._received, self._forwarded = request, again
        self._said_to_others = None
        return again

    def _learned(self, request: Request, likeness: Likeness) -> bool:
        """Find out how the last request was said, and whether this one differs from it as such heads do."""
        received, place = self._received, likeness.place
        fields = received.fields
        if not request.end or request.facts is not received.facts or len(fields) != len(request.fields):
            return False
        line = fields[place]
        if line.name != request.fields[place].name or not is_copied(line):
            return False
        if any([one != other for one, other in zip(fields, request.fields, strict=True) if one is not line]):
            return False
        saying = saying_of(self._forwarded, line)
        if saying is None:
            return False
        self._likeness, self._saying = likeness, saying
        return True


def start_of(target: bytes) -> bytes:
    """What other targets of the same origin begin with: b"/", or b"http://HOST/"; b"" if that is not plain.

    RFC 9112 §3.2.
    """
    if target[:1] == b"/":
        return b"/"
    start = target[: target.find(b"/", 8) + 1]  # behind the authority, which is one octet long at least
    return b"" if b"?" in start else start


class RememberedResponse:
    """The last response of a connection to an origin; made by `remember_response`.

    Attributes:
        received: as received, and `forwarded` as it goes to the client.
        hints: what it said of how long the connection may be kept.
        old: True if it was HTTP/1.0.
        unlike: so many responses in a row were not like the one before.
    """

    __slots__ = ("_likeness", "forwarded", "hints", "old", "received", "unlike")

    def __init__(self, response: Response, forwarded: Response, unlike: int = 0) -> None:
        self.received = response
        self.forwarded = forwarded
        self.unlike = unlike
        self.old = response.version < HTTP_11
        values = response.facts.keep_alive
        self.hints = parse(values) if values else NO_HINTS
        forwarded.prepared = {}
        self._likeness: LikeResponses | None = None

    def hear_like(self, protocol: ClientConnection, octets: bytes) -> tuple[Response, Hints, bytes] | None:
        """Take a whole response that differs from this one in what may be put into it without a look.

        Returns:
            What goes to the client, its hints and its content; None where it is another one, or more or less
            than one: nothing was taken.
        """
        if not protocol.may_repeat(self.received) or self.received.status in CHALLENGES:
            return None  # a challenge may be for this connection
        self.unlike += 1
        if self.unlike > MOST_UNLIKE and self.unlike % TRIED_AGAIN:
            return None
        likeness = self._likeness
        if likeness is None:
            likeness = self._likeness = LikeResponses.of(self.received, self.forwarded, octets)
        heard = likeness.take(octets) if likeness is not None else None
        if likeness is None or heard is None:
            return None
        self.unlike = 0
        protocol.repeat(likeness.framing)
        response, content = heard
        values = likeness.keep_alive
        return response, parse(values) if values else NO_HINTS, content

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
        self.received, self.forwarded, self._likeness = response, forwarded, None
        return forwarded


def remember_response(
    response: Response, forwarded: Response, before: RememberedResponse | None = None
) -> RememberedResponse | None:
    """Remember what became of a response, unless it has our Date, which would grow old, or asks for a look.

    RFC 9110 §6.6.1.
    """
    if response.status not in NEVER_REMEMBERED and any([line[1] == b"date" for line in response.fields]):
        return RememberedResponse(response, forwarded, 0 if before is None else before.unlike)
    return None
