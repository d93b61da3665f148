"""Every question, in the order of the page."""

from __future__ import annotations

from typing import Final

from bench.matrix import (
    cases_ends,
    cases_hop,
    cases_interim,
    cases_lies,
    cases_old,
    cases_requests,
    cases_reuse,
)
from bench.matrix.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *cases_hop.ROWS,
    *cases_old.ROWS,
    *cases_reuse.ROWS,
    *cases_lies.ROWS,
    *cases_interim.ROWS,
    *cases_requests.ROWS,
    *cases_ends.ROWS,
)
GROUPS: Final = tuple(dict.fromkeys(row.group for row in ROWS))
