"""Torments a gateway from both sides, and judges every answer: `scripts/chaos --requests 100000 --seed 1`.

    clients (2 processes) ──256 connections──▶ perdure gateway ──at most 32──▶ origins (4 processes)

Three acts: the origins are healthy, and reuse is counted; then they lie (tests/endurance/chaos_origin.py),
are killed and started again, and stand still; then they are healthy again, and nothing may fail. What must
never happen in any of them: an answer that belongs to another request, a POST that an origin reads twice, a
request without an end, an error of the gateway's own.

After what it saw, the gateway keeps POSTs on fresh connections for minutes; so the first act alone shows
what reuse is among the healthy, whether they promise anything of idle connections or not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests import peers
from tests.endurance.chaos_client import Outcome
from tests.real_programs import ours

ORIGINS: Final = 4
PER_ORIGIN: Final = 8
CLIENT_PROCESSES: Final = 2
LIES: Final = 0.15
SETTLE_SECONDS: Final = 3.0
LIKELY_REUSE: Final = 0.99
ENOUGH_FOR_REUSE: Final = 10_000
"""Below it, the first use of each connection alone is more than one in a hundred."""
FLAGS: Final = (
    "--origin-max-per-origin", str(PER_ORIGIN), "--origin-read-timeout", "2", "--origin-connect-timeout", "2",
    "--origin-pool-timeout", "10",
)  # fmt: skip
WORDS_OF_TROUBLE: Final = re.compile(r"Traceback|never retrieved|never awaited|Exception ignored")


@dataclass
class Act:
    """What one act came to."""

    name: str
    asked: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    posted: list[str] = field(default_factory=list)
    delivered: list[tuple[str, int, str, str]] = field(default_factory=list)
    """What the origins read: connection, place on it, method, token."""

    @property
    def reuse(self) -> float:
        """The share of requests that were not the first on their connection to an origin."""
        return sum(place > 0 for _, place, _, _ in self.delivered) / max(1, len(self.delivered))

    def judge(self) -> None:
        """Add what the origins' notes show to the faults."""
        times = Counter(token for _, _, method, token in self.delivered if method in ("POST", "PATCH"))
        self.faults["POST or PATCH delivered twice"] += sum(count > 1 for count in times.values())
        self.faults["POST or PATCH answered, not delivered"] += sum(not times[token] for token in self.posted)
        often = Counter(token for *_, token in self.delivered)
        self.faults["request delivered more than twice"] += sum(count > 2 for count in often.values())
        self.faults = +self.faults

    def told(self) -> str:
        """One paragraph for people."""
        answers = ", ".join(f"{word} {count}" for word, count in self.answers.most_common())
        faults = ", ".join(f"{word} {count}" for word, count in self.faults.most_common()) or "none"
        return (
            f"{self.name}: {self.asked} requests in {self.seconds:.1f} s, "
            f"{len(self.delivered)} reached an origin, reuse {self.reuse:.4f}, slowest {self.slowest:.1f} s\n"
            f"  answers: {answers}\n  faults: {faults}"
        )


class Origins:
    """The origins as processes, on ports that stay theirs."""

    def __init__(self, folder: Path, seed: int, hint: int) -> None:
        self._folder = folder
        self._random = random.Random(f"{seed}/origins")
        self.ports = [peers.free_port() for _ in range(ORIGINS)]
        self.lies = 0.0
        self._hint = hint
        self.actions: Counter[str] = Counter()
        self._read = [0] * ORIGINS
        self._processes = [self._start(number) for number in range(ORIGINS)]

    def _log(self, number: int) -> Path:
        return self._folder / f"origin-{number}.log"

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        where = [str(self.ports[number]), str(self._log(number))]
        how = [str(self._random.random()), str(self.lies), str(self._hint)]
        process = python("tests.endurance.chaos_origin", *where, *how, stdin=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        return process

    def lie(self, share: float) -> None:
        """From now on this share of the requests is answered badly."""
        self.lies = share
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"%f\n" % share)
            process.stdin.flush()

    def torment(self) -> None:
        """Kill one and start it again, or let it stand still for a while."""
        number = self._random.randrange(ORIGINS)
        process = self._processes[number]
        pause = self._random.random()
        if self._random.random() < 0.5:
            self.actions["killed"] += 1
            end(process)
            time.sleep(pause)
            self._processes[number] = self._start(number)
            return
        self.actions["stopped"] += 1
        process.send_signal(signal.SIGSTOP)
        time.sleep(2 * pause)
        process.send_signal(signal.SIGCONT)

    def delivered(self) -> Iterator[tuple[str, int, str, str]]:
        """What they have read since this was asked last."""
        for number in range(ORIGINS):
            with contextlib.suppress(FileNotFoundError), self._log(number).open() as log:
                log.seek(self._read[number])
                lines = log.read()
                self._read[number] += len(lines)
                for line in lines.splitlines():
                    connection, place, method, token = line.split(" ")
                    yield f"{number}:{connection}", int(place), method, token

    def stop(self) -> None:
        """End all of them."""
        for process in self._processes:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it, and close what led to it."""
    process.kill()
    process.communicate()


def python(module: str, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """A module of ours as a process."""
    environment = {**os.environ, "PYTHONPATH": f"{ours.ROOT / 'src'}:{ours.ROOT}"}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, env=environment)


class Watch:
    """Counts the gateway's connections to its origins, again and again (Linux).

    The kernel's table is no picture of one moment, and a close precedes a dial by less than a look at it
    takes: so those count that two looks in a row have seen.
    """

    def __init__(self, ports: list[int]) -> None:
        ends = "|".join(f"{port:04X}" for port in ports)
        # Remote address, and a state in which our side has not ended it: ESTABLISHED, SYN_SENT, CLOSE_WAIT.
        self._line = re.compile(rf"^ *\d+: ([0-9A-F:]+) 0100007F:(?:{ends}) (?:01|02|08) ", re.MULTILINE)
        self.most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        before: set[str] = set()
        while not self._over.wait(0.05):
            seen = set(self._line.findall(Path("/proc/net/tcp").read_text()))
            self.most = max(self.most, len(seen & before))
            before = seen


@dataclass
class Chaos:
    """The run as a whole.

    Attributes:
        connections: the most that the gateway had to its origins at once.
    """

    acts: list[Act]
    connections: int
    trouble: list[str]
    actions: Counter[str]

    def faults(self) -> list[str]:
        """Everything that must not have happened, in words."""
        found = [f"{act.name}: {word}: {count}" for act in self.acts for word, count in act.faults.items()]
        found += [f"the gateway said: {line}" for line in self.trouble]
        if self.connections > ORIGINS * PER_ORIGIN:
            found.append(f"{self.connections} connections to origins, at most {ORIGINS * PER_ORIGIN} allowed")
        for act in self.acts:
            healthy = act.name != "lying"
            if healthy and set(act.answers) - {"200", "left"}:
                found.append(f"{act.name}: not all answered with 200: {dict(act.answers)}")
            if act.name == "healthy" and act.asked >= ENOUGH_FOR_REUSE and act.reuse < LIKELY_REUSE:
                found.append(f"{act.name}: reuse {act.reuse:.4f}, at least {LIKELY_REUSE} expected")
        return found


def play(name: str, port: int, origins: Origins, seed: int, connections: int, requests: int) -> Act:
    """One act: all clients ask until their requests are spent; while origins lie they are tormented, too."""
    act = Act(name)
    started = time.monotonic()
    each = [str(connections // CLIENT_PROCESSES), str(requests // CLIENT_PROCESSES)]
    clients = [
        python("tests.endurance.chaos_client", str(port), f"{name}-{number}", str(seed), *each)
        for number in range(CLIENT_PROCESSES)
    ]
    outputs: dict[int, bytes] = {}
    readers = [
        threading.Thread(
            target=lambda number=number, client=client: outputs.update({number: client.communicate()[0]})
        )
        for number, client in enumerate(clients)
    ]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        if origins.lies:
            origins.torment()
        time.sleep(0.2)
    act.seconds = time.monotonic() - started
    for client, output in ((client, outputs[number]) for number, client in enumerate(clients)):
        if client.returncode:
            act.faults[f"a client ended with {client.returncode}"] += 1
            continue
        add(act, json.loads(output))
    act.delivered.extend(origins.delivered())
    act.judge()
    return act


def add(act: Act, found: dict[str, object]) -> None:
    """Add what one process of clients told."""
    parts = Outcome(**found)  # type: ignore[arg-type]  # JSON of the same class
    act.asked += parts.asked
    act.answers.update(parts.answers)
    act.faults.update(parts.faults)
    act.posted.extend(parts.posted)
    act.slowest = max(act.slowest, parts.slowest)


def run(
    requests: int, connections: int, seed: int, hint: int = 30, tell: Callable[[str], None] = lambda _: None
) -> Chaos:
    """All three acts.

    Args:
        requests: in all; three in ten while origins are healthy, six while they lie, one at the end.
        hint: what origins promise of idle connections, in seconds; 0 for nothing.
        tell: called with what an act came to.
    """
    shares = (("healthy", 0.3, 0.0), ("lying", 0.6, LIES), ("healed", 0.1, 0.0))
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        origins = Origins(Path(name), seed, hint)
        urls = [f"http://127.0.0.1:{port}" for port in origins.ports]
        acts = []
        try:
            with ours.gateway(*urls, flags=FLAGS) as gateway, Watch(origins.ports) as watch:
                for title, share, lies in shares:
                    if lies != origins.lies:
                        origins.lie(lies)
                        time.sleep(SETTLE_SECONDS)
                    acts.append(play(title, gateway.port, origins, seed, connections, int(requests * share)))
                    tell(acts[-1].told())
                trouble = [line for line in gateway.log().splitlines() if WORDS_OF_TROUBLE.search(line)]
        finally:
            origins.stop()
    return Chaos(acts, watch.most, trouble, origins.actions)


def say(words: str) -> None:
    """To standard output, now."""
    sys.stdout.write(f"\n{words}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=256, help="of clients, at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--hint", type=int, default=30, help="seconds that origins promise; 0: nothing is said"
    )
    given = parser.parse_args()
    chaos = run(given.requests, given.connections, given.seed, given.hint, say)
    actions = ", ".join(f"{word} {count} times" for word, count in chaos.actions.items())
    say(f"origins were {actions}; at most {chaos.connections} connections to them at once")
    faults = chaos.faults()
    say("\n".join([*(f"fault: {fault}" for fault in faults), f"{len(faults) or 'no'} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
