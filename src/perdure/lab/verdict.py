"""What was expected, what was measured, and whether that holds: the end of every scenario."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple


@enum.unique
class Holds(enum.Enum):
    """What becomes of an expectation."""

    YES = "holds"
    NO = "fails"
    NOT_SHOWN = "not shown"
    """This backend cannot show it, such as slow start without the kernel's TCP."""


class Claim(NamedTuple):
    """One expectation and its measurement."""

    what: str
    """Such as "hang at the client"."""
    expected: str
    """In words and numbers, such as "5.0 s"."""
    measured: str
    holds: Holds
    why: str = ""
    """The section or source that the expectation comes from."""

    def text(self) -> str:
        """One line."""
        line = f"{self.holds.value:<9}  {self.what}: {self.measured}"
        if self.measured != self.expected:
            line += f" (expected {self.expected})"
        return f"{line}  {self.why}".rstrip()

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {**self._asdict(), "holds": self.holds.value}


def verdict(claims: Sequence[Claim]) -> Holds:
    """Say what becomes of all: one failure fails it, and something must have been shown."""
    found = {claim.holds for claim in claims}
    if Holds.NO in found:
        return Holds.NO
    return Holds.YES if Holds.YES in found else Holds.NOT_SHOWN


def seconds_text(seconds: float) -> str:
    """Write seconds as a reader wants them: "0.262 s", "5.00 s"; with more digits the shorter they are."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds:.3f} s"
