"""Idle connections do not pile up: limits of time, of age, of number, on both sides

A connection that lies idle costs both ends. Ours end it after a while (the server a second later than it
said, so that a request under way still finds it), after an age, and, when there are too many, the one that
rested longest. Each end has a reason. RFC 9112 §9.5.
"""

from __future__ import annotations

from typing import Final

from perdure.core import Reason
from perdure.lab.lanes import Lane
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage

ROWS = ("S7",)
HOSTS = ("client", "server")
RTT: Final = 0.02
LINKS = (Link(a="client", b="server", rtt=RTT),)
IDLE: Final = 1.0
BUFFER: Final = 0.5
AGE: Final = 1.0
MOST: Final = 16
"""Connections that the server has at once; idle ones go from 15/16 of it on."""
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"
SLACK: Final = 0.35
"""Seconds: deadlines are looked at a few times a second, and programs take their time."""


async def play(stage: Stage) -> None:
    async with stage.act("the server's idle limit") as by_server:
        await by_server.serve(
            "server", objects_of(10), idle_timeout=IDLE, idle_buffer=BUFFER, announce="never"
        )
        client = await by_server.client("client")
        await client.get(by_server.url("server"))
        await by_server.rest(IDLE + BUFFER + SLACK + 0.2)
    async with stage.act("the client's idle limit") as by_client:
        await by_client.serve("server", objects_of(10))
        client = await by_client.client("client", idle_timeout=IDLE)
        await client.get(by_client.url("server"))
        await by_client.rest(IDLE + SLACK + 0.2)
    async with stage.act("the greatest age") as aged:
        await aged.serve("server", objects_of(10), max_age=AGE)
        client = await aged.client("client")
        for gap in (0.5 * AGE, 0.7 * AGE, 0.0):
            await client.get(aged.url("server"))
            await aged.rest(gap)
        await client.get(aged.url("server"))
    async with stage.act("too many idle connections") as crowded:
        await _crowd(crowded)

    [lane] = by_server.lanes
    stage.expect_seconds("the server ends after", IDLE + BUFFER, _idle(lane), within=SLACK, why="9112 §9.5")
    stage.expect("its reason", str(Reason.IDLE_LIMIT), lane.reasons["server"])
    stage.expect("the client's reason", str(Reason.PEER_CLOSED), lane.reasons["client"])
    [lane] = by_client.lanes
    stage.expect_seconds("the client ends after", IDLE, _idle(lane), within=SLACK)
    stage.expect("the client's reason", str(Reason.IDLE_LIMIT), lane.reasons["client"])
    stage.expect("age: requests by connection", [3, 1], [lane.requests for lane in aged.lanes])
    stage.expect("age: the server's reason", str(Reason.MAX_AGE), aged.lanes[0].reasons["server"])
    ended = [lane.number for lane in crowded.lanes if lane.reasons.get("server") == str(Reason.PRESSURE)]
    stage.expect("too many: the connection that goes is the least recently used", [2], ended, why="9112 §9.5")


async def _crowd(act: Act) -> None:
    """Open connections one after the other, use the first again, and open one more."""
    await act.serve("server", objects_of(10), max_connections=MOST)
    peers = []
    for _ in range(MOST * 15 // 16):
        peers.append(await act.dial("client", "server"))
        peers[-1].send(REQUEST)
        await peers[-1].receive_until(b"\r\n\r\n")
    peers[0].send(REQUEST)
    await act.rest(0.2)
    await act.dial("client", "server")
    await act.rest(0.2)


def _idle(lane: Lane) -> float:
    """Seconds from the last message to the end, as the end that ends it sees them."""
    last = lane.messages[-1]
    return lane.ended_at - (last.began_at if lane.ended_by == last.sender else last.ended_at)
