"""How a request was said, so that those like it are said without making their heads anew.

    GET| |/item/4711| HTTP/1.1␍␊Host: a␍␊ … |X-Request-Id: 4711␍␊|Via: … ␍␊␍␊
        target               before               line               after

Only the target and, perhaps, one field line differ: one that was copied as it was received. What was
decided of the first one (its framing, its facts as it went out, whether it announces the close)
holds for all of them, because neither the target nor such a line has a part in it.

RFC 9112 §2.1, §3.
"""

from __future__ import annotations

from perdure.core.events import LikeRequest, Request
from perdure.core.fields import HTTP_11, ORDINARY, FieldLine
from perdure.core.likeness import END_OF_START_LINE, FieldsButOne

_KEY = (0, True)
"""In `Request.prepared`: without content, on a connection that shall persist."""


class Saying:
    """Made by `saying_of`."""

    __slots__ = ("_after", "_alike", "_before", "_decided", "_opening", "_said")

    def __init__(self, said: Request, before: bytes, after: bytes, alike: FieldsButOne | None) -> None:
        assert said.prepared is not None
        self._said = said
        self._opening = said.method + b" "
        self._before = END_OF_START_LINE + before
        self._after = after
        self._alike = alike
        self._decided = said.prepared[_KEY][1:]

    def like(self, target: bytes, value: bytes) -> Request:
        """The request that differs in its target and a value; `Connection.send_whole` finds its octets made.

        Args:
            target: one that was received, and so is one.
            value: of the field that `saying_of` was told; also one that was received.

        RFC 9112 §3, §5.
        """
        said, alike = self._said, self._alike
        assert alike is not None
        request = LikeRequest(said.method, target, said.facts, alike, value)
        octets = b"".join((self._opening, target, self._before, value, self._after))
        outgoing, sent, closes = self._decided
        request.prepared = {_KEY: (octets, outgoing, sent, closes)}
        return request

    def to(self, target: bytes) -> Request:
        """The request that differs in its target alone, in the same way. RFC 9112 §3."""
        said = self._said
        request = Request(said.method, target, said.fields, HTTP_11, said.facts)
        outgoing, sent, closes = self._decided
        request.prepared = {_KEY: (self._opening + target + self._before, outgoing, sent, closes)}
        return request


def saying_of(said: Request, line: FieldLine | None = None) -> Saying | None:
    """How a request was said.

    Args:
        said: was sent without content while its `prepared` was a dict; that keeps its octets.
        line: of its fields, that which differs (`Saying.like`); None where none does (`Saying.to`).

    Returns:
        None where it was not sent so, or the line does not stand in it just once.

    RFC 9112 §3, §5.
    """
    known = said.prepared.get(_KEY) if said.prepared else None
    start = said.method + b" " + said.target + END_OF_START_LINE
    if known is None or not known[0].startswith(start):
        return None
    fields = known[0][len(start) :]
    if line is None:
        return Saying(said, fields, b"", None)
    places = [place for place, sent in enumerate(said.fields) if sent == line]
    # With the line end before it: a line may be the end of another one.
    before, found, after = (b"\r\n" + fields).partition(b"\r\n" + line.octets)
    if line.kind != ORDINARY or not found or b"\r\n" + line.octets in b"\r\n" + after or len(places) != 1:
        return None
    before = (before + b"\r\n")[2:] + line.name + b": "
    return Saying(said, before, b"\r\n" + after, FieldsButOne(said.fields, places[0]))
