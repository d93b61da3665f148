"""perdure as a program: run to its end, or serving until a test is over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60.0
TOP = Path(__file__).resolve().parent.parent
ECHO = "tests.programs_application:application"
"""To be served from TOP."""
ENVIRONMENT = {**os.environ, "COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
COMMAND = (sys.executable, "-m", "perdure")


def perdure(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=folder,
        check=False,
        env=ENVIRONMENT,
    )


def document(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON that a command printed."""
    read: dict[str, Any] = json.loads(result.stdout)
    return read


class Serving:
    """A command that serves.

    Attributes:
        url: where.
        counted: what it counted; {} until it has ended.
        told: what it told on standard error by then.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.counted: dict[str, Any] = {}
        self.told = ""

    def end(self) -> int:
        """Let it drain; the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            out, self.told = self.process.communicate(timeout=PATIENCE_SECONDS)
            self.counted = json.loads(out.splitlines()[-1]) if out else {}
        return self.process.returncode


@contextlib.contextmanager
def serving(*arguments: str, folder: Path | None = None) -> Iterator[Serving]:
    """Run a command that serves on any free port of loopback; it is ended afterwards."""
    command = [*COMMAND, *arguments, "--bind", "127.0.0.1:0", "--json", "--drain-grace", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=ENVIRONMENT
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"{arguments}: {process.communicate()[1]}")
        program = Serving(process, json.loads(line)["urls"][0])
        yield program
        program.end()
    finally:
        if process.returncode is None:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def raw_server(converse: Callable[[socket.socket], None]) -> Iterator[str]:
    """Let a function talk on each accepted connection, one after the other; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(PATIENCE_SECONDS)
                    converse(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE_SECONDS)


def read_heads(connection: socket.socket, count: int) -> bytes:
    """Read until so many heads are complete, or to the end."""
    octets = b""
    while octets.count(b"\r\n\r\n") < count and (more := connection.recv(65536)):
        octets += more
    return octets
