"""Running `tests.server.program` and talking to it over blocking sockets, every wait bounded."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 20.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Program:
    """A running server program.

    Attributes:
        process: the program.
        said: what it said first.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.program", json.dumps(options)],
            cwd=TOP,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said: dict[str, Any] = {}
        self.clients: list[Client] = []

    def hear(self) -> dict[str, Any]:
        """Wait for its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.process.communicate()[1]}"
        self.said = json.loads(line)
        return self.said

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def status(self) -> int:
        """Wait for its end: the exit status."""
        return self.process.wait(PATIENCE_SECONDS)

    def end(self) -> str:
        """Wait for its end: what it logged."""
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return errors

    def dial(self) -> Client:
        """Connect to it."""
        match = re.fullmatch(r"http://([\d.]+):(\d+)", self.said["urls"][0])
        assert match is not None
        client = Client(socket.create_connection((match[1], int(match[2])), PATIENCE_SECONDS))
        self.clients.append(client)
        return client

    def refuses(self) -> bool:
        """Connect until that is refused: it has heard that it shall end."""
        try:
            while True:
                self.dial().close()
        except (ConnectionRefusedError, ConnectionResetError):
            return True

    def log_until(self, words: str) -> str:
        """Read its log up to a line with these words."""
        assert self.process.stderr is not None
        read = ""
        for line in self.process.stderr:
            read += line
            if words in line:
                return read
        raise AssertionError(f"no {words!r} in {read}")


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")

    def send(self, octets: bytes) -> None:
        """Send octets, as they are."""
        self.connection.sendall(octets)

    def answer(self) -> tuple[bytes, bytes]:
        """Read one response: (head, content)."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            if not line:
                raise EOFError(head)
            head += line
        match = re.search(rb"\r\nContent-Length: (\d+)", head)
        return head, self.file.read(int(match[1])) if match else b""

    def ask(self) -> int:
        """Send a request: the process id of who answered."""
        self.send(GET)
        return int(self.answer()[1].split()[0])

    def at_eof(self) -> bool:
        """Wait for the end; True if it was FIN with nothing more before it."""
        return self.file.read() == b""

    def close(self) -> None:
        """Leave."""
        self.file.close()
        self.connection.close()


@contextmanager
def program(**options: Any) -> Iterator[Program]:
    """Run the program; it, and what it forked, are gone afterwards."""
    running = Program(options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.communicate()
        for client in running.clients:
            client.close()
