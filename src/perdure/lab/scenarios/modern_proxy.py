"""A modern proxy: what belongs to one hop stays there, and each hop decides for itself

`Connection` names what is meant for the next recipient only. An intermediary removes those fields and
`Connection` itself, both ways, before it forwards a message; and whether its connection to the client
persists says nothing about the one to the server. Four clients that close after each request need four
connections to the gateway, and the gateway one to the server. RFC 9110 §7.6.1; RFC 9112 §9.3.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.link import Link
from perdure.lab.stage import PORT, Act, Stage
from perdure.wire.errors import WireError

ROWS = ("S11",)
HOSTS = ("client", "gateway", "server")
RTT: Final = 0.02
LINKS = (Link(a="client", b="gateway", rtt=RTT), Link(a="gateway", b="server", rtt=RTT))
CLIENTS: Final = 4
OF_ONE_HOP: Final = (
    b"x-for-the-gateway:",
    b"keep-alive: timeout=300",
    b"proxy-connection:",
    b"te:",
    b"upgrade",
)
REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-For-The-Gateway, Keep-Alive, TE, Upgrade\r\n"
    b"X-For-The-Gateway: 1\r\nKeep-Alive: timeout=300\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n"
    b"Upgrade: h2c\r\nX-For-The-Server: 1\r\n\r\n"
)
OF_THE_SERVER: Final = (b"x-for-the-gateway-too", b"keep-alive: timeout=5, max=7", b"proxy-connection:")
RESPONSE: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    b"Connection: X-For-The-Gateway-Too\r\nX-For-The-Gateway-Too: 1\r\n"
    b"Keep-Alive: timeout=5, max=7\r\nProxy-Connection: keep-alive\r\n\r\nok"
)


async def play(stage: Stage) -> None:
    async with stage.act("four clients, each with a close of its own") as act:
        act.background(_answer(act))
        await act.gateway("gateway", act.url("server"))
        answers = [await _ask(act) for _ in range(CLIENTS)]
        act.stop_clock()
    asked = [head.lower() for lane in act.between("gateway", "server") for head in lane.heads("client")]
    stage.expect("connections of clients", CLIENTS, len(act.between("client", "gateway")))
    stage.expect("connections to the server", 1, len(act.between("gateway", "server")), why="9112 §9.3")
    stage.expect("requests at the server", CLIENTS, len(asked))
    leaked = sorted({name.decode() for name in OF_ONE_HOP for head in asked if name in head})
    stage.expect("fields of the client's hop at the server", [], leaked, why="9110 §7.6.1")
    kept = sum(b"x-for-the-server" in head for head in asked)
    stage.expect("requests that kept what is for the server", CLIENTS, kept)
    said = [head.lower() for lane in act.between("gateway", "server") for head in lane.heads("server")]
    missing = sorted({name.decode() for name in OF_THE_SERVER for head in said if name not in head})
    stage.expect("fields that the server did not say to the gateway", [], missing)
    leaked = sorted({name.decode() for name in OF_THE_SERVER for head in answers if name in head.lower()})
    stage.expect("fields of the server's hop at the clients", [], leaked, why="9110 §7.6.1")
    closes = sum(b"connection: close" in head.lower() for head in answers)
    stage.expect("responses that announce the close that the client asked for", CLIENTS, closes)


async def _ask(act: Act) -> bytes:
    """Ask as a client whose connection ends with the response: the head of that."""
    peer = await act.dial("client", "gateway", PORT)
    peer.send(REQUEST)
    head = await peer.receive_until(b"\r\n\r\n")
    try:
        await peer.receive_all()
    except WireError as error:
        act.note("client", f"the gateway did not close: {error}")
    peer.close()
    return head


async def _answer(act: Act) -> None:
    """A server of literal octets, which says much that is for the gateway alone."""
    listener = await act.listen("server")
    peer = await listener.accept()
    while True:
        await peer.receive_until(b"\r\n\r\n")
        peer.send(RESPONSE)
