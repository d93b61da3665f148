"""Put rows to a subject: all that wait at once, those that load the machine alone and in rounds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from bench.servers.cases_cost import seconds_of
from bench.servers.row import Row
from bench.servers.subjects import CouldNotStart, Running, Subject, interpreter_for, running

AT_ONCE: Final = 6
"""Questions put at the same time: most of them wait."""
ROUNDS: Final = 3

Cells = dict[tuple[str, str], str]
"""By title of the row and name of the subject."""


def measure(subject: Subject, rows: Sequence[Row]) -> dict[str, str]:
    """The cells of one column, by title; rows that load the machine are left out."""
    asked = [row for row in rows if not row.loads]
    shared = [row for row in asked if not row.alone]
    interpreter = interpreter_for(subject)
    with ExitStack() as stack:
        profiles = {row.profile_for(subject) for row in shared}
        servers = {
            profile: stack.enter_context(running(subject, profile, interpreter)) for profile in profiles
        }
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = {row.title: pool.submit(ask_alone, row, subject) for row in asked if row.alone}
            for row in shared:
                waiting[row.title] = pool.submit(ask, row, servers[row.profile_for(subject)])
            return {title: future.result() for title, future in waiting.items()}


def ask(row: Row, server: Running) -> str:
    """One cell; a probe that could not be put says why."""
    try:
        return row.probe(server)
    except (OSError, ValueError) as error:
        return f"could not be asked: {type(error).__name__}"


def ask_alone(row: Row, subject: Subject) -> str:
    """One cell, of a server that is started for it."""
    try:
        with running(subject, row.profile_for(subject), interpreter_for(subject), row.loads) as server:
            return ask(row, server)
    except CouldNotStart as error:
        return f"could not be asked: {error}"


def measure_load(subjects: Sequence[Subject], rows: Sequence[Row]) -> Iterator[tuple[str, str, str]]:
    """The least of several rounds over all subjects, so that what else the machine does falls on all."""
    loaded = [row for row in rows if row.loads]
    for row in loaded:
        rounds = [[ask_alone(row, subject) for subject in subjects] for _ in range(ROUNDS)]
        for subject, cells in zip(subjects, zip(*rounds, strict=True), strict=True):
            yield row.title, subject.name, min(cells, key=seconds_of)


def measure_all(subjects: Sequence[Subject], rows: Sequence[Row]) -> Cells:
    """Every cell asked for."""
    cells: Cells = {}
    for subject in subjects:
        print(f"asking {subject.name}", file=sys.stderr)
        cells.update({(title, subject.name): cell for title, cell in measure(subject, rows).items()})
    for title, name, cell in measure_load(subjects, rows):
        cells[title, name] = cell
    return cells
