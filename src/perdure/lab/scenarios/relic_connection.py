"""A relic: Connection in HTTP/1.0 may be somebody else's, and who believes it

An HTTP/1.0 proxy that does not know `Connection` forwards it as it came. So what reaches a server may have
been meant for that proxy; nobody can tell. A server may believe it, as most do, or be told to ignore it; a
proxy never does, since it would hang as often as it has such a client. RFC 9112 §9.3, C.2.2.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage
from perdure.lab.trusting import TrustingClient

ROWS = ("S12",)
HOSTS = ("old", "proxy", "server")
RTT: Final = 0.02
LINKS = (
    Link(a="old", b="server", rtt=RTT),
    Link(a="old", b="proxy", rtt=RTT),
    Link(a="proxy", b="server", rtt=RTT),
)
REQUESTS: Final = 3
OCTETS: Final = 10
KEPT: Final = b"connection: keep-alive"


async def play(stage: Stage) -> None:
    for believes in ("honour", "ignore"):
        async with stage.act(f"a server that is told to {believes} it") as act:
            await act.serve("server", objects_of(OCTETS), http10=believes)
            echoes = await _ask(act, "server")
        kept = believes == "honour"
        stage.expect(f"{believes}: connections", 1 if kept else REQUESTS, len(act.lanes), why="9112 §9.3")
        stage.expect(f"{believes}: responses that say keep-alive", REQUESTS if kept else 0, echoes)
    async with stage.act("a forward proxy") as act:
        await act.serve("server", objects_of(OCTETS))
        await act.proxy("proxy")
        echoes = await _ask(act, "proxy")
    stage.expect(
        "proxy: connections of the old client", REQUESTS, len(act.between("old", "proxy")), why="9112 §9.3"
    )
    stage.expect("proxy: responses that say keep-alive", 0, echoes)
    stage.expect("proxy: connections to the server", 1, len(act.between("proxy", "server")))


async def _ask(act: Act, to: str) -> int:
    """Ask for objects of the server: how many responses say that the connection is kept."""
    authority = act.url("server").split("/")[2]
    target = f"http://{authority}/" if to == "proxy" else "/"
    request = f"GET {target} HTTP/1.0\r\nHost: {authority}\r\nConnection: Keep-Alive\r\n\r\n"
    client = TrustingClient(act, "old", to)
    heads = []
    for _ in range(REQUESTS):
        heads.append(await client.ask(request.encode(), OCTETS))
        await act.rest(4 * RTT)
    return sum(KEPT in head.lower() for head in heads if head is not None)
