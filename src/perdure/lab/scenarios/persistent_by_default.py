"""HTTP/1.1 persists by default, until somebody says close

Nothing needs to be said for a connection to persist. Either side ends it by saying `Connection: close` in its
message: after it the client sends no more requests, and the server answers none that came behind it.
RFC 9112 §9.3, §9.6.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.lanes import Lane
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage

ROWS = ("S6",)
HOSTS = ("client", "server")
RTT: Final = 0.04
LINKS = (Link(a="client", b="server", rtt=RTT),)
REQUESTS: Final = 3
CLOSE: Final = b"connection: close"
LAST: Final = b"GET /last HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"
BEYOND: Final = b"GET /beyond HTTP/1.1\r\nHost: server\r\n\r\n"


async def play(stage: Stage) -> None:
    async with stage.act("nobody says anything") as default:
        await default.serve("server", objects_of(1000))
        client = await default.client("client")
        for number in range(REQUESTS):
            await client.get(default.url("server", f"/{number}"))
    async with stage.act("the client says close") as by_client:
        await by_client.serve("server", objects_of(1000))
        client = await by_client.client("client", persist=False)
        for number in range(REQUESTS):
            await client.get(by_client.url("server", f"/{number}"))
    async with stage.act("the server says close") as by_server:
        await by_server.serve("server", objects_of(1000), max_requests=1)
        client = await by_server.client("client")
        for number in range(REQUESTS):
            await client.get(by_server.url("server", f"/{number}"))
    async with stage.act("a request behind the last one") as beyond:
        await beyond.serve("server", objects_of(10))
        peer = await beyond.dial("client", "server")
        peer.send(LAST + BEYOND)
        received = await peer.receive_all()
        peer.close()

    stage.expect(
        "by default: requests on one connection", [REQUESTS], [lane.requests for lane in default.lanes]
    )
    stage.expect("by default: messages that say close", 0, _saying(default.lanes, "client", "server"))
    stage.expect("the client says close: connections", REQUESTS, len(by_client.lanes))
    stage.expect("the client says close: requests that say it", REQUESTS, _saying(by_client.lanes, "client"))
    closers = ", ".join({str(lane.ended_by) for lane in by_client.lanes})
    stage.expect("the client says close: who ends", "server", closers, why="9112 §9.6")
    stage.expect("the server says close: connections", REQUESTS, len(by_server.lanes))
    stage.expect("the server says close: responses that say it", REQUESTS, _saying(by_server.lanes, "server"))
    stage.expect("behind the last request: answered", 1, received.count(b"HTTP/1.1 200"), why="9112 §9.6")


def _saying(lanes: list[Lane], *sides: str) -> int:
    heads = [
        head for lane in lanes for side in ("client", "server") if side in sides for head in lane.heads(side)
    ]
    return sum(CLOSE in head.lower() for head in heads)
