"""How a request was said, so that those like it are said without making their heads anew.

    GET| |/item/4711| HTTP/1.1␍␊Host: a␍␊ … |X-Request-Id: 4711␍␊|Via: … ␍␊␍␊
        target               before               line               after

Only the target and, perhaps, one field line differ: one that was copied as it was received. What was
decided of the first one (its framing, its facts as it went out, whether it announces the close)
holds for all of them, because neither the target nor such a line has a part in it.

RFC 9112 §2.1, §3.
"""

from __future__ import annotations

from perdure.core.events import Request
from perdure.core.fields import ORDINARY, FieldLine

_KEY = (0, True)
"""In `Request.prepared`: without content, on a connection that shall persist."""


class Saying:
    """Made by `saying_of`."""

    __slots__ = ("_after", "_before", "_decided", "_opening")

    def __init__(self, said: Request, before: bytes, after: bytes) -> None:
        assert said.prepared is not None
        self._opening = said.method + b" "
        self._before = b" HTTP/1.1\r\n" + before
        self._after = after
        self._decided = said.prepared[_KEY][1:]

    def prepare(self, request: Request, line: FieldLine | None = None) -> None:
        """Have a request said as its like was: `Connection.send_whole` finds its octets made.

        Args:
            request: with a target that was received, and so is one; else as its like, but for the line.
            line: in the place of that which `saying_of` was told; None where it was told none.

        RFC 9112 §3.
        """
        if line is None:
            octets = b"".join((self._opening, request.target, self._before))
        else:
            octets = b"".join((self._opening, request.target, self._before, line[4], self._after))
        outgoing, sent, closes = self._decided
        request.prepared = {_KEY: (octets, outgoing, sent, closes)}


def saying_of(said: Request, line: FieldLine | None = None) -> Saying | None:
    """How a request was said.

    Args:
        said: was sent without content while its `prepared` was a dict; that keeps its octets.
        line: of its fields, that which differs; None where only the target does.

    Returns:
        None where it was not sent so, or the line does not stand in it just once.

    RFC 9112 §3, §5.
    """
    known = said.prepared.get(_KEY) if said.prepared else None
    start = b"%b %b HTTP/1.1\r\n" % (said.method, said.target)
    if known is None or not known[0].startswith(start):
        return None
    fields = known[0][len(start) :]
    if line is None:
        return Saying(said, fields, b"")
    # With the line end before it: a line may be the end of another one.
    before, found, after = (b"\r\n" + fields).partition(b"\r\n" + line.octets)
    if line.kind != ORDINARY or not found or b"\r\n" + line.octets in b"\r\n" + after:
        return None
    return Saying(said, (before + b"\r\n")[2:], after)
