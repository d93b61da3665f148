"""What `perdure get` tells: a row for each request, totals, and each close's reason with its count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from perdure.core import Reason

HEADER = "request  status    octets   time ms  connection  used         idle s"


def plural(number: int) -> str:
    """What the noun beside a number ends with: "1 reuse", "2 reuses"."""
    return "" if number == 1 else "s"


class Row(NamedTuple):
    """One request and what became of it."""

    number: int
    """From 1, in the order in which they were begun."""
    url: str
    status: int | None = None
    """None where no response was received whole."""
    octets: int = 0
    """Of content."""
    seconds: float = 0.0
    connection: int | None = None
    """The connection's number, from 1; None where there was none."""
    reused: bool = False
    idle_seconds: float = 0.0
    ends: Reason | None = None
    """Why its connection ended with it; None where it went on."""
    error: str = ""

    @property
    def good(self) -> bool:
        """True of a whole response with a status below 400."""
        return self.status is not None and self.status < 400

    def text(self) -> str:
        """One aligned line."""
        status = "failed" if self.status is None else str(self.status)
        connection = "-" if self.connection is None else str(self.connection)
        used = "-" if self.connection is None else "reused" if self.reused else "new"
        idle = f"{self.idle_seconds:.3f}" if self.reused else "-"
        line = (
            f"{self.number:>7}  {status:>6}  {self.octets:>8}  {self.seconds * 1000:>8.2f}"
            f"  {connection:>10}  {used:<6}  {idle:>11}"
        )
        return f"{line}  {self.error}" if self.error else line

    def document(self) -> dict[str, Any]:
        """The same for a machine."""
        document = self._asdict()
        document["ends"] = None if self.ends is None else self.ends.word
        document["error"] = self.error or None
        return document


@dataclass(slots=True)
class Totals:
    """What all requests came to."""

    requests: int = 0
    answered: int = 0
    """Whole responses, whatever their status."""
    good: int = 0
    """Those with a status below 400."""
    octets: int = 0
    reused: int = 0
    """Requests on a connection that had been used before."""
    opened: int = 0
    """Connections."""
    seconds: float = 0.0
    closes: Counter[Reason] = field(default_factory=Counter)

    def count(self, rows: Iterable[Row]) -> None:
        """Add requests up."""
        for row in rows:
            self.requests += 1
            self.answered += row.status is not None
            self.good += row.good
            self.octets += row.octets
            self.reused += row.reused

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    def lines(self) -> list[str]:
        """For a person."""
        first = (
            f"{self.requests} requests in {self.seconds:.3f} s ({self.rate:.0f}/s): {self.answered} "
            f"answered, {self.requests - self.answered} failed"
        )
        if self.answered > self.good:
            first += f", {self.answered - self.good} with status 400 or above"
        connections = (
            f"{self.opened} connection{plural(self.opened)} opened, {self.reused} reuse{plural(self.reused)}"
        )
        return [first, connections, *close_lines(self.closes)]

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "requests": self.requests,
            "answered": self.answered,
            "failed": self.requests - self.answered,
            "octets": self.octets,
            "connections": self.opened,
            "reused": self.reused,
            "seconds": round(self.seconds, 6),
            "closes": {reason.word: count for reason, count in self.closes.most_common()},
        }


def close_lines(closes: Mapping[Reason, int]) -> list[str]:
    """Each reason of a close with its count, the commonest first."""
    rows = sorted(closes.items(), key=lambda row: (-row[1], row[0].word))
    return [f"{count:>7} closed  {reason.word:<16}  {reason}" for reason, count in rows]
