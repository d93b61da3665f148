"""How much CPU does answering a request cost, kernel included, beside the servers people run?

Each server has one core to itself in its turn, the load (wrk, 64 connections) another. CPU is what
the kernel counted for the server's processes (user and system, proc(5)); the servers take turns
within each round, and the medians of the rounds are printed: CPU of a request, what perdure takes
for each that the peer takes (below 1: perdure is cheaper), and requests a second.

    scripts/bench server
    python bench/bench_server.py --rounds 5 --seconds 3 --peers /path/to/python --only perdure,uvicorn

nginx returns the same fields and content from its configuration, without any application. Servers
that are not installed (Python's: beside `--peers`) are left out, and named.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

CORES = sorted(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 64
READY_SECONDS = 20.0
WARM_SECONDS = 1
"""Of load before anything is counted."""
GREETING = b"Hello, world!"

APPLICATION = """
GREETING = b"Hello, world!"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]

async def application(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["method"] == "POST":
        more = True
        while more:
            more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": GREETING})
"""
PERDURE = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from application import application
from perdure.server.process import serve_until_signal
from perdure.server.serve import Server
from perdure.wire.network import run
server = Server(application, "127.0.0.1:{port}", max_requests=None)
run(serve_until_signal(server, lambda urls: None), prefer_uvloop={uvloop})
"""
AIOHTTP = """
import uvloop
from aiohttp import web
async def hello(request):
    if request.method == "POST":
        await request.read()
    return web.Response(body=b"Hello, world!", content_type="text/plain")
uvloop.install()
application = web.Application()
application.router.add_route("*", "/{{path:.*}}", hello)
web.run_app(application, host="127.0.0.1", port={port}, access_log=None, print=None)
"""
NGINX = """{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 75 75; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 "Hello, world!"; }} }} }}
"""
FIELDS = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/index.html",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Cache-Control: max-age=0",
]  # Host is the tenth


class Case(NamedTuple):
    """One kind of load."""

    name: str
    flags: tuple[str, ...]
    script: str


BROWSER = tuple(word for field in FIELDS for word in ("-H", field))
CHANGING = """
local n = 0
request = function()
  n = n + 1
  wrk.headers["X-Request-Id"] = tostring(n)
  return wrk.format("GET", "/item/" .. (n % 5000))
end
"""
PIPELINED = """
init = function()
  local all = {}
  for i = 1, 16 do all[i] = wrk.format("GET", "/") end
  sixteen = table.concat(all)
end
request = function() return sixteen end
"""
CLOSING = ("-H", "Connection: close")
POSTING = 'wrk.method = "POST"\nwrk.body = string.rep("x", 1024)\n'
CASES = (
    Case("GET", (), ""),
    Case("browser, 10 fields", BROWSER, ""),
    Case("10 fields, 1 new, 5000 paths", BROWSER, CHANGING),
    Case("POST 1 KiB", (), POSTING),
    Case("GET, 16 pipelined", (), PIPELINED),
    Case("10 fields, 16 pipelined", BROWSER, PIPELINED),
    Case("GET, a connection for each", CLOSING, ""),
)


class Cost(NamedTuple):
    """What one measurement found."""

    microseconds: float
    """CPU of a request."""
    rate: float
    """Requests a second."""


Results = dict[str, dict[str, list[Cost]]]
"""By server and case, one for each round."""


def commands(folder: Path, peers: str, port: int) -> dict[str, list[str]]:
    """The servers by name."""
    ours = {"folder": str(folder), "port": port}
    uvicorn = ["application:application", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    hypercorn = ["application:application", "--bind", f"127.0.0.1:{port}", "--worker-class", "uvloop"]
    granian = ["--interface", "asgi", "--port", str(port), "--no-access-log", "--no-log"]
    user = "" if os.geteuid() else "user root;"
    (folder / "nginx.conf").write_text(NGINX.format(user=user, **ours))
    return {
        "perdure": [sys.executable, "-c", PERDURE.format(uvloop=True, **ours)],
        "perdure, asyncio": [sys.executable, "-c", PERDURE.format(uvloop=False, **ours)],
        "uvicorn": [peers, "-m", "uvicorn", *uvicorn, "--loop", "uvloop", "--http", "httptools"],
        "hypercorn": [peers, "-m", "hypercorn", *hypercorn],
        "aiohttp": [peers, "-c", AIOHTTP.format(port=port)],
        "granian": [peers, "-m", "granian", *granian, "--loop", "uvloop", "application:application"],
        "nginx": [shutil.which("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")],
    }


def installed(peers: str, name: str) -> bool:
    """Whether a server can be run at all."""
    module = name.partition(",")[0]
    if module == "nginx":
        return shutil.which("nginx") is not None
    python = sys.executable if module == "perdure" else peers
    return (
        subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
    )


@contextlib.contextmanager
def running(name: str, command: list[str], folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server alone on the first core until it is no longer needed."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    if len(CORES) > 1:
        os.sched_setaffinity(process.pid, CORES[:1])  # what it forks inherits it
    try:
        check_answer(name, port)
        yield process
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def check_answer(name: str, port: int) -> None:
    """Wait until it answers, and see that it answers what is counted."""
    until = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                assert answer.read() == GREETING, name
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/a", data=b"x" * 1024, timeout=5) as answer:
                assert answer.read() == GREETING, name
            return
        if time.monotonic() > until:
            raise SystemExit(f"{name} does not answer")
        time.sleep(0.05)


def cpu_seconds(leader: int) -> float:
    """User and system time of all processes of a session."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def measure(case: Case, process: subprocess.Popen[bytes], port: int, folder: Path, seconds: int) -> Cost:
    """Load a server with one case."""
    script = folder / "load.lua"
    script.write_text(case.script + DONE)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *case.flags, "-s", str(script)]
    before = cpu_seconds(process.pid)
    load = subprocess.Popen([*command, f"http://127.0.0.1:{port}/"], stdout=subprocess.PIPE, text=True)
    if len(CORES) > 1:
        os.sched_setaffinity(load.pid, CORES[1:])
    said = load.communicate()[0].rsplit("counted ", 1)[-1].split()
    used = cpu_seconds(process.pid) - before
    requests, errors, elapsed = int(said[0]), int(said[1]), int(said[2]) / 1e6
    if errors or not requests:
        raise SystemExit(f"{case.name}: {errors} errors in {requests} requests")
    return Cost(used / requests * 1e6, requests / elapsed)


DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write("counted ", summary.requests, " ", errors, " ", summary.duration, "\\n")
end
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def table(results: Results) -> None:
    """Print the medians of the rounds: CPU, ratios, rates."""
    names = list(results)
    cases = [case.name for case in CASES if all(case.name in results[name] for name in names)]
    cost = {
        (name, case): Cost(*map(statistics.median, zip(*results[name][case], strict=True)))
        for name in names
        for case in cases
    }
    print_rows("CPU µs of a request", names, cases, lambda name, case: f"{cost[name, case].microseconds:.1f}")
    if names[0] == "perdure":
        print_rows(
            "what perdure takes of it (CPU)",
            names,
            cases,
            lambda name, case: f"{cost['perdure', case].microseconds / cost[name, case].microseconds:.2f}",
        )
        print_rows(
            "perdure answers so many times as many a second",
            names,
            cases,
            lambda name, case: f"{cost['perdure', case].rate / cost[name, case].rate:.2f}",
        )
    print_rows("requests a second", names, cases, lambda name, case: f"{cost[name, case].rate:.0f}")


def print_rows(title: str, names: list[str], cases: list[str], cell: Callable[[str, str], str]) -> None:
    """Print one table: a row for each case, a column for each server."""
    print(f"\n{title}\n" + " " * 30 + "".join(f"{name:>18}" for name in names))
    for case in cases:
        print(f"{case:<30}" + "".join(f"{cell(name, case):>18}" for name in names))


def main() -> None:
    """Measure every server in turn, round by round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--peers", default=sys.executable, help="the Python that has the other servers")
    parser.add_argument("--only", default="", help="servers, separated by commas")
    parser.add_argument("--case", default="", help="cases whose name holds this")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is needed (Debian: wrk)")
    chosen = [name.strip() for name in options.only.split(",") if name]
    results: Results = {}
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        (folder / "application.py").write_text(APPLICATION)
        names = [name for name in commands(folder, options.peers, 1) if not chosen or name in chosen]
        for name in [name for name in names if not installed(options.peers, name)]:
            print(f"left out, not installed: {name}")
            names.remove(name)
        for _ in range(options.rounds):
            for name in names:
                port = free_port()
                command = commands(folder, options.peers, port)[name]
                with running(name, command, folder, port) as process:
                    measure(CASES[0], process, port, folder, WARM_SECONDS)
                    for case in [case for case in CASES if options.case in case.name]:
                        cost = measure(case, process, port, folder, options.seconds)
                        results.setdefault(name, {}).setdefault(case.name, []).append(cost)
    table(results)


if __name__ == "__main__":
    main()
