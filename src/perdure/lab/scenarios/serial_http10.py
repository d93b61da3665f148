"""Serial HTTP/1.0: every transaction has a connection of its own

Four objects, one after the other: with a connection each, as HTTP/1.0 began, and on one connection that
persists. The cost of a connection is a round trip before the request can be sent, packets to begin and end
it, and an entry in TIME-WAIT at the server, who closes first. RFC 1945 §1.3; RFC 9112 §9.3.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage

ROWS = ("S1",)
HOSTS = ("client", "server")
RTT: Final = 0.05
LINKS = (Link(a="client", b="server", rtt=RTT),)
OBJECTS: Final = 4
OCTETS: Final = 1000
SLACK: Final = 0.12
"""Seconds that programs may take beyond the round trips, all together."""


async def play(stage: Stage) -> None:
    async with stage.act("a connection for each transaction") as serial:
        waiting = await _fetch(serial, persist=False)
    async with stage.act("one connection that persists") as persistent:
        await _fetch(persistent, persist=True)
    stage.expect("connections, one for each", OBJECTS, len(serial.lanes))
    stage.expect("connections, persistent", 1, len(persistent.lanes))
    stage.expect("who closes", "server", ", ".join({str(lane.ended_by) for lane in serial.lanes}))
    stage.expect_seconds("time, one for each: 2·N·R", 2 * OBJECTS * RTT, serial.seconds, within=SLACK)
    stage.expect_seconds("time, persistent: (N+1)·R", (OBJECTS + 1) * RTT, persistent.seconds, within=SLACK)
    fewer = f"{persistent.packets} instead of {serial.packets}"
    stage.expect_of_kernel(
        "packets, persistent", "fewer than half", fewer, persistent.packets < serial.packets / 2
    )
    stage.expect_of_kernel("TIME-WAIT at the server, one for each", OBJECTS, waiting)


async def _fetch(act: Act, persist: bool) -> int | None:
    """Fetch the objects; return how many connections wait at the server then."""
    await act.serve("server", objects_of(OCTETS))
    client = await act.client("client", http_version="1.0", persist=persist)
    for number in range(OBJECTS):
        await client.get(act.url("server", f"/{number}"))
    act.stop_clock()
    await act.rest(2 * RTT)
    return act.waiting_connections("server")
