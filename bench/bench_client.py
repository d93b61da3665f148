"""How much CPU does a GET of a small body cost a client, kernel included, beside other Python clients?

One process for each client, on one core; nginx answers from another. Clients on an event loop (uvloop)
ask from 32 tasks over 32 connections, blocking ones from one thread over one connection. CPU is what the
kernel counted for the process during the requests; the clients take turns, and the median of the rounds is
printed with its ratio to ours. "floor" writes the same octets and reads what comes, on the same event
loop, and shows what of the cost is not ours.

    scripts/bench client [rounds] [requests]
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

CONCURRENT = 32
WARM_ROUNDS = 20
LOOPED = ("perdure", "aiohttp", "pyreqwest", "httpx", "floor")
BLOCKING = ("perdure-sync", "urllib3", "requests")
CORES = sorted(os.sched_getaffinity(0))
CONTENT = "hello, hello, hello"
NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=1024;
    location / {{ default_type text/plain; return 200 "{content}"; }} }} }}
"""
Ask = Callable[[], Awaitable[bytes]]


class Floor(asyncio.Protocol):
    """Writes the octets of a request and hands over whatever comes back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, octets: bytes) -> None:
        self.answered.set_result(octets)

    def ask(self, octets: bytes) -> asyncio.Future[bytes]:
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport.write(octets)  # type: ignore[attr-defined]  # asyncio's own type
        return self.answered


async def through_perdure(url: str, requests: int) -> float:
    from perdure import AsyncClient

    async with AsyncClient(max_per_origin=CONCURRENT, max_total=CONCURRENT) as client:

        async def ask() -> bytes:
            return (await client.get(url)).content

        return await cost(ask, requests)


async def through_aiohttp(url: str, requests: int) -> float:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENT)) as session:

        async def ask() -> bytes:
            async with session.get(url) as response:
                return await response.read()

        return await cost(ask, requests)


async def through_pyreqwest(url: str, requests: int) -> float:
    from pyreqwest.client import ClientBuilder

    async with ClientBuilder().max_connections(CONCURRENT).build() as client:

        async def ask() -> bytes:
            response = await client.get(url).build().send()
            return bytes(await response.bytes())

        return await cost(ask, requests)


async def through_httpx(url: str, requests: int) -> float:
    import httpx

    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=CONCURRENT)) as client:

        async def ask() -> bytes:
            return (await client.get(url)).content

        return await cost(ask, requests)


async def through_floor(url: str, requests: int) -> float:
    host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
    octets = b"GET / HTTP/1.1\r\nHost: %b\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n" % host.encode()
    loop = asyncio.get_running_loop()
    idle = [(await loop.create_connection(Floor, host, int(port)))[1] for _ in range(CONCURRENT)]

    async def ask() -> bytes:
        connection = idle.pop()
        answer = await connection.ask(octets)
        idle.append(connection)
        return answer.partition(b"\r\n\r\n")[2]

    return await cost(ask, requests)


def used() -> float:
    """CPU seconds of this process, all of its threads and the kernel's work for them included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def cost(ask: Ask, requests: int) -> float:
    """Microseconds of CPU for each request."""
    await ask()

    async def lane(count: int) -> None:
        for _ in range(count):
            assert await ask() == CONTENT.encode()

    await asyncio.gather(*[lane(WARM_ROUNDS) for _ in range(CONCURRENT)])
    before = used()
    each = requests // CONCURRENT
    await asyncio.gather(*[lane(each) for _ in range(CONCURRENT)])
    return (used() - before) / (each * CONCURRENT) * 1e6


def blocking_cost(name: str, url: str, requests: int) -> float:
    """The same for a blocking client."""
    ask = blocking_ask(name, url)
    for _ in range(WARM_ROUNDS):
        ask()
    before = used()
    for _ in range(requests):
        assert ask() == CONTENT.encode()
    return (used() - before) / requests * 1e6


def blocking_ask(name: str, url: str) -> Callable[[], bytes]:
    if name == "perdure-sync":
        from perdure import Client

        client = Client()
        return lambda: client.get(url).content
    module = importlib.import_module(name)
    if name == "urllib3":
        pool = module.PoolManager()
        return lambda: bytes(pool.request("GET", url).data)
    session = module.Session()
    return lambda: bytes(session.get(url).content)


def play(name: str, url: str, requests: int) -> float:
    if name in BLOCKING:
        return blocking_cost(name, url, requests)
    uvloop = importlib.import_module("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return float(runner.run(globals()[f"through_{name}"](url, requests)))


def measure(name: str, url: str, requests: int) -> float | None:
    """One client in a process of its own; None where it is not installed."""
    if importlib.util.find_spec({"floor": "asyncio", "perdure-sync": "perdure"}.get(name, name)) is None:
        return None
    command = [sys.executable, __file__, "play", name, url, str(requests)]
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, CORES[:1])
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return float(done.stdout)


@contextlib.contextmanager
def nginx() -> Iterator[str]:
    """nginx on the last core: its URL."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed: nothing measured")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nginx.conf"
        file.write_text(NGINX.format(folder=folder, port=port, content=CONTENT))
        process = subprocess.Popen(
            [program, "-c", str(file), "-e", f"{folder}/error.log"],
            preexec_fn=lambda: os.sched_setaffinity(0, CORES[-1:]),
        )
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(10)


def main(rounds: int, requests: int) -> None:
    with nginx() as url:
        for names in (LOOPED, BLOCKING):
            results: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(rounds):
                for name in names:
                    figure = measure(name, url, requests)
                    if figure is not None:
                        results[name].append(figure)
            print_table(results)


def print_table(results: dict[str, list[float]]) -> None:
    ours = statistics.median(next(iter(results.values())))
    print(f"{'client':14} {'µs CPU/GET':>10} {'spread':>15} {'ours/theirs':>12}")
    for name, figures in results.items():
        if not figures:
            print(f"{name:14} not installed")
            continue
        middle = statistics.median(figures)
        spread = f"{min(figures):.1f} to {max(figures):.1f}"
        print(f"{name:14} {middle:10.1f} {spread:>15} {ours / middle:12.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["play"]:
        print(play(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 5,
            int(sys.argv[2]) if len(sys.argv) > 2 else 10000,
        )
