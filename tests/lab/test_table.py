"""Figures side by side."""

from __future__ import annotations

from perdure.lab.table import Table, cell_text

TABLE = Table("what it is", ("strategy", "seconds", "packets"), [("serial", 12.345, 640), ("one", 0.5, 61)])


def test_columns_are_aligned_names_to_the_left_and_figures_to_the_right() -> None:
    assert TABLE.lines() == [
        "what it is",
        "  strategy  seconds  packets",
        "  serial       12.3      640",
        "  one         0.500       61",
    ]


def test_figures_have_three_digits() -> None:
    assert [cell_text(cell) for cell in (0.0426, 1.234, 98.76, 43, "-")] == [
        "0.043",
        "1.23",
        "98.8",
        "43",
        "-",
    ]


def test_a_machine_gets_the_figures_as_they_are() -> None:
    assert TABLE.document()["rows"][0] == ("serial", 12.345, 640)
