"""What a question of the table is. The questions themselves stand at the end of each cases_*.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.guards.server import Script, Server

Outcome = dict[str, Any]
"""What a client told of one request; see bench.clients.drive."""


@dataclass(frozen=True)
class Ask:
    """One request of a client.

    Attributes:
        method: or "abandon": GET whose content is not read.
        octets: of content; None for none.
        gap: seconds before it.
        awaits: whether it waits until the first connection's script is done, and what it said has arrived.
    """

    method: str = "GET"
    octets: int | None = None
    gap: float = 0.0
    awaits: bool = False

    @property
    def sent_as(self) -> str:
        """The method that the server hears."""
        return "GET" if self.method == "abandon" else self.method


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        name: for the command line.
        scripts: what the first connections do; all others answer as one should.
        asks: what the client is asked for; the paths are /1, /2 and so on.
        cell: makes the text of the cell.
        wanted: what a whole cell must match, where something decides what is right; other rows are told, not
            judged.
        source: the section that decides.
        patient: whether the cell is made only once the first connection's script is done.
    """

    name: str
    title: str
    scripts: tuple[Script, ...]
    cell: Callable[[Row, list[Outcome], Server], str]
    wanted: str = ""
    source: str = ""
    asks: tuple[Ask, ...] = (Ask(), Ask())
    patient: bool = False
    group: str = ""

    def agrees(self, cell: str) -> bool:
        return not self.wanted or re.fullmatch(self.wanted, cell) is not None


def group(title: str, *rows: Row) -> tuple[Row, ...]:
    """Rows under a heading of their own."""
    return tuple(replace(row, group=title) for row in rows)


# What a cell must match, where several rows want the same.
FRESH: Final = "own answer, fresh"
EITHER: Final = "own answer, (fresh|reused)"
REFUSED: Final = r"error \(\w+\); own answer, fresh"
REPEATED: Final = "own answer, fresh, sent twice"
NOT_REPEATED: Final = r"error \(\w+\)|own answer, fresh"
