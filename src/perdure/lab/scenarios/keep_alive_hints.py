"""Hints of the Keep-Alive field: a client that obeys them, and one that does not

A server that says `Keep-Alive: timeout=2, max=3` estimates how long it will keep the connection and for how
many more requests. It is no promise; but a client that knows better than to come at the last moment loses
nothing, and one that does not read it sends its request to a connection that is gone. RFC 9112 C.2.2; RFC
2068 §19.7.1.1.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.lanes import Lane
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage
from perdure.lab.trusting import TrustingClient

ROWS = ("S4",)
HOSTS = ("client", "server")
RTT: Final = 0.2
LINKS = (Link(a="client", b="server", rtt=RTT),)
TIMEOUT: Final = 2
"""Seconds that the server announces; it keeps the connection exactly that long here."""
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"
SHORT: Final = 0.5
LATE: Final = TIMEOUT - 0.35 * RTT
"""The request leaves before the client has heard of the close, and arrives after it."""


async def play(stage: Stage) -> None:
    async with stage.act("timeout obeyed") as obeyed:
        await obeyed.serve("server", objects_of(10), idle_timeout=TIMEOUT, idle_buffer=0.0)
        client = await obeyed.client("client")
        for gap in (SHORT, LATE, 0.0):
            await client.post(obeyed.url("server"))
            await obeyed.rest(gap)
    async with stage.act("timeout ignored") as ignored:
        await ignored.serve("server", objects_of(10), idle_timeout=TIMEOUT, idle_buffer=0.0)
        trusting = TrustingClient(ignored, "client", "server")
        for gap in (SHORT, LATE, 0.0):
            await trusting.ask(REQUEST, 10)
            await ignored.rest(gap)
    async with stage.act("max obeyed") as counted:
        await counted.serve("server", objects_of(10), max_requests=3)
        client = await counted.client("client")
        for _ in range(4):
            await client.get(counted.url("server"))

    first = obeyed.lanes[0]
    stage.expect("timeout obeyed: requests answered", 3, sum(lane.responses for lane in obeyed.lanes))
    stage.expect("timeout obeyed: connections", 2, len(obeyed.lanes))
    stage.expect("timeout obeyed: who leaves it", "client", first.ended_by, why="9112 C.2.2")
    stage.expect("timeout ignored: requests lost", 1, trusting.lost, why="9112 §9.5")
    stage.expect("max obeyed: requests by connection", [3, 1], [lane.requests for lane in counted.lanes])
    stage.expect("max counts down", ["2", "1", "none"], _maxima(counted.lanes[0]))


def _maxima(lane: Lane) -> list[str]:
    """What each response of a connection says of `max`; "none" where it says nothing."""
    found = [
        head.lower().partition(b"max=")[2].split(b"\r\n")[0].split(b",")[0] for head in lane.heads("server")
    ]
    return [value.decode() or "none" for value in found]
