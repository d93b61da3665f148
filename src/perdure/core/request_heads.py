"""The request heads of one connection: what the next one has in common with the one before.

A client says the same fields in each request of a connection, or all but one (a proxy numbers its
requests). Four ways to read a head, the quickest first; each comes to what `heads.request_head` says:

    the same octets       the same `Request`                            (`ServerConnection.receive_again`)
    like the last one     another target, another value of one field    (`like`)
    some fields differ    only those are parsed                         (`parse`)
    another head          everything is parsed                          (`parse`)

Requests that say the same share their field lines, or are one object: nobody may change them in place.

RFC 9112 §2.1, §3, §5.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import ne
from typing import Final

from perdure.core.events import LikeRequest, Request
from perdure.core.fields import (
    HTTP_11,
    ORDINARY,
    REMEMBERED_LINE_OCTETS,
    Facts,
    FieldLine,
    Version,
    parse_line,
    remembered_line,
)
from perdure.core.heads import REMEMBERED_START_LINE_OCTETS, remembered_request_line, request_head
from perdure.core.likeness import END_OF_START_LINE, Likeness
from perdure.core.limits import Limits

SLASH: Final = ord("/")

REMEMBERED_BLOCK_OCTETS: Final = 2048
"""Field lines of one head, remembered for the next one of the same connection."""
PRIVATE: Final = frozenset([b"authorization", b"cookie", b"proxy-authorization"])
"""Who says one of these is not remembered beyond its connection."""


class RequestHeads:
    """The request heads of one connection, each compared with the one before.

    Attributes:
        octets: the head before, with its blank line; None where there is none, or it is long.
        request: what was made of it, where no content follows.
    """

    __slots__ = (
        "_base",
        "_changes",
        "_facts",
        "_fields",
        "_likeness",
        "_limits",
        "_lines",
        "_longest",
        "_most",
        "_parsed",
        "_start",
        "_version",
        "octets",
        "request",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._longest = min(limits.max_line, REMEMBERED_START_LINE_OCTETS)
        self._most = min(limits.max_line, REMEMBERED_BLOCK_OCTETS)
        self.octets: bytes | None = None
        self.request: Request | None = None
        # The head that the next one is compared with: mostly `octets`, or an earlier one which that is like.
        self._base: bytes | None = None
        self._start = 0  # of its fields
        self._version: Version = HTTP_11
        self._fields: Sequence[FieldLine] = ()
        self._facts: Facts
        self._parsed = 0  # of this connection's heads; the first may find another one's remembered
        said = _first.said
        if said is not None and said[0] is limits:
            _, self._base, self.request, self._start, self._version, self._fields, self._facts = said
            self.octets = self._base
        # Those of the fields, once a connection has shown that they change.
        self._lines: list[bytes] | None = None
        self._changes = 0  # the places that changed, a bit for each
        self._likeness: Likeness | None = None

    def like(self, octets: bytes) -> Request | None:
        """Read a head that differs from the last ones in its target, and in one field's value, at most.

        Looking for the differences costs 3 µs for ten fields, parsing them 9 (bench/bench_forward.py).

        Returns:
            The request, without content; None where it is another head, or more or less than one:
            nothing was taken.

        RFC 9112 §3, §5.
        """
        before, base, latest = self.request, self._base, self.octets
        if before is None or base is None or latest is None or self._version != HTTP_11:
            return None
        method = before.method
        begins = len(method) + 1
        # CONNECT, of which another form is expected, never had a target that begins with a slash.
        if (
            octets[: begins + 1] != latest[: begins + 1]
            or octets[begins] != SLASH
            or len(octets) > self._most
        ):
            return None
        ends = octets.find(b" ", begins, self._longest)
        target = octets[begins:ends]
        # What is printable, no space, and no fragment is a target: a pattern would cost 0.6 µs.
        if ends < 0 or b"#" in target or not target.isascii() or not str(target, "ascii").isprintable():
            return None
        likeness = self._likeness
        value = likeness.value_of(octets, ends) if likeness is not None else None
        if value is not None and likeness is not None:
            request: Request = LikeRequest(method, target, self._facts, likeness, value)
        else:
            start, began = ends + len(END_OF_START_LINE), self._start
            if len(octets) - start != len(base) - began or not octets.endswith(base[began:]):
                return None
            if not octets.startswith(END_OF_START_LINE, ends):
                return None
            request = Request(method, target, self._fields, HTTP_11, self._facts)
        request.likeness = likeness
        self.octets, self.request = octets, request
        return request

    def parse(self, octets: bytes) -> tuple[bytes, bytes, Version, Sequence[FieldLine], Facts]:
        """As `request_head`, but with the blank line. RFC 9112 §2.1."""
        base = self._base
        start = octets.find(b"\r\n") + 2
        self.request = None
        self._parsed += 1
        if base is None or start - 2 > self._longest or len(octets) - start > REMEMBERED_BLOCK_OCTETS:
            return self._parse_anew(octets, start)
        method, target, version = remembered_request_line(octets[: start - 2])
        if version != self._version:
            return self._parse_anew(octets, start)
        if octets[start:] != base[self._start :] and not self._took_changes(octets[start:-4]):
            return self._parse_anew(octets, start)
        self.octets = self._base = octets
        self._start = start
        return method, target, version, self._fields, self._facts

    def remember(self, octets: bytes, request: Request) -> None:
        """Keep what was made of the latest head, without content; the first for the next connection too.

        Clients of one kind begin alike, and what they say is parsed once: 6 µs less for a connection
        with ten fields (bench/bench_exchange.py), and the octets are there once. RFC 9112 §2.1.
        """
        if octets is not self.octets:  # it is long
            return
        self.request = request
        request.likeness = self._likeness
        if self._parsed == 1 and not any([line[1] in PRIVATE for line in self._fields]):
            said = self._limits, octets, request, self._start, self._version, self._fields, self._facts
            _first.said = said  # at once: other threads have event loops too

    def _parse_anew(
        self, octets: bytes, start: int
    ) -> tuple[bytes, bytes, Version, Sequence[FieldLine], Facts]:
        parsed = request_head(octets[:-4], self._limits)
        if len(octets) - start <= REMEMBERED_BLOCK_OCTETS:
            block = octets[start:-4]
            had_fields = self._parsed > 1 and self._base is not None and len(self._base) - self._start > 4
            self._lines = block.split(b"\r\n") if had_fields and block else None
            self.octets = self._base = octets
            self._start = start
            self._likeness = None
            _, _, self._version, self._fields, self._facts = parsed
        return parsed

    def _took_changes(self, block: bytes) -> bool:
        """Take fields of which as many came before, in the same places; False: parse them anew."""
        before, lines = self._lines, block.split(b"\r\n")
        if before is None or len(lines) != len(before) or not 0 < len(block) <= self._limits.max_line:
            return False
        fields, changes = list(self._fields), 0
        for place, changed in enumerate(map(ne, lines, before)):
            if changed:
                line, bit = lines[place], 1 << place
                # What changed the last time too is a number, not worth remembering.
                again = self._changes & bit or len(line) > REMEMBERED_LINE_OCTETS
                field = parse_line(line) if again else remembered_line(line)
                if field.kind != ORDINARY or fields[place].kind != ORDINARY:
                    return False  # its facts are others
                fields[place] = field
                changes |= bit
        self._likeness = Likeness.of(self._fields, fields, lines)
        self._lines, self._fields, self._changes = lines, fields, changes
        return True


class _First:
    """The first head of the latest connection that began with another one than the connection before."""

    said: tuple[Limits, bytes, Request, int, Version, Sequence[FieldLine], Facts] | None = None


_first = _First()
