"""No descriptor left: those who are connected are served on, and the others once there are some again."""

from __future__ import annotations

import contextlib
import sys

import pytest

from tests import peers
from tests.endurance import health
from tests.endurance.plain import Plain, close_all, those_with_news, wait_until
from tests.endurance.programs import LOOPS, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what it spends is read from /proc"),
]

DESCRIPTORS = 64
CONNECTIONS = 100
AT_LEAST_SERVED = 24
"""The server keeps about half of so few for itself and for files."""
QUIET_SECONDS = 2.0
SECONDS = 20.0
BUSY_SHARE = 0.25
"""Of a processor. A server that spins takes all of it; one that tries again every second, next to nothing."""
LOG_LINES = 20
"""In all: where it listens, whom it refuses, and once a minute that it cannot accept."""


def begin_each(connections: list[Plain]) -> None:
    """Begin a request on each connection; some the server may have ended already."""
    for number, connection in enumerate(connections):
        with contextlib.suppress(ConnectionError):
            connection.begin(f"/echo/{number}")


def finish_each(connections: list[Plain]) -> int:
    """Finish the request on each connection; how many were answered before the server ended them."""
    for connection in connections:
        with contextlib.suppress(ConnectionError):
            connection.finish()
    answered = 0
    for number, connection in enumerate(connections):
        with contextlib.suppress(ConnectionError):
            assert connection.read() == b"%d" % number
            answered += 1
            connection.close()  # gives a descriptor back, to those who wait for one
    return answered


def spent_while_quiet(server: peers.Peer) -> float:
    """The share of a processor that the server takes while nobody says anything."""
    began = health.processor_seconds(server.process.pid)
    wait_until(lambda: False, QUIET_SECONDS)
    return (health.processor_seconds(server.process.pid) - began) / QUIET_SECONDS


@pytest.mark.row("R112", "S7")
@pytest.mark.parametrize("loop", LOOPS)
def test_out_of_descriptors_the_connected_are_served_and_afterwards_everybody(loop: str) -> None:
    with serve(loop=loop, descriptors=DESCRIPTORS) as server:
        at_first = health.descriptors(server.process.pid)
        connections = [Plain(server.port) for _ in range(CONNECTIONS)]
        try:
            begin_each(connections)
            those_with_news(connections, QUIET_SECONDS)
            assert spent_while_quiet(server) < BUSY_SHARE
            assert finish_each(connections) >= AT_LEAST_SERVED
        finally:
            close_all(connections)
        assert wait_until(lambda: health.descriptors(server.process.pid) <= at_first, SECONDS)
        connections = [Plain(server.port) for _ in range(AT_LEAST_SERVED)]
        try:
            begin_each(connections)
            assert finish_each(connections) == AT_LEAST_SERVED
        finally:
            close_all(connections)
        assert server.log().count("\n") < LOG_LINES, server.log()[:2000]


@pytest.mark.row("R112", "S7")
@pytest.mark.parametrize("loop", LOOPS)
def test_idle_connections_make_room_before_descriptors_run_out(loop: str) -> None:
    connections: list[Plain] = []
    with serve(loop=loop, descriptors=DESCRIPTORS) as server:
        try:
            for number in range(CONNECTIONS):
                connections.append(Plain(server.port))
                assert connections[-1].ask(f"/echo/{number}") == b"%d" % number
            ended = those_with_news(connections, 0.0)
        finally:
            close_all(connections)  # none of them before: pools look at a connection only when they want it
        assert AT_LEAST_SERVED <= CONNECTIONS - len(ended) < DESCRIPTORS
        assert server.log().count("\n") < LOG_LINES, server.log()[:2000]
