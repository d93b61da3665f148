"""Proxy-Connection: where Netscape's answer to blind relays helps, and where it does not

A client that knows of its proxy says `Proxy-Connection` instead of `Connection`. A proxy that understands
it keeps the connection; a blind relay passes it on, the server does not know it and closes, and nothing
hangs. But beside a proxy that understands, a blind relay is as deadly as ever: before it, the proxy
believes that the relay wants to be kept; behind it, the proxy's own connection runs into the relay. The
next request lies unread until somebody's idle limit. RFC 9112 C.2.2. Our proxy understands the field only
where it is told to.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage
from perdure.lab.trusting import TrustingClient

ROWS = ("S13", "S14")
HOSTS = ("client", "proxy", "relay", "server")
RTT: Final = 0.02
LINKS = (
    Link(a="client", b="proxy", rtt=RTT),
    Link(a="client", b="relay", rtt=RTT),
    Link(a="proxy", b="relay", rtt=RTT),
    Link(a="proxy", b="server", rtt=RTT),
    Link(a="relay", b="server", rtt=RTT),
)
IDLE: Final = 2.0
"""Idle limit of the server and of the proxy: what ends a hang."""
GAP: Final = 0.2
"""Seconds between the response and the next request."""
SLACK: Final = 0.4
OCTETS: Final = 10
NAME: Final = b"proxy-connection:"


class Told(NamedTuple):
    """What a client saw of two requests."""

    second: float
    """Seconds until the second one was answered, or given up."""
    lost: int
    dials: int


async def play(stage: Stage) -> None:
    async with stage.act("client, proxy, server") as understood:
        await _serve(understood)
        await understood.proxy("proxy", proxy_connection="honour", **LIMITS)
        direct = await _ask_twice(understood, "proxy", "server")
    async with stage.act("client, blind relay, server") as passed_on:
        await _serve(passed_on)
        await passed_on.relay("relay", "server")
        harmless = await _ask_twice(passed_on, "relay", "server")
    async with stage.act("client, proxy, blind relay, server") as relay_behind:
        await _serve(relay_behind)
        await relay_behind.relay("relay", "server")
        await relay_behind.proxy("proxy", proxy_connection="honour", **LIMITS)
        behind = await _ask_twice(relay_behind, "proxy", "relay")
    async with stage.act("client, blind relay, proxy, server") as relay_before:
        await _serve(relay_before)
        await relay_before.proxy("proxy", proxy_connection="honour", **LIMITS)
        await relay_before.relay("relay", "proxy")
        before = await _ask_twice(relay_before, "relay", "server")
    async with stage.act("the same, by a proxy that ignores the field, as ours does") as ignored:
        await _serve(ignored)
        await ignored.proxy("proxy", **LIMITS)
        await ignored.relay("relay", "proxy")
        safe = await _ask_twice(ignored, "relay", "server")

    stage.expect("understood: connections of the client", 1, direct.dials, why="9112 C.2.2")
    stage.expect_seconds("understood: the second response after", 2 * RTT, direct.second, within=0.15)
    stage.expect("understood: heads at the server that have the field", 0, _heads_with(understood, "proxy"))
    stage.expect("passed on by a relay: connections of the client", 2, harmless.dials)
    stage.expect_seconds(
        "passed on by a relay: the second response after, no hang", 4 * RTT, harmless.second, within=0.2
    )
    stage.expect(
        "passed on by a relay: heads at the server that have the field", 2, _heads_with(passed_on, "relay")
    )
    stage.expect_seconds(
        "relay behind the proxy: hang at the client", IDLE - GAP, behind.second, within=SLACK
    )
    stage.expect("relay behind the proxy: the proxy notices, and asks again: lost", 0, behind.lost)
    stage.expect_seconds(
        "relay before the proxy: hang at the client", IDLE - GAP, before.second, within=SLACK
    )
    stage.expect("relay before the proxy: nobody notices: lost", 1, before.lost)
    ignored_octets = relay_before.relays[0].connections[0].ignored_octets
    stage.expect(
        "relay before the proxy: octets that nobody read", "some", ignored_octets, ignored_octets > 0
    )
    stage.expect_seconds(
        "ignored by the proxy: the second response after, no hang", 6 * RTT, safe.second, within=0.2
    )
    stage.expect("ignored by the proxy: lost", 0, safe.lost)


LIMITS: Final[dict[str, Any]] = {"idle_timeout": IDLE, "idle_buffer": 0.0}


async def _serve(act: Act) -> None:
    await act.serve("server", objects_of(OCTETS), **LIMITS)


async def _ask_twice(act: Act, proxy: str, origin: str) -> Told:
    """Ask a proxy for an object, as Netscape's clients did, and again.

    Args:
        proxy: the host that the client takes for its proxy.
        origin: the host that it asks for.
    """
    authority = act.url(origin).split("/")[2]
    request = f"GET http://{authority}/ HTTP/1.0\r\nHost: {authority}\r\nProxy-Connection: Keep-Alive\r\n\r\n"
    client = TrustingClient(act, "client", proxy)
    await client.ask(request.encode(), OCTETS)
    await act.rest(GAP)
    began = act.now()
    await client.ask(request.encode(), OCTETS)
    return Told(act.now() - began, client.lost, client.dials)


def _heads_with(act: Act, sender: str) -> int:
    """Requests at the server that have the field."""
    heads = [head for lane in act.between(sender, "server") for head in lane.heads("client")]
    return sum(NAME in head.lower() for head in heads)
