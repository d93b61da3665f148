"""A blind relay: the next request hangs, seen from both ends, and what our client does about it

A relay of the nineties copies octets, `Connection: Keep-Alive` among them, and waits for the server to
close. Now the server keeps its connection for the relay, the client keeps its own for the relay, and the
relay reads neither: the second request lies there until the server's idle limit. Our client notices that a
connection which was kept because it asked does not answer, asks again on a new one, and does not ask this
origin to keep any more. RFC 9112 C.2.2.
"""

from __future__ import annotations

from typing import Final

from perdure.core import Reason
from perdure.lab.lanes import Lane
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage
from perdure.lab.trusting import TrustingClient

ROWS = ("S10",)
HOSTS = ("client", "relay", "server")
RTT: Final = 0.02
LINKS = (
    Link(a="client", b="server", rtt=RTT),
    Link(a="client", b="relay", rtt=RTT),
    Link(a="relay", b="server", rtt=RTT),
)
IDLE: Final = 3.0
"""The server's idle limit: what ends the hang."""
PATIENCE: Final = 1.0
"""Our client's relay_timeout."""
GAP: Final = 0.2
"""Seconds between the response and the next request."""
SLACK: Final = 0.4
REQUEST: Final = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"


async def play(stage: Stage) -> None:
    async with stage.act("without a relay") as direct:
        none, _ = await _ask_twice(direct, "server")
    async with stage.act("through the relay, without detection") as hanging:
        hang, trusting = await _ask_twice(hanging, "relay")
    async with stage.act("through the relay, our client") as noticed:
        await _serve(noticed)
        await noticed.relay("relay", "server")
        client = await noticed.client("client", http_version="1.0", relay_timeout=PATIENCE)
        took = []
        for _ in range(3):
            began = noticed.now()
            assert (await client.get(noticed.url("relay"))).status == 200
            took.append(noticed.now() - began)
            await noticed.rest(GAP)
        await noticed.rest(1.0)

    stage.expect_seconds("without a relay, the second response after", RTT, none, within=0.1)
    stage.expect("without a relay: connections", 1, len(direct.lanes))
    stage.expect_seconds("hang at the client", IDLE - GAP, hang, within=SLACK, why="9112 C.2.2")
    [to_server] = hanging.between("relay", "server")
    stage.expect_seconds("held at the server", IDLE, _held(to_server), within=SLACK, why="9112 §9.5")
    stage.expect("the second request was answered", "no", "yes" if trusting.lost == 0 else "no")
    ignored = hanging.relays[0].connections[0].ignored_octets
    stage.expect("octets that nobody read", len(REQUEST), ignored)
    stage.expect_seconds("our client: the second response after", PATIENCE + 4 * RTT, took[1], within=SLACK)
    stage.expect_seconds("our client: the third after", 4 * RTT, took[2], within=0.15)
    [first, *others] = noticed.between("client", "relay")
    stage.expect("its reason", str(Reason.RELAY_SUSPECTED), first.reasons["client"])
    asking = sum(
        b"connection: keep-alive" in head.lower() for lane in others for head in lane.heads("client")
    )
    stage.expect("requests afterwards that ask to be kept", 0, asking)


async def _serve(act: Act) -> None:
    await act.serve("server", objects_of(10), idle_timeout=IDLE, idle_buffer=0.0)


async def _ask_twice(act: Act, to: str) -> tuple[float, TrustingClient]:
    """Ask for an object, and again; return how long the second took, answered or not."""
    await _serve(act)
    if to == "relay":
        await act.relay("relay", "server")
    client = TrustingClient(act, "client", to)
    await client.ask(REQUEST, 10)
    await act.rest(GAP)
    began = act.now()
    await client.ask(REQUEST, 10)
    return act.now() - began, client


def _held(lane: Lane) -> float:
    """Seconds from the server's response to its end of the connection."""
    return lane.ended_at - lane.messages[-1].began_at
