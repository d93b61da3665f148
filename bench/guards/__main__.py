"""`python -m bench.guards`: measure, print, and with --write record in docs/client-guards.md."""

from __future__ import annotations

import argparse
import sys
import time

from bench.clients.subjects import SUBJECTS
from bench.guards import page
from bench.guards.measure import Cells, measure_all
from bench.guards.row import Row
from bench.guards.rows import ROWS
from bench.guards.talk import FLOOD_OCTETS
from bench.written import BREACH


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.guards", description=__doc__)
    subjects = [one.name for one in SUBJECTS]
    parser.add_argument("--only", action="append", choices=subjects, help="this client; may be repeated")
    parser.add_argument("--row", action="append", metavar="NAME", help="this row; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--write", action="store_true", help="record the cells in docs/client-guards.md")
    return parser.parse_args()


def print_cells(rows: list[Row], cells: Cells) -> None:
    for row in rows:
        print(f"{row.title}  [{row.name}]" + (f"  {row.source}" if row.source else ""))
        for (asked, name), cell in cells.items():
            if asked == row.name:
                print(f"    {name:14}{'' if row.agrees(cell) else BREACH}{cell}")


def main() -> int:
    given = arguments()
    unknown = set(given.row or ()) - {row.name for row in ROWS}
    if unknown:
        print(f"bench.guards: no such row: {', '.join(sorted(unknown))}; --list names them", file=sys.stderr)
        return 2
    rows = [row for row in ROWS if not given.row or row.name in given.row]
    if given.list:
        for row in rows:
            print(f"{row.name:20}{row.title}")
        return 0
    subjects = [one for one in SUBJECTS if not given.only or one.name in given.only]
    started = time.monotonic()
    cells = measure_all(subjects, rows)
    print_cells(rows, cells)
    print(f"{len(cells)} cells in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if given.write:
        page.write(cells, FLOOD_OCTETS / 2**20)
    ours = {one.name for one in subjects if one.ours}
    wrong = [(row, name) for row in rows for name in ours if not row.agrees(cells[row.name, name])]
    for row, name in wrong:
        print(f"{name}: {row.name}: expected {row.wanted}, got {cells[row.name, name]}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
