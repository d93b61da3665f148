"""Lingering close: who closes on a client that is still sending takes the answer back

A server refuses an upload with 413 and closes. Octets that arrive at a closed socket are answered with RST,
and a client that learns of the RST before it has read forgets what it had received: the upload failed, and
nobody tells why. A server that ends its own side first and goes on reading for a while lets the answer
arrive. RFC 9112 §9.6. The client is Python's own http.client, which sends first and reads then.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from perdure.lab.lanes import Kind
from perdure.lab.link import Link
from perdure.lab.stage import PORT, Act, Stage

ROWS = ("S16",)
HOSTS = ("client", "server")
RTT: Final = 0.05
LINKS = (Link(a="client", b="server", rtt=RTT, rate=20e6),)
BACKENDS = ("namespaces",)
UPLOAD: Final = 300_000
"""Octets: about as many as a server of ours reads in vain (drain_body and linger_octets)."""
REFUSAL: Final = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CLIENT: Final = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
try:
    connection.request("POST", "/", b"x" * int(sys.argv[3]))
    print(connection.getresponse().status)
except OSError as error:
    print(type(error).__name__)
"""


async def play(stage: Stage) -> None:
    async with stage.act("a server that closes at once") as abrupt:
        listener = await abrupt.listen("server")
        asking = abrupt.background(_upload(abrupt))
        peer = await listener.accept()
        await peer.receive_until(b"\r\n\r\n")
        peer.send(REFUSAL)
        peer.abort()
        lost = await asking
    async with stage.act("a server that lingers") as lingering:
        await lingering.serve("server", _never_asked, max_body=1000)
        told = await _upload(lingering)
    stage.expect("closing at once: the client learns", "of a connection that is gone", lost, lost in GONE)
    stage.expect(
        "closing at once: RST sent by the server", "at least 1", _resets(abrupt), _resets(abrupt) > 0
    )
    stage.expect("lingering: the client learns", "413", told, why="9112 §9.6")
    stage.expect("lingering: RST sent by the server before its end", 0, _resets(lingering))


GONE: Final = ("ConnectionResetError", "BrokenPipeError")


async def _upload(act: Act) -> str:
    """What the client has to say of its upload."""
    address = act.bind("server").partition(":")[0]
    _, told, errors = await act.run("client", [sys.executable, "-c", CLIENT, address, str(PORT), str(UPLOAD)])
    if errors:
        raise RuntimeError(errors.decode())
    return told.decode().strip()


async def _never_asked(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


def _resets(act: Act) -> int:
    return sum(
        crossing.kind is Kind.RST and crossing.sender == "server"
        for lane in act.lanes
        for crossing in lane.crossings
    )
