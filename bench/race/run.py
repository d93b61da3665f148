"""One client against one variant of the race."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.clients.driven import driven
from bench.clients.environments import TOP
from bench.clients.lanes import Lane
from bench.clients.subjects import Subject
from bench.race.origin import METHODS
from bench.race.variant import LANES, LIMIT_SECONDS, SPREAD_SECONDS, VARIANTS, Variant

AT_ONCE: Final = 8
"""Races run at the same time: they mostly rest."""
STANDSTILL_SECONDS: Final = 0.05
"""More than a client can leave room for, which knows how long exchanges take and no more."""
RACE_SILENCE_SECONDS: Final = 20.0
"""This server is never silent: no client need fail because the machine is busy."""


@dataclass(frozen=True)
class Result:
    """What became of the requests of one method.

    Attributes:
        asked: requests of the caller.
        failed: how many of them, by the name of the error; `worst`: how many of one origin at most.
        delivered: requests that the server read; `twice`: those that it read more than once.
        repeated: requests that the client sent again by itself.
        reusing: requests that came on a connection that had carried one before.
        dials: connections.
        stood_still: the longest time, in seconds, for which the server's or the client's process did not run
            when it wanted to.
    """

    variant: str
    subject: str
    method: str
    asked: int
    failed: dict[str, int]
    worst: int
    delivered: int
    twice: int
    repeated: int
    reusing: int
    dials: int
    stood_still: float = 0.0

    @property
    def failures(self) -> int:
        return sum(self.failed.values())

    @property
    def reuse(self) -> float:
        """The part of delivered requests that needed no dial."""
        return self.reusing / self.delivered if self.delivered else 0.0


class OriginRunning:
    """A server that listens behind its relay."""

    def __init__(self, process: subprocess.Popen[str], ports: dict[str, list[int]]) -> None:
        self.process = process
        self.ports = ports

    def counted(self) -> dict[str, Any]:
        """End it; what it counted."""
        out, _ = self.process.communicate(timeout=30.0)
        found: dict[str, Any] = json.loads(out)
        return found


@contextlib.contextmanager
def origin(variant: Variant, requests: int, lanes: int) -> Iterator[OriginRunning]:
    """Start the server of a race; it is ended afterwards."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.race.origin", variant.name, str(requests), str(lanes)],
        cwd=TOP,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield OriginRunning(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


def lanes_of(variant: Variant, ports: dict[str, list[int]], count: int) -> list[Lane]:
    """The lanes of both methods, with `count` requests in each."""
    lowest, highest = LIMIT_SECONDS - SPREAD_SECONDS, LIMIT_SECONDS + SPREAD_SECONDS
    return [
        Lane(
            method,
            number,
            f"http://127.0.0.1:{ports[method][0 if variant.together else number]}",
            count,
            lowest,
            highest,
            variant.together,
        )
        for method in METHODS
        for number in range(len(ports[method]))
    ]


def race(subject: Subject, variant: Variant, requests: int) -> list[Result]:
    """Let one client ask so often, by GET and by POST at the same time; a result for each."""
    count = math.ceil(requests / LANES)
    with origin(variant, count * LANES * len(METHODS), LANES) as server, driven(subject) as client:
        lanes = lanes_of(variant, server.ports, count)
        client.begin(RACE_SILENCE_SECONDS)
        told = client.do("lanes", lanes=[asdict(lane) for lane in lanes])
        client.do("end")
        counted = server.counted()
    tallies, counts = told["methods"], counted["methods"]
    stood_still = max(told["stood_still"], counted["stood_still"])
    return [
        Result(
            variant.name, subject.name, method, **tallies[method], **counts[method], stood_still=stood_still
        )
        for method in METHODS
    ]


def race_all(subjects: Sequence[Subject], variants: Sequence[Variant], requests: int) -> list[Result]:
    """Every client against every variant, several at a time; in the order of both."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        pairs = [(subject, variant) for variant in variants for subject in subjects]
        waiting = [threads.submit(race, subject, variant, requests) for subject, variant in pairs]
        return [result for future in waiting for result in future.result()]


def faults(result: Result) -> list[str]:
    """What perdure must not do, in words; none where it did well.

    Where a process stood still, the server did not keep its limit, or a request left long after it was
    decided on: to each origin one may be lost then that may not be repeated, as where a limit changes.
    """
    variant = next(one for one in VARIANTS if one.name == result.variant)
    allowed = variant.failures_allowed or int(result.stood_still > STANDSTILL_SECONDS)
    if result.method == "GET":
        allowed = 0
    told = f"{result.variant}, {result.subject}: "
    found = []
    if result.worst > allowed:
        found.append(f"{told}{result.worst} {result.method} to one origin failed, at most {allowed} may")
    if set(result.failed) - {"NoResponse", f"status {variant.end}"}:
        found.append(f"{told}{result.method} failed neither by NoResponse nor by a 408: {result.failed}")
    if result.twice:
        found.append(f"{told}{result.twice} {result.method} were delivered twice")
    if result.repeated and result.method == "POST":
        found.append(f"{told}{result.repeated} POST were sent again")
    if result.delivered + result.failures < result.asked:
        found.append(f"{told}{result.asked} {result.method} asked, {result.delivered} delivered")
    return found
