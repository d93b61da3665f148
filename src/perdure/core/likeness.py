"""What heads of one connection have in common that differ in the value of one field.

    Host: a␍␊ … X-Request-Id:| 4711␍␊ |Accept: */*␍␊ … ␍␊␍␊
    ╰──────── before ───────╯╰ line ─╯╰────── after ──────╯

The octets before and after are compared; only the value between them is looked at. It is a field
that neither framing nor persistence looks at (`ORDINARY`), so the facts of such heads are the same.

RFC 9112 §5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.core.fields import ORDINARY, FieldLine
from perdure.core.syntax import FIELD_VALUE

END_OF_START_LINE: Final = b" HTTP/1.1\r\n"
"""Of a request; what version 1.0 says is looked at anew."""


class Likeness:
    """Heads that are alike; compared by identity.

    Attributes:
        place: of the field that differs, among the fields.
        fields: of one of the heads.
    """

    __slots__ = ("_after", "_before", "_lowered", "_name", "_prefix", "fields", "place")

    def __init__(self, fields: Sequence[FieldLine], place: int, before: bytes, after: bytes) -> None:
        self.fields = list(fields)
        self.place = place
        self._name, self._lowered = fields[place][:2]
        self._prefix = self._name + b": "
        self._before = END_OF_START_LINE + before
        self._after = after

    @classmethod
    def of(
        cls, earlier: Sequence[FieldLine], fields: Sequence[FieldLine], lines: Sequence[bytes]
    ) -> Likeness | None:
        """What two heads in a row have in common; None where they differ elsewhere, or in several places.

        Args:
            earlier: fields of the first head, as many as of the second.
            fields: of the second head; `lines` are their octets as received, without line ends.

        RFC 9112 §5.
        """
        places = [place for place, line in enumerate(fields) if line is not earlier[place]]
        if len(places) != 1:
            return None
        place = places[0]
        line = fields[place]
        if line.kind != ORDINARY or line.name != earlier[place].name:
            return None
        before = b"".join([b"%b\r\n" % octets for octets in lines[:place]]) + line.name + b":"
        after = b"".join([b"\r\n" + octets for octets in lines[place + 1 :]]) + b"\r\n\r\n"
        return cls(fields, place, before, after)

    def fields_of(self, octets: bytes, ends: int) -> list[FieldLine] | None:
        """All fields of a head; None where it is not alike.

        Args:
            octets: the whole head, with its blank line.
            ends: where its target ends, and `END_OF_START_LINE` begins.

        RFC 9112 §5.
        """
        before, after = self._before, self._after
        begins, stops = ends + len(before), len(octets) - len(after)
        if begins > stops or not octets.startswith(before, ends) or not octets.endswith(after):
            return None
        if FIELD_VALUE.fullmatch(octets, begins, stops) is None:
            return None
        value = octets[begins:stops].strip(b" \t")
        fields, lowered = self.fields.copy(), self._lowered
        fields[self.place] = tuple.__new__(
            FieldLine,
            (self._name, lowered, value, ORDINARY, b"%b%b\r\n" % (self._prefix, value), (lowered, value)),
        )
        return fields
