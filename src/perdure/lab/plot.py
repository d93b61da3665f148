"""Tables of figures as bars, drawn by matplotlib, which the `lab` extra brings.

Only a report imports this, and only where matplotlib is installed: a report without it has the tables alone.
"""

from __future__ import annotations

import io
from typing import Final

import matplotlib
from matplotlib.figure import Figure

from perdure.lab.table import Table

WIDTH_INCHES: Final = 9.0
ROW_INCHES: Final = 0.28
HEAD_INCHES: Final = 0.9
COLOURS: Final = ("#1f6fb2", "#2a8f4e", "#b23a1f", "#b8860b", "#6a4fa3", "#4f7f86")


def bars(table: Table) -> str:
    """Draw each column of numbers as horizontal bars, a bar for each row; returns SVG, "" without numbers.

    Every column has its own scale, and every bar its number beside it.
    """
    columns = [
        index
        for index in range(1, len(table.columns))
        if table.rows and all(isinstance(row[index], int | float) for row in table.rows)
    ]
    if not columns:
        return ""
    names = [str(row[0]) for row in table.rows]
    # Words stay words, so that they can be read, searched and shown in the page's own type.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": table.title, "font.size": 8}):
        figure = Figure(figsize=(WIDTH_INCHES, HEAD_INCHES + ROW_INCHES * len(names)), layout="constrained")
        panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
        for place, (panel, index) in enumerate(zip(panels, columns, strict=True)):
            values = [float(row[index]) for row in table.rows]
            drawn = panel.barh(names, values, color=COLOURS[place % len(COLOURS)])
            panel.bar_label(drawn, labels=[f"{value:g}" for value in _rounded(values)], padding=2)
            panel.set_title(table.columns[index])
            panel.margins(x=0.25)
            panel.spines[["top", "right"]].set_visible(False)
        panels[0].invert_yaxis()
        figure.suptitle(f"{table.title}: {table.columns[0]}")
        octets = io.BytesIO()
        figure.savefig(octets, format="svg", metadata={"Date": None})
    text = octets.getvalue().decode("utf-8")
    return text[text.index("<svg") :]


def _rounded(values: list[float]) -> list[float]:
    """Three digits of what is below a thousand."""
    return [float(f"{value:.3g}") if abs(value) < 1000 else round(value) for value in values]
