"""docs/client-guards.md tells of perdure what is so, and perdure is right in every row.

Both of its clients are asked again over real sockets, in processes of their own, by the scripts that filled
the table.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.clients.subjects import OURS, SUBJECTS, Subject
from bench.guards import cell, page
from bench.guards.measure import measure
from bench.guards.row import Ask, Outcome, Row
from bench.guards.rows import GROUPS, ROWS
from bench.guards.server import Server
from bench.guards.talk import Notes
from bench.written import BREACH

PATIENCE_SECONDS = 30.0
"""perdure waits for the peer in no row to the end: a busy machine is no hang."""
TIMED = frozenset({"abandoned"})
"""Whether an unread response is drained within its few milliseconds is the machine's affair."""
AT_ONCE = 4


def measured(subject: Subject) -> dict[str, str]:
    """One column, by several processes: a row takes a while, and little of the processor."""
    parts = [ROWS[number::AT_ONCE] for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        columns = threads.map(lambda part: measure(subject, part, PATIENCE_SECONDS), parts)
        return {name: cell for column in columns for name, cell in column.items()}


@pytest.fixture(scope="module")
def columns() -> dict[str, dict[str, str]]:
    return {subject.name: measured(subject) for subject in OURS}


@pytest.mark.slow
@pytest.mark.parametrize("subject", OURS, ids=lambda subject: str(subject.name))
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
@pytest.mark.row("R64", "R90", "R111", "R183")
def test_perdure_is_right_in_every_row(
    row: Row, subject: Subject, columns: dict[str, dict[str, str]]
) -> None:
    found = columns[subject.name][row.name]
    assert row.agrees(found), f"expected {row.wanted}, got {found}"
    if row.name not in TIMED:
        assert page.read_cells()[row.name, subject.name] == found


def test_the_page_has_a_cell_for_every_row_and_client() -> None:
    cells = page.read_cells()
    assert set(cells) == {(row.name, one.name) for row in ROWS for one in SUBJECTS}
    assert page.NOT_MEASURED not in cells.values()


def test_the_page_says_how_many_rows_each_client_agrees_with() -> None:
    assert page.agreements(page.read_cells()) in page.PAGE.read_text(encoding="utf-8")


def test_the_page_finds_no_fault_with_perdure() -> None:
    cells = page.read_cells()
    assert not [row.name for row in ROWS for one in OURS if not row.agrees(cells[row.name, one.name])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
def test_a_row_can_be_chosen_shown_and_found_again(row: Row) -> None:
    assert row.group in GROUPS
    assert [one.name for one in ROWS if one.name == row.name] == [row.name]
    assert [one.name for one in ROWS if (one.group, one.title) == (row.group, row.title)] == [row.name]
    assert "|" not in row.title
    assert bool(row.wanted) == bool(row.source), "judged by nothing, or told with a section"


def test_what_was_written_is_read_back(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    row = next(row for row in ROWS if row.wanted)
    cells = {(row.name, one.name): "foreign answer" for one in SUBJECTS}
    text = f"## {row.group}\n\n{page.group_table(row.group, cells)}"
    assert f"| {BREACH}foreign answer |" in text

    class Page:
        def is_file(self) -> bool:
            return True

        def read_text(self, encoding: str) -> str:
            return text

    monkeypatch.setattr(page, "PAGE", Page())
    found = {place: cell for place, cell in page.read_cells().items() if place[0] == row.name}
    assert found == cells


# What a cell says


def served(*connections: list[str]) -> Server:
    """A server whose connections heard these requests."""
    server = Server("http://127.0.0.1:1")
    server.notes = [Notes(requests=requests) for requests in connections]
    return server


def got(content: str = "/1", status: int = 200) -> Outcome:
    return {"status": status, "content": content, "length": len(content), "seconds": 0.1}


FAILED: Outcome = {"error": "ReadError", "text": "", "seconds": 0.1, "hung": False}
HUNG: Outcome = {**FAILED, "hung": True}
TWO = Row("row", "title", (), cell.last)


@pytest.mark.parametrize(
    ("outcomes", "connections", "told"),
    [
        ([got(), got("/2")], [["GET /1", "GET /2"]], "own answer, reused"),
        ([got(), got("/2")], [["GET /1"], ["GET /2"]], "own answer, fresh"),
        ([got(), got("/2")], [["GET /1", "GET /2"], ["GET /2"]], "own answer, fresh, sent twice"),
        ([got(), got("evil")], [["GET /1", "GET /2"]], "foreign answer"),
        ([got(), got("/1")], [["GET /1", "GET /2"]], "200 with 2 octets"),
        ([got(), got("", 408)], [["GET /1"]], "408"),
        ([got(), FAILED], [["GET /1", "GET /2"]], "error (ReadError)"),
        ([got(), FAILED], [["GET /1", "GET /2"], ["GET /2"]], "error (ReadError), sent twice"),
        ([HUNG, got("/2")], [["GET /1"], ["GET /2"]], "before it: hangs; own answer, fresh"),
    ],
)
def test_a_cell_tells_how_the_last_request_ended(
    outcomes: list[Outcome], connections: list[list[str]], told: str
) -> None:
    assert TWO.cell(TWO, outcomes, served(*connections)) == told


def test_a_cell_tells_of_each_request() -> None:
    row = Row("row", "title", (), cell.each)
    assert cell.each(row, [FAILED, got("/2")], served(["GET /1"], ["GET /2"])) == (
        "error (ReadError); own answer, fresh"
    )


@pytest.mark.parametrize(
    ("taken", "told"), [(True, "takes all of it"), (False, "stops it, error (ReadError)")]
)
def test_a_cell_tells_whether_a_flood_was_stopped(taken: bool, told: str) -> None:
    server = served(["GET /1"])
    server.notes[0].flood_taken = taken
    assert cell.flooded(Row("row", "title", (), cell.flooded, asks=(Ask(),)), [FAILED], server) == told


@pytest.mark.parametrize(("seconds", "told"), [(None, "never"), (0.01, "at once"), (5.2, "after 5 s")])
def test_a_cell_tells_when_a_close_was_noticed(seconds: float | None, told: str) -> None:
    server = served(["GET /1"])
    server.notes[0].ended_after = seconds
    assert cell.noticed(TWO, [got()], server) == told
