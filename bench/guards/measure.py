"""Put rows to clients: each client in a process of its own, all of them at the same time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.clients.driven import SILENCE_SECONDS, Driven, driven
from bench.clients.subjects import Subject
from bench.guards.row import Ask, Outcome, Row
from bench.guards.server import Server, serving

ARRIVAL_SECONDS: Final = 0.1
"""What the server said is in the client's kernel at once; a turn of its loop may follow."""

Cells = dict[tuple[str, str], str]
"""By name of the row and name of the client."""


def measure(subject: Subject, rows: Sequence[Row], silence: float = SILENCE_SECONDS) -> dict[str, str]:
    """The cells of one column, by name of the row; the client gives up after so long a silence."""
    with driven(subject) as client:
        return {row.name: ask_row(row, client, silence) for row in rows}


def ask_row(row: Row, client: Driven, silence: float = SILENCE_SECONDS) -> str:
    """One cell, of a client and a server that are made for it."""
    with serving(row.scripts) as server:
        client.begin(silence)
        outcomes = [ask(one, number, server, client) for number, one in enumerate(row.asks, 1)]
        if row.patient:
            server.wait_done()
        cell = row.cell(row, outcomes, server)
        client.do("end")
    return cell


def ask(one: Ask, number: int, server: Server, client: Driven) -> Outcome:
    if one.awaits:
        server.wait_done()
        time.sleep(ARRIVAL_SECONDS)
    time.sleep(one.gap)
    url = f"{server.url}/{number}"
    if one.method == "abandon":
        return client.do("abandon", url=url)
    outcome = client.do("ask", method=one.method, url=url, octets=one.octets)
    # Its own time limit ended it; libcurl counts in whole seconds.
    outcome["hung"] = "error" in outcome and outcome["seconds"] >= 0.9 * client.silence
    return outcome


def measure_all(subjects: Sequence[Subject], rows: Sequence[Row]) -> Cells:
    """Every cell asked for."""
    with ThreadPoolExecutor(len(subjects)) as threads:
        waiting = {subject.name: threads.submit(measure, subject, rows) for subject in subjects}
    columns = {name: future.result() for name, future in waiting.items()}
    return {(row.name, name): column[row.name] for row in rows for name, column in columns.items()}
