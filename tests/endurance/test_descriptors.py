"""No descriptor left: those who are connected are served on, and the others once there are some again."""

from __future__ import annotations

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
AT_LEAST_SERVED = 32
"""The server's own descriptors, with either event loop, are fewer than 32."""
QUIET_SECONDS = 2.0
BUSY_SHARE = 0.25
"""Of a processor. A server that spins takes all of it; one that tries again every second, next to nothing."""
LOG_LINES = 200
"""What it may say of it in all; a few lines a second while it lasts would be fewer."""


def ask_each(connections: list[Plain]) -> tuple[list[Plain], list[Plain]]:
    """Ask over each connection; those that were answered, and those that wait for an answer.

    The server may also end some; they are in neither.
    """
    for number, connection in enumerate(connections):
        connection.send(f"/echo/{number}")
    with_news = those_with_news(connections, QUIET_SECONDS)
    answered = []
    for number, connection in enumerate(connections):
        if connection not in with_news:
            continue
        try:
            assert connection.read() == b"%d" % number
        except ConnectionError:
            continue
        answered.append(connection)
    return answered, [connection for connection in connections if connection not in with_news]


def spent_while_quiet(server: peers.Peer) -> float:
    """The share of a processor that the server takes while nobody says anything."""
    began = health.processor_seconds(server.process.pid)
    wait_until(lambda: False, QUIET_SECONDS)
    return (health.processor_seconds(server.process.pid) - began) / QUIET_SECONDS


@pytest.mark.row("R112", "S7")
@pytest.mark.parametrize("loop", LOOPS)
def test_out_of_descriptors_the_connected_are_served_and_the_others_once_there_are_some(loop: str) -> None:
    with serve("--max-connections", "10000", loop=loop, descriptors=DESCRIPTORS) as server:
        at_first = health.descriptors(server.process.pid)
        connections = [Plain(server.port) for _ in range(CONNECTIONS)]
        try:
            answered, waiting = ask_each(connections)
            assert len(answered) >= AT_LEAST_SERVED
            assert spent_while_quiet(server) < BUSY_SHARE
            for number, connection in enumerate(answered):
                assert connection.ask(f"/echo/again-{number}") == b"again-%d" % number
            close_all(answered)
            for connection in waiting:
                connection.read()
            close_all(connections)
            assert wait_until(lambda: health.descriptors(server.process.pid) <= at_first, 10)
            again, _ = ask_each(connections := [Plain(server.port) for _ in range(AT_LEAST_SERVED)])
            assert again == connections
        finally:
            close_all(connections)
        assert server.log().count("\n") < LOG_LINES, server.log()[:2000]
