"""Requests, a download, idle connections; and what a gateway spends on them.

CPU is what the kernel's scheduler counted for the gateway's processes, its own part of the work
(system calls, soft interrupts taken on the way) included.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

TOP: Final = Path(__file__).resolve().parent.parent.parent
CORES: Final = sorted(os.sched_getaffinity(0))
GATEWAY, OTHERS = CORES[0], CORES[-1]
CONNECTIONS: Final = 64
READY_SECONDS: Final = 20.0
FIELDS: Final = (
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
REPEATED: Final = ""
CHANGING: Final = """
local n = 0
local head = " HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n%s\\r\\nX-Request-Id: "
request = function()
  n = n + 1
  return "GET /item/" .. (n % 5000) .. head .. n .. "\\r\\n\\r\\n"
end
"""
"""One field and the target differ each time; the script joins strings, which costs least."""
GIBIBYTE: Final = 1 << 30


class Cost(NamedTuple):
    """What one measurement found."""

    microseconds: float
    """CPU for each request."""
    rate: float
    """Requests a second."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """What a process and its children have used, by the scheduler's own count."""
    total = 0.0
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
            for child in (task / "children").read_text().split():
                total += cpu_seconds(int(child))
    return total


def memory_octets(process: int) -> int:
    """What a process alone has in memory."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(int(found) for found in re.findall(r"^Private_\w+: +(\d+) kB", text, re.MULTILINE)) * 1024


def raise_descriptors() -> None:
    """Let this process, and those that it starts, have as many descriptors as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def running(command: list[str], core: int, port: int, folder: Path) -> Iterator[int]:
    """Run a program on one core until it is no longer needed; its process id."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": _path()})
    os.sched_setaffinity(process.pid, [core])  # what it starts inherits it
    try:
        _await(port, process, command)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _path() -> str:
    already = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(TOP), *([already] if already else [])])


def _await(port: int, process: subprocess.Popen[bytes], command: list[str]) -> None:
    until = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{' '.join(command)} does not listen")


def ask(port: int, seconds: int, changing: bool, folder: Path) -> tuple[int, float]:
    """Load with requests: how many were answered, and how many a second. Every answer is looked at."""
    fields = [argument for field in FIELDS for argument in ("-H", field)]
    script = folder / "load.lua"
    lines = "\\r\\n".join(FIELDS[:-1])  # the last one makes room for the one that differs
    script.write_text(CHANGING.replace("%d", str(port)).replace("%s", lines) if changing else REPEATED)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *fields, "-s", str(script)]
    done = subprocess.run(
        ["taskset", "-c", str(OTHERS), *command, f"http://127.0.0.1:{port}/a/b"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    requests = re.search(r"(\d+) requests in", done)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done)
    if requests is None or rate is None or "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(f"wrong answers:\n{done}")
    return int(requests[1]), float(rate[1])


def cost(process: int, port: int, seconds: int, changing: bool, folder: Path) -> Cost:
    """What a gateway spends on a request."""
    before = cpu_seconds(process)
    requests, rate = ask(port, seconds, changing, folder)
    return Cost((cpu_seconds(process) - before) / requests * 1e6, rate)


def download(port: int, octets: int) -> float:
    """Fetch so many octets; the seconds that it took."""
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % octets)
        began = time.monotonic()
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(65536)
        left = octets - len(head.partition(b"\r\n\r\n")[2])
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"wrong answer: {head[:100]!r}")
        while left > 0:
            got = peer.recv_into(buffer, min(left, len(buffer)))
            if not got:
                raise SystemExit(f"{left} octets are missing")
            left -= got
        return time.monotonic() - began


@contextlib.contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """Hold connections on each of which two requests were answered, with a cookie of its own."""
    request = "\r\n".join(["GET / HTTP/1.1", "Host: 127.0.0.1", *FIELDS, "", ""]).encode()
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(count)]
        for number in range(2 * count):
            peer = peers[number % count]
            peer.sendall(request.replace(b"0123456789abcdef", b"%016d" % (number % count)))
            answer = peer.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"wrong answer: {answer[:100]!r}")
        yield
