"""Signals under load: no request that was sent goes without its whole answer."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from perdure.wire.network import run
from tests import peers
from tests.endurance import health
from tests.endurance.load import CONNECTIONS, Posts, post_steadily, wrk
from tests.endurance.plain import Plain, close_all, wait_until
from tests.endurance.programs import LOOPS, serve, workers_of
from tests.real_programs import ours

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc"),
]

REPLACEMENTS = 5
WORKERS = 2
SECONDS = 20.0
"""For what takes well under one."""
BETWEEN_SECONDS = 0.3
AT_LEAST_ASKED = 50
"""However busy the machine."""
HEADERS = ["X: persists", "Connection: close"]


class Replacing:
    """SIGHUP, and whether both workers have successors since then."""

    def __init__(self, server: peers.Peer) -> None:
        self._server = server
        self._seen = set(health.children(server.process.pid))

    def begin(self) -> None:
        """Ask for it."""
        self._seen |= set(health.children(self._server.process.pid))
        self._server.process.send_signal(signal.SIGHUP)

    def is_done(self) -> bool:
        """Whether it has happened."""
        return len(set(health.children(self._server.process.pid)) - self._seen) == WORKERS


@pytest.mark.row("R115", "S6", "S16")
@pytest.mark.parametrize("header", HEADERS)
def test_wrk_sees_no_failed_request_while_sighup_replaces_both_workers_five_times(header: str) -> None:
    with serve("--workers", str(WORKERS)) as server, wrk(server.url, 6, "-H", header) as load:
        workers_of(server, WORKERS)
        replacing = Replacing(server)
        for _ in range(REPLACEMENTS):
            replacing.begin()
            assert wait_until(replacing.is_done, SECONDS)
            wait_until(lambda: False, BETWEEN_SECONDS)
        report = load.report()
    assert report.requests > AT_LEAST_ASKED
    assert (report.failed, report.refused) == (0, 0), report


@pytest.mark.row("R115", "S6", "S16")
def test_no_post_of_our_client_fails_while_sighup_replaces_both_workers_five_times() -> None:
    async def main(server: peers.Peer, posts: Posts) -> None:
        enough = asyncio.Event()
        posting = asyncio.ensure_future(post_steadily(server.url, enough, posts))
        replacing = Replacing(server)
        for _ in range(REPLACEMENTS):
            await asyncio.to_thread(wait_until, lambda: False, BETWEEN_SECONDS)
            replacing.begin()
            assert await asyncio.to_thread(wait_until, replacing.is_done, SECONDS)
        enough.set()
        await posting

    posts = Posts()
    with serve("--workers", str(WORKERS)) as server:
        workers_of(server, WORKERS)
        run(main(server, posts))
    assert posts.answered > 500
    assert (posts.failed, posts.refused) == ({}, 0)


@pytest.mark.row("R115", "S6", "S16")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("header", HEADERS)
def test_each_request_wrk_sent_before_sigterm_is_answered(header: str, loop: str, workers: int) -> None:
    with serve("--workers", str(workers), loop=loop) as server, wrk(server.url, 2, "-H", header) as load:
        wait_until(lambda: False, 3 * BETWEEN_SECONDS)
        server.process.terminate()
        assert server.process.wait(SECONDS) == 0
        report = load.report()
    assert report.requests > AT_LEAST_ASKED
    # Whoever came later is refused, or gets no connection before wrk's time is over: neither sent a request.
    assert (report.read_errors, report.not_2xx) == (0, 0), report


@pytest.mark.row("R115", "S6", "S16")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("persist", [True, False])
def test_each_post_of_our_client_before_sigterm_is_answered_and_the_next_one_is_refused(
    persist: bool, workers: int
) -> None:
    async def main(server: peers.Peer, posts: Posts) -> None:
        posting = asyncio.ensure_future(post_steadily(server.url, asyncio.Event(), posts, persist=persist))
        await asyncio.to_thread(wait_until, lambda: posts.answered > 500, SECONDS)
        server.process.terminate()
        async with asyncio.timeout(SECONDS):
            await posting

    posts = Posts()
    with serve("--workers", str(workers)) as server:
        run(main(server, posts))
        assert server.process.wait(SECONDS) == 0
    assert posts.answered > 500
    assert (posts.failed, posts.refused) == ({}, CONNECTIONS)


@pytest.mark.row("R115", "S16")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("loop", LOOPS)
def test_requests_that_wait_in_the_queue_at_sigterm_are_answered(loop: str, workers: int) -> None:
    with serve("--workers", str(workers), loop=loop) as server:
        processes = workers_of(server, workers) if workers > 1 else [server.process.pid]
        for process in processes:
            health.stop(process)
        connections = [Plain(server.port) for _ in range(CONNECTIONS)]
        try:
            for number, connection in enumerate(connections):
                connection.send(f"/echo/{number}")
            server.process.terminate()
            for process in processes:
                health.go_on(process)
            answers = [connection.read() for connection in connections]
        finally:
            close_all(connections)
        assert answers == [b"%d" % number for number in range(CONNECTIONS)]
        assert server.process.wait(SECONDS) == 0


@pytest.mark.row("R107", "S6", "S16")
def test_wrk_sees_no_failed_request_when_one_of_two_origins_behind_a_gateway_gets_sigterm() -> None:
    with (
        serve() as going,
        serve() as staying,
        ours.gateway(going.url, staying.url) as gateway,
        wrk(gateway.url, 4) as load,
    ):
        wait_until(lambda: False, 3 * BETWEEN_SECONDS)
        going.process.terminate()
        assert going.process.wait(SECONDS) == 0
        report = load.report()
    assert report.requests > AT_LEAST_ASKED
    assert (report.failed, report.refused) == (0, 0), report
