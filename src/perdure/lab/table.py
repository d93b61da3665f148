"""Figures of a scenario side by side: for the terminal, the report and machines."""

from __future__ import annotations

from typing import Any, NamedTuple


class Table(NamedTuple):
    """Rows of figures.

    Attributes:
        title: what it shows.
        columns: their names, with units.
        rows: a cell for each column; the first names the row.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str | int | float, ...]]

    def lines(self) -> list[str]:
        """As aligned text."""
        cells = [self.columns, *(tuple(map(cell_text, row)) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        lines = [self.title]
        for row in cells:
            first, *others = (
                cell.ljust(width) if not column else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join(("", first, *others)).rstrip())
        return lines

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return self._asdict()


def cell_text(cell: str | float) -> str:
    """Write a figure as a reader wants it: three digits of what is not whole."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.1f}" if cell >= 10 else f"{cell:.2f}" if cell >= 1 else f"{cell:.3f}"
