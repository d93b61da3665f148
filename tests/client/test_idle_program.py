"""A program that does nothing leaves no socket in CLOSE_WAIT: RFC 9112 §9.5. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.network import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's table is Linux's")

ESTABLISHED, CLOSE_WAIT = "01", "08"
CONNECTIONS = 50
PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.02


def states(port: int) -> Counter[str]:
    """The states of the sockets whose peer is this port: those of clients."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return Counter(line[3] for line in lines if int(line[2].rpartition(":")[2], 16) == port)


class Server:
    """Accepts, says nothing, and ends all connections when it is told to."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS)
        self.port: int = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def end_all(self) -> None:
        for _ in range(CONNECTIONS):
            self.listening.accept()[0].close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A silent server."""
    server = Server()
    with server.listening:
        yield server


def test_a_program_that_does_not_look_is_what_is_counted(server: Server) -> None:
    with contextlib.ExitStack() as sockets:
        for _ in range(CONNECTIONS):
            sockets.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert states(server.port)[ESTABLISHED] == CONNECTIONS
        server.end_all()
        assert states(server.port)[CLOSE_WAIT] == CONNECTIONS


@pytest.mark.row("R110")
def test_a_program_of_threads_that_sleeps_has_no_socket_in_close_wait(server: Server) -> None:
    with perdure.Client(max_per_origin=CONNECTIONS) as client:
        assert client.warm(server.url, CONNECTIONS) == CONNECTIONS
        assert states(server.port)[ESTABLISHED] == CONNECTIONS
        server.end_all()
        for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
            if not states(server.port).keys() & {ESTABLISHED, CLOSE_WAIT}:
                break
            threading.Event().wait(LOOK_SECONDS)
        assert not states(server.port).keys() & {ESTABLISHED, CLOSE_WAIT}
        assert client.statistics().closes == {Reason.PEER_CLOSED: CONNECTIONS}


@pytest.mark.row("R110")
@pytest.mark.parametrize("prefer_uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_an_event_loop_that_is_idle_has_no_socket_in_close_wait(server: Server, prefer_uvloop: bool) -> None:
    async def main() -> None:
        async with perdure.AsyncClient(max_per_origin=CONNECTIONS) as client:
            assert await client.warm(server.url, CONNECTIONS) == CONNECTIONS
            assert states(server.port)[ESTABLISHED] == CONNECTIONS
            server.end_all()
            for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
                if not states(server.port).keys() & {ESTABLISHED, CLOSE_WAIT}:
                    break
                await asyncio.sleep(LOOK_SECONDS)
            assert not states(server.port).keys() & {ESTABLISHED, CLOSE_WAIT}
            assert client.statistics().closes == {Reason.PEER_CLOSED: CONNECTIONS}

    run(main(), prefer_uvloop)
