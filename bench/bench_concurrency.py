"""How many requests per second are left at 512 concurrent ones, of those at 16?

One process asks from so many tasks over uvloop; nginx answers from another core. Few connections serve
all: both levels have the same (8, the default for one origin, and 16), so that who waits differs. The levels
and the clients take turns in one process of their own each; printed are the medians of the rounds, by the
clock and by the CPU that the kernel counted for the process, and what is retained. Each request at 512 has
a task of its own, as users write it.

    scripts/bench concurrency [rounds] [requests]
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bench_client import CONTENT, CORES, nginx

LEVELS = (16, 512)
CAPS = (8, 16)
CLIENTS = ("perdure", "aiohttp", "httpx")
Ask = Callable[[], Awaitable[bytes]]


async def rates(ask: Ask, concurrent: int, requests: int) -> tuple[float, float]:
    """Requests per second of the clock, and of CPU, with so many of them at once."""
    left = requests

    async def lane() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            assert await ask() == CONTENT.encode()

    await asyncio.gather(*[lane() for _ in range(concurrent)])  # warm
    left = requests
    began, used = time.monotonic(), cpu_seconds()
    await asyncio.gather(*[lane() for _ in range(concurrent)])
    return requests / (time.monotonic() - began), requests / (cpu_seconds() - used)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def through_perdure(url: str, cap: int, concurrent: int, requests: int) -> tuple[float, float]:
    from perdure import AsyncClient

    async with AsyncClient(max_per_origin=cap, max_total=cap) as client:

        async def ask() -> bytes:
            return (await client.get(url)).content

        return await rates(ask, concurrent, requests)


async def through_aiohttp(url: str, cap: int, concurrent: int, requests: int) -> tuple[float, float]:
    aiohttp = importlib.import_module("aiohttp")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=cap)) as session:

        async def ask() -> bytes:
            async with session.get(url) as response:
                return bytes(await response.read())

        return await rates(ask, concurrent, requests)


async def through_httpx(url: str, cap: int, concurrent: int, requests: int) -> tuple[float, float]:
    httpx = importlib.import_module("httpx")
    limits = httpx.Limits(max_connections=cap, max_keepalive_connections=cap)
    async with httpx.AsyncClient(limits=limits, timeout=60.0) as client:

        async def ask() -> bytes:
            return bytes((await client.get(url)).content)

        return await rates(ask, concurrent, requests)


def measure(name: str, url: str, cap: int, concurrent: int, requests: int) -> tuple[float, float]:
    command = [sys.executable, __file__, "play", name, url, str(cap), str(concurrent), str(requests)]
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, CORES[:1])
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    by_clock, by_cpu = done.stdout.split()
    return float(by_clock), float(by_cpu)


def play(name: str, url: str, *numbers: int) -> None:
    uvloop = importlib.import_module("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(*runner.run(globals()[f"through_{name}"](url, *numbers)))


def main(rounds: int, requests: int) -> None:
    clients = [name for name in CLIENTS if importlib.util.find_spec(name) is not None]
    print(f"{'client':8} {'cap':>4} {'by':>5} {'at 16':>9} {'at 512':>9} {'retained':>9}")
    with nginx() as url:
        for cap in CAPS:
            for name in clients:
                count = requests if name != "httpx" else requests // 8
                pairs = [[measure(name, url, cap, level, count) for level in LEVELS] for _ in range(rounds)]
                for row, by in enumerate(("clock", "CPU")):
                    few, many = ([pair[level][row] for pair in pairs] for level in range(2))
                    kept = statistics.median(b / a for a, b in zip(few, many, strict=True))
                    middles = f"{statistics.median(few):9.0f} {statistics.median(many):9.0f}"
                    print(f"{name:8} {cap:4} {by:>5} {middles} {kept:9.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["play"]:
        play(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
    else:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 5,
            int(sys.argv[2]) if len(sys.argv) > 2 else 20000,
        )
