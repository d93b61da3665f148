"""Many connections that send one octet a second each, from one process that takes little of a processor.

    python -m tests.endurance.drip --port 8000 --connections 5000 --of head

Says "ready" once all are open and have sent the beginning of a request. Then each sends the next octet
of its head, or of its content, once a second, all of them spread evenly over the second. Ends when its
standard input does, and says as JSON how many octets it sent and how many connections had ended.

With --port 0 it connects to itself, and nobody reads: what the machine spends on sending alone.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from tests import peers

TICK_SECONDS: Final = 0.001
BEGINNINGS: Final = {
    "head": b"GET /echo/drip HTTP/1.1\r\nHost: drip\r\nX-Drip: ",
    "content": b"POST /sum/drip HTTP/1.1\r\nHost: drip\r\nContent-Length: 1000000\r\n\r\n",
}
Part = Literal["head", "content"]


def open_connections(port: int, count: int, part: Part) -> Iterator[socket.socket]:
    """Open connections, each with the beginning of a request."""
    for _ in range(count):
        connection = socket.create_connection((peers.LOOPBACK, port), 30)
        connection.sendall(BEGINNINGS[part])
        connection.setblocking(False)
        yield connection


def own_connections(count: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connections to ourselves, both ends."""
    with socket.create_server((peers.LOOPBACK, 0)) as listening:
        for _ in range(count):
            connection = socket.create_connection(listening.getsockname())
            connection.setblocking(False)
            yield connection, listening.accept()[0]


def drip(connections: list[socket.socket]) -> int:
    """Send an octet a second on each until standard input ends; how many were sent."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    count = len(connections)
    began = time.monotonic()
    sent = failed = 0
    while not poll.poll(math.ceil(TICK_SECONDS * 1000)):
        due = int((time.monotonic() - began) * count)
        while sent < due:
            try:
                connections[sent % count].send(b"d")
            except OSError:
                failed += 1
            sent += 1
    return sent - failed


def has_ended(connection: socket.socket) -> bool:
    """Whether the server said something, or ended the connection."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@dataclass(slots=True)
class Dripping:
    """What the process said at its end."""

    octets: int = 0
    ended: int = 0


@contextmanager
def dripping(port: int, connections: int, part: Part) -> Iterator[Dripping]:
    """A process that drips; the object that is handed out is filled in when it ends."""
    command = [sys.executable, "-m", "tests.endurance.drip", "--port", str(port), "--of", part]
    process = subprocess.Popen(
        [*command, "--connections", str(connections)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = Dripping()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield said
        report = json.loads(process.communicate(timeout=60)[0])
        said.octets, said.ended = report["octets"], report["ended"]
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Open, drip, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--of", choices=list(BEGINNINGS), default="head")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.port:
        connections = list(open_connections(options.port, options.connections, options.of))
    else:
        pairs = list(own_connections(options.connections))
        connections = [connection for connection, _ in pairs]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    octets = drip(connections)
    ended = sum(map(has_ended, connections))
    sys.stdout.write(json.dumps({"octets": octets, "ended": ended}))


if __name__ == "__main__":
    main()
