"""`python -m bench.servers`: measure, print, and with --write record in docs/servers.md."""

from __future__ import annotations

import argparse
import sys
import time

from bench.servers import page
from bench.servers.measure import Cells, measure_all
from bench.servers.row import Row
from bench.servers.rows import ROWS
from bench.servers.subjects import SUBJECTS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.servers", description=__doc__)
    subjects = [one.name for one in SUBJECTS]
    parser.add_argument("--only", action="append", choices=subjects, help="this server; may be repeated")
    parser.add_argument("--row", action="append", metavar="NAME", help="this row; may be repeated")
    parser.add_argument("--quick", action="store_true", help="leave out the rows that load the machine")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--write", action="store_true", help="record the cells in docs/servers.md")
    return parser.parse_args()


def chosen_rows(names: list[str] | None) -> list[Row]:
    unknown = set(names or ()) - {row.name for row in ROWS}
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; --list names them")
    return [row for row in ROWS if not names or row.name in names]


def print_cells(rows: list[Row], cells: Cells) -> None:
    for row in rows:
        print(f"{row.title}  [{row.name}]" + (f"  {row.source}" if row.source else ""))
        for (title, name), cell in cells.items():
            if title == row.title:
                print(f"    {name:18}{'' if row.agrees(cell) else page.BREACH}{cell}")


def main() -> None:
    given = arguments()
    rows = chosen_rows(given.row)
    if given.list:
        for row in rows:
            print(f"{row.name:20}{row.title}")
        return
    rows = [row for row in rows if not (given.quick and row.loads)]
    subjects = [one for one in SUBJECTS if not given.only or one.name in given.only]
    started = time.monotonic()
    cells = measure_all(subjects, rows)
    print_cells(rows, cells)
    print(f"{len(cells)} cells in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if given.write:
        page.write(cells)


if __name__ == "__main__":
    main()
