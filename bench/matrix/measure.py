"""Put rows to subjects: several at once, as most wait; what counts or ends has a proxy of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from bench.matrix.asking import Asking
from bench.matrix.origin import serving
from bench.matrix.row import Row
from bench.matrix.running import CouldNotStart, running
from bench.matrix.subjects import Subject

AT_ONCE: Final = 4
Cells = dict[tuple[str, str], str]
"""By name of the row and name of the subject."""


def measure(subject: Subject, rows: Sequence[Row], at_once: int = AT_ONCE) -> dict[str, str]:
    """The cells of one column, by name of the row."""
    shared = [row for row in rows if not row.has_own]
    with ThreadPoolExecutor(at_once) as pool:
        waiting = {row.name: pool.submit(ask_alone, row, subject) for row in rows if row.has_own}
        together = pool.submit(ask_together, shared, subject)
        cells = together.result() | {name: future.result() for name, future in waiting.items()}
    return {row.name: cells[row.name] for row in rows}


def ask_alone(row: Row, subject: Subject) -> str:
    """One cell, of a proxy and an origin that are there for it."""
    try:
        with serving(row.scripts) as origin, running(subject, origin) as proxy:
            return ask(row, Asking(row.name, proxy.port, origin, subject.forward, proxy.stop))
    except CouldNotStart as error:
        return f"could not be asked: {error}"


def ask_together(rows: Sequence[Row], subject: Subject) -> dict[str, str]:
    """Cells of one proxy with a plain origin, one after the other."""
    if not rows:
        return {}
    with ExitStack() as stack:
        origin = stack.enter_context(serving())
        proxy = stack.enter_context(running(subject, origin))
        return {row.name: ask(row, Asking(row.name, proxy.port, origin, subject.forward)) for row in rows}


def ask(row: Row, asking: Asking) -> str:
    """One cell; a probe that could not be put says why."""
    try:
        return row.probe(asking)
    except (OSError, ValueError, IndexError) as error:
        return f"could not be asked: {type(error).__name__}: {error}"


def measure_all(subjects: Sequence[Subject], rows: Sequence[Row]) -> Iterator[tuple[Subject, dict[str, str]]]:
    """One column after the other, as it is finished.

    Raises:
        CouldNotStart: a proxy is not on this machine, or does not forward.
    """
    for subject in subjects:
        print(f"asking {subject.name}", file=sys.stderr)
        yield subject, measure(subject, rows)
