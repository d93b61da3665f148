"""What a connection and a request cost. Counted by the kernel for all processes of the server (Linux)."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from typing import Final

from bench.servers.cell import request
from bench.servers.raw import conversation
from bench.servers.row import Probe, Row, group
from bench.servers.subjects import IDLE, Running

CONNECTIONS: Final = 2000
LOAD_SECONDS: Final = 2
PIPELINE: Final = """\
init = function(args)
  local one = wrk.format("GET", "/hello")
  all = string.rep(one, 16)
end
request = function() return all end
"""


def memory_when_idle(server: Running) -> str:
    """Growth of resident memory by two thousand connections, each idle after one exchange.

    One exchange after the other: what many at once hold for a while stays resident, by as many as
    happened to be under way together.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            with conversation(server.port) as talk:
                talk.send(request("/hello"))
                talk.answer()
        before = server.resident_octets()
        talks = [stack.enter_context(conversation(server.port)) for _ in range(CONNECTIONS)]
        answered = 0
        for talk in talks:
            talk.send(request("/hello"))
            answered += talk.answer().status == 200
        after = server.resident_octets()
        kept = sum(not talk.ending(0.0).closed for talk in talks)
    if kept < CONNECTIONS:
        return f"{answered} answered, {kept} kept"
    return f"{(after - before) / CONNECTIONS / 1024:.1f} KiB"


def cpu_per_request(server: Running) -> str:
    """GET /hello over sixteen connections, one after the other on each."""
    return load(server, [])


def cpu_per_request_pipelined(server: Running) -> str:
    """The same, sixteen at a time on each."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="ascii") as script:
        script.write(PIPELINE)
        script.flush()
        return load(server, ["-s", script.name])


def cpu_per_connection(server: Running) -> str:
    """The same, each on a connection of its own: what persistence saves."""
    return load(server, ["-H", "Connection: close"])


def load(server: Running, flags: list[str]) -> str:
    """CPU seconds of the server by the requests that wrk saw answered; the server is pinned to one core."""
    wrk = shutil.which("wrk")
    if wrk is None or shutil.which("taskset") is None:
        return "not measured"
    url = f"http://127.0.0.1:{server.port}/hello"
    command = ["taskset", "-c", "1", wrk, "-t1", "-c16", *flags]
    subprocess.run([*command, "-d1s", url], capture_output=True, check=False)
    before = server.cpu_seconds()
    text = subprocess.run(
        [*command, f"-d{LOAD_SECONDS}s", url], capture_output=True, text=True, check=False
    ).stdout
    spent = server.cpu_seconds() - before
    found = re.search(r"(\d+) requests in", text)
    if found is None or not int(found[1]):
        return "none answered"
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    faults = sum(map(int, failed.groups())) if failed else 0
    suffix = ", with errors" if faults > int(found[1]) // 100 else ""
    return f"{spent / int(found[1]) * 1e6:.1f} µs{suffix}"


def seconds_of(cell: str) -> float:
    """The number of a cost, to find the least of several rounds."""
    found = re.match(r"\d+\.\d+", cell)
    return float(found[0]) if found else float("inf")


def costs(name: str, title: str, probe: Probe) -> Row:
    return Row(name, title, probe, profile=IDLE, alone=True, loads=True)


ROWS: Final = group(
    "What it costs",
    Row("memory", "memory of an idle connection", memory_when_idle, profile=IDLE, alone=True),
    costs("cpu", "CPU of a request, persistent", cpu_per_request),
    costs("cpu-pipelined", "CPU of a request, 16 pipelined", cpu_per_request_pipelined),
    costs("cpu-connection", "CPU of a request on a connection of its own", cpu_per_connection),
)
