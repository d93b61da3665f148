"""All questions, in the order of the page."""

from __future__ import annotations

from typing import Final

from bench.guards import cases_closing, cases_floods, cases_lengths, cases_persisting, cases_unasked
from bench.guards.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *cases_unasked.ROWS,
    *cases_closing.ROWS,
    *cases_persisting.ROWS,
    *cases_lengths.ROWS,
    *cases_floods.ROWS,
)
GROUPS: Final = tuple(dict.fromkeys(row.group for row in ROWS))
