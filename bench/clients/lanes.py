"""Requests in lanes: each lane asks, rests for a gap, and asks again. What a race consists of.

Usually every lane has an origin of its own, so that its connection lies idle for the whole gap. Lanes that
ask together have one origin, ask it at the same moment and rest for the same gap.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.clients.asker import Answer, AskerInThreads, AskerOnLoop, name_of


@dataclass(frozen=True)
class Lane:
    """One lane.

    Attributes:
        method: "GET" or "POST".
        number: from 0, within its method.
        url: of the origin, without a path.
        count: how many requests.
        lowest, highest: seconds between an answer and the next request.
        together: whether it waits for the other lanes of its method before each request.
    """

    method: str
    number: int
    url: str
    count: int
    lowest: float
    highest: float
    together: bool = False

    def gaps(self) -> Iterator[float]:
        """The rest before each request; the first parts the lanes, unless they ask together."""
        own = random.Random(f"{self.method} {'all' if self.together else self.number}")
        yield 0.0 if self.together else own.uniform(0.0, self.highest)
        for _ in range(self.count - 1):
            yield own.uniform(self.lowest, self.highest)

    def requests(self) -> Iterator[tuple[float, str, bytes | None, bytes]]:
        """Gap, URL, content and the content that the answer must have, of each request."""
        for number, gap in enumerate(self.gaps()):
            path = f"/{self.number}-{number}"
            content = path.encode() if self.method == "POST" else None
            yield gap, self.url + path, content, f"{self.method} {path}".encode()


@dataclass
class Tally:
    """What became of the requests of one method.

    Attributes:
        asked: all of them.
        failed: by the name of the error, or "status 408", or "foreign answer".
        by_origin: failures by the URL of the origin.
    """

    asked: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    by_origin: Counter[str] = field(default_factory=Counter)

    def note(self, lane: Lane, answer: Answer | Exception, wanted: bytes) -> None:
        self.asked += 1
        fault = fault_of(answer, wanted)
        if fault:
            self.failed[fault] += 1
            self.by_origin[lane.url] += 1

    def told(self) -> dict[str, Any]:
        worst = max(self.by_origin.values(), default=0)
        return {"asked": self.asked, "failed": dict(self.failed), "worst": worst}


def fault_of(answer: Answer | Exception, wanted: bytes) -> str:
    """What is wrong with an answer; "" where nothing is."""
    if isinstance(answer, Exception):
        return name_of(answer)
    if answer.status != 200:
        return f"status {answer.status}"
    return "" if answer.content == wanted else "foreign answer"


def told(tallies: dict[str, Tally]) -> dict[str, Any]:
    return {method: tally.told() for method, tally in tallies.items()}


def tallies_for(lanes: list[Lane]) -> dict[str, Tally]:
    return {lane.method: Tally() for lane in lanes}


async def run_on_loop(asker: AskerOnLoop, lanes: list[Lane]) -> dict[str, Any]:
    """Run every lane in a task of its own."""
    tallies = tallies_for(lanes)
    counts = Counter(lane.method for lane in lanes)
    barriers = {method: asyncio.Barrier(count) for method, count in counts.items()}

    async def run(lane: Lane) -> None:
        for gap, url, content, wanted in lane.requests():
            await asyncio.sleep(gap)
            if lane.together:
                await barriers[lane.method].wait()
            answer: Answer | Exception
            try:
                answer = await asker.ask(lane.method, url, content)
            except Exception as error:
                answer = error
            tallies[lane.method].note(lane, answer, wanted)

    await asyncio.gather(*(run(lane) for lane in lanes))
    return told(tallies)


def run_in_threads(asker: AskerInThreads, lanes: list[Lane]) -> dict[str, Any]:
    """Run every lane in a thread of its own."""
    tallies = tallies_for(lanes)
    counts = Counter(lane.method for lane in lanes)
    barriers = {method: threading.Barrier(count) for method, count in counts.items()}
    lock = threading.Lock()

    def run(lane: Lane) -> None:
        for gap, url, content, wanted in lane.requests():
            time.sleep(gap)
            if lane.together:
                barriers[lane.method].wait()
            answer: Answer | Exception
            try:
                answer = asker.ask(lane.method, url, content)
            except Exception as error:
                answer = error
            with lock:
                tallies[lane.method].note(lane, answer, wanted)

    with ThreadPoolExecutor(len(lanes)) as threads:
        for future in [threads.submit(run, lane) for lane in lanes]:
            future.result()
    return told(tallies)
