"""Tables that were written before: what a page of cells holds already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

BREACH: Final = "✗ "
"""Before a cell that differs from what its row asks for."""
SECTION: Final = "section"
"""The column that says who asks for it."""


def read_cells(page: Path, names_of_rows: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """The cells of a page, by the name of the row and of the column; none where there is no page.

    Args:
        names_of_rows: by headline and title.
    """
    if not page.is_file():
        return {}
    cells: dict[tuple[str, str], str] = {}
    group, columns = "", list[str]()
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        if not line.startswith("| ") or line.startswith("| --- "):
            continue
        title, *words = (word.strip() for word in line.removeprefix("|").removesuffix("|").split("|"))
        if not title:
            columns = words
        elif row := names_of_rows.get((group, title)):
            pairs = zip(columns, words, strict=True)
            cells.update({(row, name): word.removeprefix(BREACH) for name, word in pairs if name != SECTION})
    return cells
