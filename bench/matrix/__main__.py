"""`python -m bench.matrix`: measure, print, and with --write record in docs/gateways.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from bench.matrix import page
from bench.matrix.measure import Cells, measure_all
from bench.matrix.row import Row
from bench.matrix.rows import ROWS
from bench.matrix.running import CouldNotStart
from bench.matrix.subjects import OURS, SUBJECTS, Subject


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.matrix", description=__doc__)
    subjects = [one.name for one in SUBJECTS]
    parser.add_argument("--only", action="append", choices=subjects, help="this proxy; may be repeated")
    parser.add_argument("--row", action="append", metavar="NAME", help="this row; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--write", action="store_true", help="record the cells in docs/gateways.md")
    return parser.parse_args()


def print_cells(rows: list[Row], subjects: list[Subject], cells: Cells) -> None:
    for row in rows:
        print(f"{row.title}  [{row.name}]" + (f"  {row.source}" if row.source else ""))
        for one in subjects:
            print(f"    {one.name:18}{page.marked(row, one, cells[row.name, one.name])}")


def main() -> int:
    given = arguments()
    unknown = set(given.row or ()) - {row.name for row in ROWS}
    if unknown:
        print(f"bench.matrix: no such row: {', '.join(sorted(unknown))}; --list names them", file=sys.stderr)
        return 2
    rows = [row for row in ROWS if not given.row or row.name in given.row]
    if given.list:
        for row in rows:
            print(f"{row.name:20}{row.title}")
        return 0
    subjects = [one for one in SUBJECTS if not given.only or one.name in given.only]
    started = time.monotonic()
    cells: Cells = {}
    try:
        for subject, column in measure_all(subjects, rows):
            cells.update({(name, subject.name): cell for name, cell in column.items()})
    except (CouldNotStart, subprocess.CalledProcessError) as error:
        print(f"bench.matrix: {error}", file=sys.stderr)
        return 2
    print_cells(rows, subjects, cells)
    print(f"{len(cells)} cells in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if given.write:
        page.write(cells)
    wrong = [
        row
        for row in rows
        for one in subjects
        if one in OURS and not row.agrees(cells[row.name, one.name], one.forward)
    ]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
