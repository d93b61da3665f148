"""Content that is kept for a while: of a request, to be sent again; of a response, to learn its length.

RFC 9112 §6.2 (a length where it can be known), §9.3.1 (sending again).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.core import ClientConnection, Data, EndOfMessage, FieldLine, FramingKind, Request
from perdure.core.fields import EXPECT

HELD_OCTETS: Final = 65536
"""Request content kept to be sent again, or until there is a connection (Pingora's buffer, too);
response content gathered to give it a length for an HTTP/1.0 client."""


class Upload:
    """The content of one request, as far as it has come.

    Attributes:
        complete: all of it has come.
        octets: how many have come.
        pieces: what has come; None once it was let go, so that it cannot be sent again.
        trailers: what may cross of the trailers.
        unsought: no connection is sought yet, since the content may be complete in this very turn.
        needs_length: the origin takes no content of unknown length.
    """

    __slots__ = ("complete", "needs_length", "octets", "pieces", "trailers", "unsought")

    def __init__(self, needs_length: bool) -> None:
        self.complete = False
        self.octets = 0
        self.pieces: list[bytes] | None = []
        self.trailers: Sequence[FieldLine] = ()
        self.unsought = True
        self.needs_length = needs_length

    def take(self, octets: bytes, end: bool) -> None:
        """Note what came; keep it unless it was let go."""
        self.octets += len(octets)
        self.complete = end
        if octets and self.pieces is not None:
            self.pieces.append(octets)

    def let_go(self) -> None:
        """Keep nothing any more: it will not be sent again."""
        self.pieces = None

    @property
    def too_much(self) -> bool:
        """True if more has come than is kept."""
        return self.octets > HELD_OCTETS

    def replayable(self, request: Request) -> bool:
        """Whether all of it can be sent again: it is there, or it will be and is small."""
        if self.pieces is None or self.too_much:
            return False
        framing = request.framing
        return self.complete or (framing.kind is FramingKind.LENGTH and framing.length <= HELD_OCTETS)

    def first_octets(self, protocol: ClientConnection, request: Request) -> bytes:
        """The head and what has come of the content, as they go to the origin.

        Raises:
            LocalViolation: the request cannot be sent so.
        """
        content = b"".join(self.pieces or ())
        if self.complete and request.facts.expectations:
            request = _without_expectation(request)
        if self.complete and not self.trailers:
            return protocol.send_whole(request, content)
        octets = protocol.send(request)
        if content:
            octets += protocol.send(Data(content))
        if self.complete:
            octets += protocol.send(EndOfMessage(self.trailers))
        return octets


def _without_expectation(request: Request) -> Request:
    """The same request for content that is here already: there is nothing left to wait for."""
    lines = [line for line in request.fields if line.kind != EXPECT]
    return Request(request.method, request.target, lines, request.version, None, request.framing, request.end)
