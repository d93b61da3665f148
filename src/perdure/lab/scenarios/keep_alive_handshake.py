"""The keep-alive handshake of HTTP/1.0: accepted, refused, and echoed without a length

A client of HTTP/1.0 asks with `Connection: Keep-Alive`; a server that is willing says the same. Where the
response does not say it, the client takes it for a no and closes. A response without a length ends with its
connection, whatever it says about keeping it: a client that believed the field would wait for ever, and a
server that knows the rule does not say it. RFC 9112 C.2.2, §6.3; RFC 2068 §19.7.1.
"""

from __future__ import annotations

from typing import Any, Final

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage

ROWS = ("S2", "S3", "S5")
HOSTS = ("client", "server")
RTT: Final = 0.04
LINKS = (Link(a="client", b="server", rtt=RTT),)
REQUESTS: Final = 3
PLAIN: Final = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
WITHOUT_LENGTH: Final = b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\nok"
SERVER_STAYS: Final = 1.0
"""Seconds for which a server keeps a connection open though its response has no length."""
ECHO: Final = b"connection: keep-alive"


async def play(stage: Stage) -> None:
    async with stage.act("accepted") as accepted:
        await accepted.serve("server", objects_of(1000))
        await _ask(accepted, REQUESTS)
    async with stage.act(
        "refused: the response does not say it, and the server waits for the client"
    ) as refused:
        await _refuse(refused)
    async with stage.act("echoed without a length, by a server that does not know the rule") as echoed:
        waited = await _echo_without_length(echoed)
    async with stage.act("a response of unknown length, by a server that does") as streamed:
        await streamed.serve("server", _endless, buffer_http10=1000)
        await _ask(streamed, 2)

    [lane] = accepted.lanes
    stage.expect("accepted: connections", 1, len(accepted.lanes))
    stage.expect("accepted: requests that ask for it", REQUESTS, _saying(lane.heads("client")))
    stage.expect("accepted: responses that say it", REQUESTS, _saying(lane.heads("server")), why="C.2.2")
    stage.expect("refused: connections", REQUESTS, len(refused.lanes))
    closers = ", ".join({str(lane.ended_by) for lane in refused.lanes})
    stage.expect("refused: who closes", "client", closers, why="9112 §9.3")
    stage.expect("echoed without a length: requests on that connection", 1, echoed.lanes[0].requests)
    stage.expect_seconds(
        "echoed without a length: the response is whole when the server closes",
        SERVER_STAYS + 2 * RTT,
        waited,
        within=0.1,
        why="9112 §6.3",
    )
    stage.expect("unknown length: connections for two requests", 2, len(streamed.lanes))
    says = sum(_saying(lane.heads("server")) for lane in streamed.lanes)
    stage.expect("unknown length: responses that say keep-alive", 0, says, why="C.2.2")


async def _ask(act: Act, times: int) -> None:
    client = await act.client("client", http_version="1.0")
    for number in range(times):
        await client.get(act.url("server", f"/{number}"))
    act.stop_clock()


async def _refuse(act: Act) -> None:
    listener = await act.listen("server")
    client = await act.client("client", http_version="1.0")
    for number in range(REQUESTS):
        asking = act.background(client.get(act.url("server", f"/{number}")))
        peer = await listener.accept()
        await peer.receive_until(b"\r\n\r\n")
        peer.send(PLAIN)
        await asking
        await peer.receive_all()  # until the client closes
        peer.close()


async def _echo_without_length(act: Act) -> float:
    """Return how long the client waits for its first response."""
    listener = await act.listen("server")
    client = await act.client("client", http_version="1.0")
    began = act.now()
    asking = act.background(client.get(act.url("server")))
    peer = await listener.accept()
    await peer.receive_until(b"\r\n\r\n")
    peer.send(WITHOUT_LENGTH)
    await act.rest(SERVER_STAYS)
    peer.close()
    await asking
    waited = act.now() - began
    again = act.background(client.get(act.url("server")))
    peer = await listener.accept()
    peer.send(PLAIN)
    await again
    return waited


async def _endless(scope: Any, receive: Any, send: Any) -> None:
    """Send more than is gathered to find out its length."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(4):
        await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _saying(heads: list[bytes]) -> int:
    return sum(ECHO in head.lower() for head in heads)
