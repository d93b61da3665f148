"""A response of unknown length that is kept back until its length is known.

Sent as it comes, it would end an HTTP/1.0 client's connection (`ServerConnection.needs_length`).

RFC 9112 §6.3 (8): length-delimit whenever possible.
"""

from __future__ import annotations

from perdure.core import Response


class Gathering:
    """A response whose head waits until its content is complete, or too much to wait for.

    Attributes:
        head: not yet sent.
    """

    __slots__ = ("_most", "_octets", "_pieces", "head")

    def __init__(self, head: Response, most: int) -> None:
        self.head = head
        self._most = most
        self._octets = 0
        self._pieces: list[bytes] = []

    def take(self, octets: bytes) -> None:
        """Keep a piece."""
        self._pieces.append(octets)
        self._octets += len(octets)

    @property
    def too_much(self) -> bool:
        """True if waiting must end."""
        return self._octets > self._most

    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)
