"""What `perdure get` tells: a row for each request, totals, and each close's reason with its count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from perdure.core import Reason

HEADER = "request  status    octets   time ms  connection  used     idle s  ends"
NO_END = "-"


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
    complete: bool = False
    """True where the file of --continue-at had all of it already, which its 416 says."""

    @property
    def good(self) -> bool:
        """True of a whole response with a status below 400, or that says that the file is complete."""
        return self.status is not None and (self.status < 400 or self.complete)

    def text(self, *, with_url: bool = False) -> str:
        """One aligned line; `with_url` where there is more than one."""
        status = "failed" if self.status is None else str(self.status)
        connection = "-" if self.connection is None else str(self.connection)
        used = "-" if self.connection is None else "reused" if self.reused else "new"
        idle = f"{self.idle_seconds:.3f}" if self.reused else "-"
        ends = NO_END if self.ends is None else self.ends.word
        line = (
            f"{self.number:>7}  {status:>6}  {self.octets:>8}  {self.seconds * 1000:>8.2f}"
            f"  {connection:>10}  {used:<6}  {idle:>7}  {ends}"
        )
        return "  ".join(filter(None, (line, self.url if with_url else "", self.error)))

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
    connect_seconds: Sequence[float] = ()
    """How long each connection took to come about, TLS included."""
    interrupted: bool = False
    """True if it was ended from the keyboard before all was asked."""
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

    @property
    def mean_connect_seconds(self) -> float:
        """How long a connection took to come about, on average; 0.0 without any."""
        took = self.connect_seconds
        return sum(took) / len(took) if took else 0.0

    def lines(self) -> list[str]:
        """For a person."""
        first = (
            f"{self.requests} request{plural(self.requests)} in {self.seconds:.3f} s ({self.rate:.0f}/s): "
            f"{self.answered} answered, {self.requests - self.answered} failed"
        )
        if self.answered > self.good:
            first += f", {self.answered - self.good} with status 400 or above"
        if self.interrupted:
            first += "; interrupted"
        return [first, self._connections(), *close_lines(self.closes)]

    def _connections(self) -> str:
        """What connections cost and what their reuse saved, as far as it was measured."""
        text = f"{self.opened} connection{plural(self.opened)} opened"
        each = self.mean_connect_seconds * 1000
        if each:
            text += f" ({each:.2f} ms each)" if self.opened > 1 else f" ({each:.2f} ms)"
        text += f", {self.reused} reuse{plural(self.reused)}"
        return text + (f" (saved about {self.reused * each:.3g} ms)" if each and self.reused else "")

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
            "connect_seconds": round(self.mean_connect_seconds, 6),
            "interrupted": self.interrupted,
            "closes": {reason.word: count for reason, count in self.closes.most_common()},
        }


def close_lines(closes: Mapping[Reason, int]) -> list[str]:
    """Each reason of a close with its count, the commonest first."""
    rows = sorted(closes.items(), key=lambda row: (-row[1], row[0].word))
    return [f"{count:>7} closed  {reason.word:<16}  {reason}" for reason, count in rows]
