"""How much CPU does a proxied GET cost, kernel included, beside HAProxy and nginx doing the same?

The gateway runs alone on one core; the load (wrk, 64 connections, ten browser-like fields) and a
trivial origin run on another. CPU is what the kernel's scheduler counted for the gateway's
processes; the peers take turns with ours, and the median of the rounds is printed. "hooks" is our
gateway with hooks that do nothing, for which no head may be remembered; "relay" copies octets with
the same event loop, one connection for one, and shows what of the cost is not ours.

    scripts/bench gateway [rounds] [seconds]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from perdure.intermediary.gateway import Gateway
from perdure.wire.network import run

CONNECTIONS = 64
OURS = ("perdure", "hooks", "relay")
FIELDS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/index.html",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Cache-Control: max-age=0",
)  # Host is the tenth
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: origin\r\n"
    b'Content-Type: text/plain\r\nETag: "5f3e"\r\nCache-Control: max-age=60\r\n'
    b"Content-Length: 100\r\n\r\n" + b"x" * 100
)
CORES = sorted(os.sched_getaffinity(0))
NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://origin;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header Via "1.1 nginx"; proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; }} }} }}
"""
HAPROXY = """global
  maxconn 4096
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend clients
  bind 127.0.0.1:{port}
  default_backend origin
backend origin
  http-request set-header Via "1.1 haproxy"
  http-request set-header X-Forwarded-Proto http
  server origin 127.0.0.1:{origin}
"""


class Origin(asyncio.Protocol):
    """Answers every head with the same octets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, octets: bytes) -> None:
        count = octets.count(b"\r\n\r\n")
        if count:
            self.transport.write(RESPONSE * count)  # type: ignore[attr-defined]  # asyncio's own type


async def serve_origin(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


async def serve_gateway(port: int, origin: int, hooks: bool) -> None:
    """Our gateway; with hooks that do nothing, so that it forwards every head anew."""
    async with Gateway(
        f"http://127.0.0.1:{origin}",
        f"127.0.0.1:{port}",
        max_requests=None,
        origin_max_requests=None,
        on_request=(lambda head: None) if hooks else None,
        on_response=(lambda head: None) if hooks else None,
    ):
        await asyncio.Event().wait()


class Relay(asyncio.Protocol):
    """Copies octets both ways, one connection for one connection: the floor of this loop."""

    origin = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.other: Relay | None = None
        self.early = b""
        if isinstance(self, Outward):
            return
        asyncio.get_running_loop().create_task(self.reach())

    async def reach(self) -> None:
        _, self.other = await asyncio.get_running_loop().create_connection(Outward, "127.0.0.1", Relay.origin)
        self.other.other = self
        self.other.transport.write(self.early)  # type: ignore[attr-defined]

    def data_received(self, octets: bytes) -> None:
        if self.other is None:
            self.early += octets
        else:
            self.other.transport.write(octets)  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


class Outward(Relay):
    """Its other half."""


async def serve_relay(port: int, origin: int) -> None:
    Relay.origin = origin
    server = await asyncio.get_running_loop().create_server(Relay, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """What a process and its children have used, by the scheduler's own count."""
    total = 0.0
    for task in Path(f"/proc/{process}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e9
        for child in (task / "children").read_text().split():
            total += cpu_seconds(int(child))
    return total


def pinned(command: list[str], core: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a program on one core."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, preexec_fn=lambda: os.sched_setaffinity(0, [core])
        )


@contextlib.contextmanager
def running(command: list[str], core: int, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = pinned(command, core, folder)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def command_of(name: str, port: int, origin: int, folder: Path) -> list[str] | None:
    """How to start a gateway; None where it is not installed."""
    if name in OURS:
        return [sys.executable, __file__, name, str(port), str(origin)]
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    file = folder / f"{name}.conf"
    template = NGINX if name == "nginx" else HAPROXY
    file.write_text(template.format(port=port, origin=origin, folder=folder))
    if name == "nginx":
        return [program, "-c", str(file), "-e", str(folder / "error.log")]
    return [program, "-db", "-f", str(file)]


def load(port: int, seconds: int, core: int) -> tuple[int, float]:
    """Requests answered and their rate; every answer is checked by wrk."""
    fields = [argument for field in FIELDS for argument in ("-H", field)]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *fields, f"http://127.0.0.1:{port}/a/b"]
    done = subprocess.run(
        ["taskset", "-c", str(core), *command], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(f"wrong answers:\n{done}")
    requests = re.search(r"(\d+) requests in", done)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done)
    assert requests is not None
    assert rate is not None
    return int(requests[1]), float(rate[1])


def measure(name: str, seconds: int, origin: int, folder: Path) -> tuple[float, float] | None:
    """Microseconds of CPU for each request, and requests a second."""
    port = free_port()
    command = command_of(name, port, origin, folder)
    if command is None:
        return None
    with running(command, CORES[0], port, folder) as process:
        load(port, 1, CORES[-1])
        before = cpu_seconds(process.pid)
        requests, rate = load(port, seconds, CORES[-1])
        return (cpu_seconds(process.pid) - before) / requests * 1e6, rate


def main(rounds: int, seconds: int) -> None:
    if shutil.which("wrk") is None:
        print("wrk is not installed: nothing measured")
        return
    names = ["perdure", "hooks", "haproxy", "nginx", "relay"]
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        port = free_port()
        with running([sys.executable, __file__, "origin", str(port)], CORES[-1], port, folder):
            for _ in range(rounds):
                for name in names:
                    figure = measure(name, seconds, port, folder)
                    if figure is not None:
                        results[name].append(figure)
    print(f"{'gateway':10} {'µs CPU/GET':>10} {'spread':>15} {'GET/s':>8}")
    for name, figures in results.items():
        if not figures:
            print(f"{name:10} not installed")
            continue
        costs = [cost for cost, _ in figures]
        rate = statistics.median(rate for _, rate in figures)
        spread = f"{min(costs):.1f} to {max(costs):.1f}"
        print(f"{name:10} {statistics.median(costs):10.1f} {spread:>15} {rate:8.0f}")


if __name__ == "__main__":
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role == "origin":
        run(serve_origin(int(sys.argv[2])))
    elif role in ("perdure", "hooks"):
        run(serve_gateway(int(sys.argv[2]), int(sys.argv[3]), role == "hooks"))
    elif role == "relay":
        run(serve_relay(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if role else 3, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
