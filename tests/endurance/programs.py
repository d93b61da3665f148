"""`perdure serve` as the endurance tests start it: with few descriptors, on either event loop."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests import peers
from tests.endurance import health
from tests.endurance.plain import Plain, wait_until
from tests.real_programs.ours import ROOT

APPLICATION: Final = "tests.endurance.application:application"
LOOPS: Final = ("uvloop", "asyncio")
WORKERS_SECONDS: Final = 20.0


def serve(*flags: str, loop: str = "uvloop", descriptors: int = 0) -> AbstractContextManager[peers.Peer]:
    """`perdure serve` with our application.

    Args:
        flags: more flags.
        loop: "uvloop", or "asyncio", which it falls back to where uvloop cannot be imported.
        descriptors: the most that it may have open; 0 for as many as we may.
    """

    def command(folder: Path, port: int) -> list[str]:
        path = f"{ROOT / 'src'}:{ROOT}"
        if loop == "asyncio":
            hiding = folder / "hiding"
            hiding.mkdir(exist_ok=True)
            (hiding / "uvloop.py").write_text("raise ImportError('hidden')\n")
            path = f"{hiding}:{path}"
        limit = f"ulimit -n {descriptors}; " if descriptors else ""
        program = ["env", f"PYTHONPATH={path}", sys.executable, "-m", "perdure"]
        where = ["serve", APPLICATION, "--bind", f"{peers.LOOPBACK}:{port}"]
        return ["sh", "-c", f'{limit}exec "$@"', "sh", *program, *where, *flags]

    return peers.running(f"perdure-{loop}", command)


def workers_of(server: peers.Peer, workers: int) -> list[int]:
    """The processes of the workers, once each of them has answered somebody."""
    answering: set[int] = set()

    def all_answer() -> bool:
        connection = Plain(server.port)
        answering.add(int(connection.ask("/process")))
        connection.close()
        return len(answering & set(health.children(server.process.pid))) == workers

    assert wait_until(all_answer, WORKERS_SECONDS)
    return [process for process in health.children(server.process.pid) if process in answering]
