"""docs/servers.md tells of perdure what is so: every cell of its column is measured again.

Over real sockets, from a server in a process of its own, by the functions that filled the table. What depends
on the machine (CPU) is not compared, and times within the tolerance that the page states.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.servers import page
from bench.servers.measure import measure
from bench.servers.row import Row
from bench.servers.rows import GROUPS, ROWS
from bench.servers.subjects import SUBJECTS

PERDURE = SUBJECTS[0]
ASKED = tuple(row for row in ROWS if not row.loads)


@pytest.fixture(scope="module")
def column() -> dict[str, str]:
    """All cells at once: most questions wait for a limit to pass."""
    return measure(PERDURE, ASKED)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel what only Linux tells")
@pytest.mark.parametrize("row", ASKED, ids=lambda row: str(row.name))
def test_what_the_page_says_of_perdure_holds(row: Row, column: dict[str, str]) -> None:
    written = page.read_cells()[row.title, PERDURE.name]
    assert page.holds(written, column[row.title]), f"written: {written}; measured: {column[row.title]}"


def test_the_page_has_a_cell_for_every_row_and_server() -> None:
    cells = page.read_cells()
    assert set(cells) == {(row.title, one.name) for row in ROWS for one in SUBJECTS}
    assert page.NOT_MEASURED not in cells.values()


def test_the_page_says_how_many_rows_each_server_agrees_with() -> None:
    assert page.agreements(page.read_cells()) in page.PAGE.read_text(encoding="utf-8")


def test_perdure_does_what_the_sections_demand() -> None:
    cells = page.read_cells()
    assert not [row.name for row in ROWS if not row.agrees(cells[row.title, PERDURE.name])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
def test_a_row_can_be_chosen_shown_and_found_again(row: Row) -> None:
    assert row.group in GROUPS
    assert [one for one in ROWS if one.name == row.name or one.title == row.title] == [row]
    assert "|" not in row.title


@pytest.mark.parametrize(
    ("written", "measured", "same"),
    [
        ("400, closes", "400, closes", True),
        ("400, closes", "400, closes unannounced", False),
        ("400, closes", "431, closes", False),
        ("2.0 s, 408, FIN", "2.6 s, 408, FIN", True),
        ("2.0 s, 408, FIN", "2.9 s, 408, FIN", False),
        ("2.0 s, 408, FIN", "2.0 s, 408, RST", False),
        ("2.0 s, 408, FIN", "open after 8 s", False),
        ("promised 2, kept +1.0 s", "promised 2, kept +1.4 s", True),
        ("promised 2, kept +1.0 s", "promised 2, kept -0.1 s", False),
        ("4.0 KiB", "5.9 KiB", True),
        ("4.0 KiB", "6.1 KiB", False),
        ("30.0 µs", "90.0 µs", True),
        ("in order, 1 segment", "in order, 2 segments", False),
    ],
)
def test_a_cell_holds_in_words_exactly_and_in_measures_nearly(
    written: str, measured: str, same: bool
) -> None:
    assert page.holds(written, measured) is same


def test_what_was_written_is_read_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.wanted == "yes")
    cells = {(row.title, one.name): "no" for one in SUBJECTS}
    monkeypatch.setattr(page, "PAGE", tmp_path / "servers.md")
    page.PAGE.write_text(page.group_table(row.group, cells), encoding="utf-8")
    assert f"| {page.BREACH}no |" in page.PAGE.read_text(encoding="utf-8")
    assert {place: cell for place, cell in page.read_cells().items() if place[0] == row.title} == cells
