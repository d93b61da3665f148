"""The fields of a message as a mapping, for callers; inside, heads stay the lines they came as.

RFC 9110 §5.1, §5.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence

from perdure.client.errors import LocalProtocolError
from perdure.core import FieldLine
from perdure.core.errors import LocalViolation
from perdure.core.fields import make_line


class Headers(Mapping[str, str]):
    """The fields of a message; names are compared without regard to case. RFC 9110 §5.1, §5.3.

    `headers["vary"]` joins the lines of that name with ", "; `get_list` gives them apart (which
    Set-Cookie needs), `lines` everything in order and as received.
    """

    __slots__ = ("_values", "lines")

    def __init__(self, lines: Sequence[FieldLine]) -> None:
        self.lines = lines
        self._values: dict[str, list[str]] = {}
        for line in lines:
            self._values.setdefault(line.lowered.decode("ascii"), []).append(line.value.decode("latin-1"))

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get_list(self, name: str) -> list[str]:
        """The values of the lines of one name, in order; [] without any."""
        return list(self._values.get(name.lower(), ()))

    def multi_items(self) -> list[tuple[str, str]]:
        """(lower-case name, value) of every line, in order."""
        return [(line.lowered.decode("ascii"), line.value.decode("latin-1")) for line in self.lines]

    def __repr__(self) -> str:
        return f"Headers({self.multi_items()!r})"


class RequestHeaders(Headers, MutableMapping[str, str]):
    """The fields of a request, which may be set and deleted."""

    __slots__ = ()

    def __init__(self, lines: Sequence[FieldLine]) -> None:
        super().__init__(list(lines))

    def __setitem__(self, name: str, value: str) -> None:
        """Set a field, in the place of the first of that name.

        Raises:
            LocalProtocolError: for a name or value that cannot be sent (RFC 9110 §5.1, §5.5).
        """
        try:
            line = make_line(name.encode("latin-1"), value.encode("latin-1"))
        except (LocalViolation, UnicodeEncodeError) as error:
            raise LocalProtocolError(f"header {name!r}: {error}") from error
        place = next((at for at, other in enumerate(self.lines) if other.lowered == line.lowered), None)
        kept = [other for other in self.lines if other.lowered != line.lowered]
        kept.insert(len(kept) if place is None else place, line)
        super().__init__(kept)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        lowered = name.lower().encode("latin-1")
        super().__init__([line for line in self.lines if line.lowered != lowered])

    def discard(self, *names: str) -> None:
        """Delete what there is of these."""
        for name in names:
            self.pop(name, None)
