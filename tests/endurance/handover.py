"""Replaces a gateway again and again under load, and counts what failed: `scripts/handover`.

    wrk, wrk closing, our client posting ──▶ perdure gateway, replaced ──▶ perdure serve

Two ways: SIGHUP replaces both workers of one gateway; or a successor binds the same port (SO_REUSEPORT), and
once it is ready its predecessor gets SIGTERM. No request may fail in either.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from perdure.wire.network import run as run_loop
from tests import peers
from tests.endurance import health
from tests.endurance.load import Posts, Wrk, post_steadily, wrk
from tests.endurance.programs import serve
from tests.real_programs import ours

WORKERS: Final = 2
ROUND_SECONDS: Final = 20
READY_SECONDS: Final = 30.0
PATIENCE: Final = ("--timeout", "30s")
"""wrk counts what takes longer than two seconds as an error, which on a busy machine it is not."""
LOADS: Final = (("wrk", "X: persists"), ("wrk, closing", "Connection: close"))


@dataclass
class Handover:
    """What a run came to.

    Attributes:
        requests: answered, by whom they were asked.
        failed: in words, with how often.
        replaced: how many gateways, or pairs of workers, took over from another.
    """

    way: str
    requests: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    replaced: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.requests.values())

    def count(self, who: str, answered: int, **failed: int) -> None:
        """Add what one load reports."""
        self.requests[who] = self.requests.get(who, 0) + answered
        for words, number in failed.items():
            if number:
                name = f"{who}: {words.replace('_', ' ')}"
                self.failed[name] = self.failed.get(name, 0) + number

    def told(self) -> str:
        """One paragraph for people."""
        by_whom = ", ".join(f"{who} {count}" for who, count in self.requests.items())
        failed = ", ".join(f"{words} {count}" for words, count in self.failed.items()) or "0"
        return (
            f"{self.way}: {self.total} requests in {self.seconds:.0f} s ({by_whom}), "
            f"replaced {self.replaced} times\n  failed: {failed}"
        )


class Gateways:
    """`perdure gateway` on a port that stays, each in a process of its own."""

    def __init__(self, origin: str, folder: Path) -> None:
        self._origin = origin
        self._folder = folder
        self._count = 0
        self.port = peers.free_port()
        self.now = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._count += 1
        log = self._folder / f"gateway-{self._count}.log"
        where = ["--bind", f"{peers.LOOPBACK}:{self.port}", "--workers", str(WORKERS), "--share-port"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*ours.COMMAND, "gateway", "--to", self._origin, *where],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(
            lambda: b"forwarding to" in log.read_bytes() and len(health.children(process.pid)) == WORKERS
        )
        return process

    def renew(self) -> None:
        """SIGHUP: both workers have successors."""
        seen = set(health.children(self.now.pid))
        self.now.send_signal(signal.SIGHUP)
        wait_until(lambda: len(set(health.children(self.now.pid)) - seen) == WORKERS)

    def succeed(self) -> None:
        """A successor on the same port, and SIGTERM for its predecessor, which ends in peace."""
        predecessor, self.now = self.now, self._start()
        predecessor.send_signal(signal.SIGTERM)
        if predecessor.wait(READY_SECONDS + 30):
            raise RuntimeError(f"a gateway ended with status {predecessor.returncode}")

    def stop(self) -> None:
        self.now.terminate()
        self.now.wait(READY_SECONDS)

    def trouble(self) -> list[str]:
        """What the gateways wrote that they should not have to."""
        lines = [line for log in self._folder.glob("*.log") for line in log.read_text().splitlines()]
        return [line for line in lines if "Traceback" in line or "never retrieved" in line]


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that takes well under a second. Raises TimeoutError after thirty."""
    deadline = time.monotonic() + READY_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("a gateway was not replaced in time")
        time.sleep(0.02)


@contextlib.contextmanager
def posting(url: str, posts: Posts) -> Iterator[None]:
    """Our client posts from many tasks, in a thread of its own."""

    async def main() -> None:
        enough = asyncio.Event()
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(enough.set))
        await post_steadily(url, enough, posts)

    stops: list[Callable[[], object]] = []
    thread = threading.Thread(target=lambda: run_loop(main()))
    thread.start()
    try:
        yield
    finally:
        wait_until(lambda: bool(stops))
        stops[0]()
        thread.join()


def run(
    way: str, requests: int, pause: float, seconds: int = ROUND_SECONDS, tell: Callable[[str], None] = print
) -> Handover:
    """Replace gateways under load until so many requests were answered.

    Args:
        way: "SIGHUP" or "SIGTERM".
        pause: seconds between two replacements.
        seconds: of each round of wrk.
    """
    done = Handover(way)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="handover-") as name, serve("--workers", "2") as origin:
        gateways = Gateways(origin.url, Path(name))
        replace = gateways.renew if way == "SIGHUP" else gateways.succeed
        url = f"http://{peers.LOOPBACK}:{gateways.port}"
        try:
            while done.total < requests and not done.failed:
                round_of(done, url, replace, pause, seconds)
                done.seconds = time.monotonic() - started
                tell(done.told())
            for line in gateways.trouble():
                done.failed[f"the gateway said: {line}"] = 1
        finally:
            gateways.stop()
    return done


def round_of(done: Handover, url: str, replace: Callable[[], None], pause: float, seconds: int) -> None:
    """All loads for some seconds, gateways being replaced meanwhile."""
    posts = Posts()
    with contextlib.ExitStack() as stack:
        stack.enter_context(posting(url, posts))
        loads = [
            (who, stack.enter_context(wrk(url, seconds, "-H", header, *PATIENCE))) for who, header in LOADS
        ]
        end = time.monotonic() + seconds - 1
        while time.monotonic() < end:
            replace()
            done.replaced += 1
            time.sleep(pause)
        reports: list[tuple[str, Wrk]] = [(who, load.report()) for who, load in loads]
    for who, report in reports:
        done.count(
            who, report.requests, read_errors=report.read_errors, refused=report.refused,
            other_errors=report.other_errors, not_2xx=report.not_2xx,
        )  # fmt: skip
    done.count("our client", posts.answered, refused=posts.refused, **posts.failed)


def say(words: str) -> None:
    """To standard output, now."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/handover", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000, help="in all; half for each way")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two replacements")
    parser.add_argument("--way", action="append", choices=["SIGHUP", "SIGTERM"], help="only this one")
    given = parser.parse_args()
    ways = given.way or ["SIGHUP", "SIGTERM"]
    found = [run(way, given.requests // len(ways), given.pause, tell=say) for way in ways]
    total, failed = sum(one.total for one in found), sum(sum(one.failed.values()) for one in found)
    say(f"{failed} failed of {total}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
