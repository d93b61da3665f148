"""What a question of the table is. The questions themselves stand at the end of each cases_*.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.matrix.asking import Asking
from bench.matrix.origin import Script

Probe = Callable[[Asking], str]
OURS: Final = "ours"
"""In place of a section, where no MUST or SHOULD decides for this kind of proxy, but we do."""


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        name: for the command line, and the beginning of every path.
        probe: asks a proxy, and returns the text of the cell.
        wanted: what a whole cell must match, where something decides what is right; others are told.
        source: the section that decides, with its word where there is one, or OURS.
        wanted_forward: the same for forward proxies, where it differs.
        scripts: what the origin's first connections do; a row with scripts has a proxy of its own.
        alone: it has a proxy of its own, as it counts connections or ends things.
    """

    name: str
    title: str
    probe: Probe
    wanted: str = ""
    source: str = ""
    wanted_forward: str = ""
    scripts: Sequence[Script] = ()
    alone: bool = False
    group: str = ""

    @property
    def has_own(self) -> bool:
        """Whether a proxy is started for it."""
        return self.alone or bool(self.scripts)

    @property
    def is_ours(self) -> bool:
        """Whether a decision of ours says what is right, and not a section."""
        return self.source.startswith(OURS)

    def wanted_for(self, forward: bool) -> str:
        """What a cell of a forward proxy, or of a gateway, must match."""
        return self.wanted_forward if forward and self.wanted_forward else self.wanted

    def agrees(self, cell: str, forward: bool = False) -> bool:
        """Whether a cell is right; one that is not judged is."""
        wanted = self.wanted_for(forward)
        return not wanted or re.fullmatch(wanted, cell) is not None


def group(title: str, *rows: Row) -> tuple[Row, ...]:
    """Rows under a heading of their own."""
    return tuple(replace(row, group=title) for row in rows)


# What a cell must match, where several rows want the same.
REFUSED: Final = r"(4\d\d|501)(, says close)?, closes( by RST)?"
REFUSED_LATE: Final = (
    r"(4\d\d|5\d\d|no answer)(, says close)?, closes( by RST)?(; origin: chunked, wrong content)?"
)
"""Content that is found wrong while it is passed on: the origin sees that it is not whole."""
FAILED: Final = r"50\d|no answer"
FRESH: Final = "200, fresh"
REPEATED: Final = "200, sent twice|200 on a fresh connection, sent once"
ONCE: Final = r"(502|503|504|no answer, closed|200 on a fresh connection), sent once"
