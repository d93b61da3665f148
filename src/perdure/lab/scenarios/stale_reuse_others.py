"""Stale reuse, ours beside others: the same POSTs by other clients in Python

The server ends idle connections after half a second and says nothing of it; the gaps between the requests
are around that limit. A client may lose a request, or send it twice without being asked to, or dial where it
could have used a connection again. Each is a program of its own, as it comes. RFC 9112 §9.5, §9.3.1; RFC 9110
§9.2.2.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Final, NamedTuple

from perdure.lab.link import Link
from perdure.lab.objects import counting
from perdure.lab.others import NOT_INSTALLED, PROGRAMS
from perdure.lab.stage import PORT, Act, Stage
from perdure.lab.table import Table

ROWS = ("S16",)
HOSTS = ("client", "server")
BACKENDS = ("namespaces",)
RTT: Final = 0.06
LINKS = (Link(a="client", b="server", rtt=RTT),)
LIMIT: Final = 0.5
GAPS: Final = tuple(round(0.40 + 0.01 * step, 2) for step in range(24))
"""Seconds between a response and the next request."""


class Seen(NamedTuple):
    """What became of the requests of one program."""

    lost: int
    read: int
    """By the server."""
    twice: int
    connections: int


async def play(stage: Stage) -> None:
    async with stage.act("all at once, each with a server of its own") as act:
        ports = {name: PORT + number for number, name in enumerate(PROGRAMS)}
        read: dict[str, Counter[str]] = {name: Counter() for name in PROGRAMS}
        for name, port in ports.items():
            await act.serve(
                "server",
                counting(read[name]),
                port=port,
                idle_timeout=LIMIT,
                idle_buffer=0.0,
                announce="never",
            )
        lost = await asyncio.gather(*(_run(act, name, ports[name]) for name in PROGRAMS))
        act.stop_clock()
    results: dict[str, Seen] = {}
    for name, number in zip(PROGRAMS, lost, strict=True):
        if number is not None:
            twice = sum(times > 1 for times in read[name].values())
            connections = sum(lane.server_port == ports[name] for lane in act.lanes)
            results[name] = Seen(number, len(read[name]), twice, connections)
    columns = ("client", "lost", "read by the server", "read twice", "connections")
    title = f"{len(GAPS) + 1} POSTs at gaps of {GAPS[0]:g} to {GAPS[-1]:g} s, idle limit {LIMIT:g} s"
    stage.tables.append(Table(title, columns, [(name, *seen) for name, seen in results.items()]))
    ours = results.pop("perdure")
    stage.expect("ours: requests lost", 0, ours.lost, why="9112 §9.5")
    stage.expect("ours: read twice", 0, ours.twice, why="9110 §9.2.2")
    careless = [name for name, seen in results.items() if seen.lost or seen.twice]
    stage.expect(
        "others that lose requests or repeat them",
        "at least one",
        ", ".join(careless) or "none",
        bool(careless),
    )


async def _run(act: Act, name: str, port: int) -> int | None:
    """Return how many requests a client lost; None where it is not installed."""
    url = act.url("server", port=port)
    command = [sys.executable, "-m", "perdure.lab.others", name, url, *map(str, GAPS)]
    status, out, errors = await act.run("client", command, seconds=120.0)
    if status == NOT_INSTALLED:
        return None
    if status:
        raise RuntimeError(f"{name}: {errors.decode(errors='replace').strip().splitlines()[-1:]}")
    return int(json.loads(out)["lost"])
