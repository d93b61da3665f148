"""`python -m bench.race`: run, print the tables, and with --write record them in docs/client-race.md."""

from __future__ import annotations

import argparse
import sys
import time

from bench.clients.subjects import SUBJECTS
from bench.race import page
from bench.race.run import faults, race_all
from bench.race.variant import VARIANTS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.race", description=__doc__)
    subjects, variants = [one.name for one in SUBJECTS], [one.name for one in VARIANTS]
    parser.add_argument("--only", action="append", choices=subjects, help="this client; may be repeated")
    parser.add_argument("--variant", action="append", choices=variants, help="this race; may be repeated")
    parser.add_argument("--requests", type=int, default=5000, help="of each method (default: 5000)")
    parser.add_argument("--write", action="store_true", help="record the table in docs/client-race.md")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    whole = not (given.only or given.variant)
    if given.write and not whole:
        print(
            "bench.race: --write records all clients in all races: leave out --only and --variant",
            file=sys.stderr,
        )
        return 2
    if given.requests < 1:
        print(f"bench.race: --requests: expected 1 or more, got {given.requests}", file=sys.stderr)
        return 2
    subjects = [one for one in SUBJECTS if not given.only or one.name in given.only]
    variants = [one for one in VARIANTS if not given.variant or one.name in given.variant]
    started = time.monotonic()
    results = race_all(subjects, variants, given.requests)
    print(page.tables(results))
    print(f"{len(results)} races in {time.monotonic() - started:.0f} s", file=sys.stderr)
    if given.write:
        page.write(results)
    ours = {one.name for one in SUBJECTS if one.ours}
    lost = [fault for result in results if result.subject in ours for fault in faults(result)]
    for fault in lost:
        print(f"lost: {fault}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
