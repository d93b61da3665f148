"""What a question of the table is. The questions themselves stand at the end of each cases_*.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bench.servers.subjects import DEFAULT, FEW_CONNECTIONS, FEW_REQUESTS, Running, Subject

Probe = Callable[[Running], str]


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        name: for the command line.
        probe: asks a server, and returns the text of the cell.
        source: the section that decides, with its word where there is one; "" where none does.
        wanted: what a whole cell must match where something decides what is right; a cell that does not is
            marked in the page. Rows without it are told, not judged.
        profile: how the server is configured.
        alone: the server is stopped by it or loaded by it, so it has one of its own.
        loads: it wants the machine for itself, and is measured in rounds.
    """

    name: str
    title: str
    probe: Probe
    source: str = ""
    wanted: str = ""
    profile: str = DEFAULT
    alone: bool = False
    loads: bool = False
    group: str = ""

    def profile_for(self, subject: Subject) -> str:
        """A subject without the setting is asked as it comes."""
        if self.profile in (FEW_REQUESTS, FEW_CONNECTIONS) and not subject.can(self.profile):
            return DEFAULT
        return self.profile

    def agrees(self, cell: str) -> bool:
        return not self.wanted or re.fullmatch(self.wanted, cell) is not None


def group(title: str, *rows: Row) -> tuple[Row, ...]:
    """Rows under a heading of their own."""
    return tuple(replace(row, group=title) for row in rows)


# What a cell must match, where several rows want the same.
# Whether a refusal announces its close is a row of its own, and does not count against every other.
REFUSED: Final = r"(400|501), closes( unannounced)?( by RST)?"
REFUSED_OR_CLOSED: Final = rf"{REFUSED}|200, closes( unannounced)?"
IN_STEP: Final = "persists|closes"
CUT_OFF: Final = "cut off by (FIN|RST)"
