"""A worker that is killed: its successor serves who waits for it, and the others notice nothing."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.endurance import health
from tests.endurance.load import CONNECTIONS, wrk
from tests.endurance.plain import Plain, close_all, those_with_news, wait_until
from tests.endurance.programs import serve, workers_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc"),
]

WORKERS = 2
SECONDS = 20.0
QUIET_SECONDS = 2.0
TRIES = 64
"""The kernel spreads connections at random: that all of so many reach one worker, one would wait for."""


def worker_behind(connection: Plain) -> int:
    """The process that answers on a connection."""
    return int(connection.ask("/process"))


@pytest.mark.row("R111", "S16")
def test_a_killed_worker_leaves_its_queue_to_its_successor_and_the_other_ones_connections_live_on() -> None:
    with serve("--workers", str(WORKERS)) as server:
        killed, spared = workers_of(server, WORKERS)
        connections = [Plain(server.port) for _ in range(TRIES)]
        queued: list[Plain] = []
        try:
            behind = {connection: worker_behind(connection) for connection in connections}
            assert set(behind.values()) == {killed, spared}
            others = [connection for connection in connections if behind[connection] == spared]

            health.stop(killed)
            queued = [Plain(server.port) for _ in range(TRIES)]
            for connection in queued:
                connection.send("/process")
            answered = those_with_news(queued, QUIET_SECONDS)
            waiting = [connection for connection in queued if connection not in answered]
            assert waiting
            assert {int(connection.read()) for connection in answered} == {spared}

            os.kill(killed, signal.SIGKILL)
            during = [worker_behind(connection) for connection in others]
            successors = {int(connection.read()) for connection in waiting}
            after = [worker_behind(connection) for connection in others]
        finally:
            close_all([*connections, *queued])
        assert len(successors) == 1
        assert not successors & {killed, spared}
        assert {*during, *after} == {spared}
        assert set(workers_of(server, WORKERS)) == {spared, *successors}


@pytest.mark.peer
@pytest.mark.row("R111", "S16")
def test_under_load_a_killed_worker_costs_each_connection_it_had_one_request_and_no_more() -> None:
    with serve("--workers", str(WORKERS)) as server, wrk(server.url, 4) as load:
        killed, _ = workers_of(server, WORKERS)
        wait_until(lambda: False, QUIET_SECONDS)
        os.kill(killed, signal.SIGKILL)
        assert wait_until(lambda: not health.is_running(killed), SECONDS)
        assert killed not in workers_of(server, WORKERS)
        report = load.report()
    assert report.requests > 1000
    # Its connections, and those that came to its queue, had one request under way each.
    assert report.read_errors <= CONNECTIONS
    assert (report.other_errors, report.not_2xx, report.refused) == (0, 0, 0), report
