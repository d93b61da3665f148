"""Every question, in the order of the page."""

from __future__ import annotations

from typing import Final

from bench.servers import (
    cases_content,
    cases_cost,
    cases_framing,
    cases_persistence,
    cases_pipelining,
    cases_stopping,
    cases_timing,
)
from bench.servers.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *cases_persistence.ROWS,
    *cases_timing.ROWS,
    *cases_pipelining.ROWS,
    *cases_content.ROWS,
    *cases_framing.ROWS,
    *cases_stopping.ROWS,
    *cases_cost.ROWS,
)
GROUPS: Final = tuple(dict.fromkeys(row.group for row in ROWS))
