"""A client in a process of its own, and what it is told to do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any, Final

from bench.clients.environments import TOP, interpreter_of
from bench.clients.subjects import Subject

SILENCE_SECONDS: Final = 2.0


class ClientEnded(RuntimeError):
    """A client's process ended before it had answered; `args` has what it said."""


class Driven:
    """A client that waits for commands; see `bench.clients.drive`."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.process = process
        self.name = name
        self.silence = SILENCE_SECONDS

    def begin(self, silence: float = SILENCE_SECONDS) -> None:
        """Let it make a client of its kind, for which a peer may be silent so long."""
        self.silence = silence
        self.do("begin", silence=silence)

    def do(self, kind: str, **command: Any) -> dict[str, Any]:
        """Tell it one thing, and wait for what it answers.

        Raises:
            ClientEnded: instead of an answer.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": kind, **command}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        if not line:
            raise ClientEnded(f"{self.name}: its process ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def driven(subject: Subject) -> Iterator[Driven]:
    """Start a client; it is ended afterwards."""
    path = os.pathsep.join([str(TOP), str(TOP / "src")]) if subject.ours else str(TOP)
    with subprocess.Popen(
        [str(interpreter_of(subject.requirements)), "-m", "bench.clients.drive", subject.module],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Driven(process, subject.name)
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
        finally:
            process.kill()
