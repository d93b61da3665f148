"""What became of the last head of a connection, for the next one that is the same.

Heads of one connection often differ in nothing but their target. Comparing the received lines, most
of which are the same objects, is much less than forwarding them anew: a third of all that Python
does for an exchange of ten fields (77 → 51 µs; bench/bench_gateway.py, "hooks"). Nothing is shared
between connections, so one user's fields never meet another's, and each keeps one head at most.

RFC 9110 §7.6.
"""

from __future__ import annotations

from perdure.core import HTTP_11, Request, Response


class RememberedRequest:
    """The last request of a connection, as received and as forwarded.

    Only for rules by which that depends on the head alone (`Forwarding.may_remember`).
    """

    __slots__ = ("_end", "_facts", "_lines", "_received", "_version")

    def __init__(self, request: Request, forwarded: Request) -> None:
        self._received = request.fields
        self._version = request.version
        self._end = request.end
        self._lines = forwarded.fields
        self._facts = forwarded.facts

    def forward(self, request: Request) -> Request | None:
        """The request as it leaves; None if its head is another, or its target needs a look."""
        if request.fields != self._received or request.target[:1] != b"/":
            return None
        if request.version != self._version or request.end is not self._end:
            return None
        return Request(
            request.method, request.target, self._lines, HTTP_11, self._facts, request.framing, self._end
        )


class RememberedResponse:
    """The last response of a connection to an origin, as received and as forwarded.

    As `RememberedRequest`; made by `remember_response`.
    """

    __slots__ = ("_block", "_facts", "_lines", "_received", "_version")

    def __init__(self, response: Response, forwarded: Response) -> None:
        self._received = response.fields
        self._version = response.version
        self._lines = forwarded.fields
        self._facts = forwarded.facts
        self._block = forwarded.block

    def forward(self, response: Response) -> Response | None:
        """The response as it goes to the client; None if its head is another."""
        if response.fields != self._received or response.version != self._version:
            return None
        if response.status == 101:
            return None
        forwarded = Response(
            response.status, self._lines, response.reason_phrase, facts=self._facts, end=response.end
        )
        forwarded.block = self._block
        return forwarded


def remember_response(response: Response, forwarded: Response) -> RememberedResponse | None:
    """Remember what became of a response, unless it has our Date, which would grow old.

    RFC 9110 §6.6.1.
    """
    if any([line[1] == b"date" for line in response.fields]):
        return RememberedResponse(response, forwarded)
    return None
