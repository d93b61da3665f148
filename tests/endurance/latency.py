"""How long well-behaved requests take, one after the other on a persistent connection."""

from __future__ import annotations

import time
from typing import NamedTuple

from tests.endurance.plain import Plain


class Latency(NamedTuple):
    """Of many requests, in seconds."""

    p50: float
    p99: float
    worst: float

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1000:.2f} ms, p99 {self.p99 * 1000:.2f} ms, worst {self.worst * 1000:.1f} ms"


def measure(port: int, requests: int) -> Latency:
    """Ask so many times, and check each answer."""
    connection = Plain(port)
    times = []
    try:
        for number in range(requests):
            began = time.perf_counter()
            content = connection.ask(f"/echo/{number}")
            times.append(time.perf_counter() - began)
            assert content == b"%d" % number
    finally:
        connection.close()
    times.sort()
    return Latency(times[requests // 2], times[requests * 99 // 100], times[-1])
