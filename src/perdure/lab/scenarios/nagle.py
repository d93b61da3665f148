"""Nagle and delayed acknowledgements: a response in two writes waits for nothing

A server writes the head of a response and then its content. With Nagle's algorithm (RFC 896) the second,
small segment waits until the first is acknowledged; the client's kernel delays its acknowledgement, since
it may have something to send soon (RFC 1122 §4.2.3.2). Each waits for the other, on every request of a
persistent connection, until a timer of the client ends it: 40 ms and more on Linux. Heidemann, "Performance
Interactions Between P-HTTP and TCP Implementations" (1997), §3.1. One write for both, or TCP_NODELAY, and
nobody waits.
"""

from __future__ import annotations

import sys
from statistics import median
from typing import Final

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import PORT, Act, Stage
from perdure.lab.table import Table
from perdure.lab.verdict import seconds_text

ROWS = ("S15",)
HOSTS = ("client", "server")
RTT: Final = 0.01
LINKS = (Link(a="client", b="server", rtt=RTT),)
BACKENDS = ("namespaces",)
REQUESTS: Final = 40
"""A kernel acknowledges at once while a connection is young."""
OCTETS: Final = 500
DELAYED: Final = 0.035
"""Seconds that a delayed acknowledgement takes on Linux, a little less."""
SERVER: Final = """
import socket, sys
address, port, writes, nodelay, octets = sys.argv[1], *map(int, sys.argv[2:])
listening = socket.create_server((address, port))
print("ready", flush=True)
connection = listening.accept()[0]
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
head, content = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % octets, b"x" * octets
while connection.recv(65536):
    for piece in [head + content] if writes == 1 else [head, content]:
        connection.sendall(piece)
"""


async def play(stage: Stage) -> None:
    took = {}
    for name, writes, nodelay in (
        ("two writes", 2, 0),
        ("two writes, TCP_NODELAY", 2, 1),
        ("one write", 1, 0),
    ):
        async with stage.act(name) as act:
            command = [sys.executable, "-c", SERVER, act.bind("server").partition(":")[0]]
            await _start(act, [*command, *map(str, (PORT, writes, nodelay, OCTETS))])
            took[name] = await _ask(act)
    async with stage.act("perdure serve") as act:
        await act.serve("server", objects_of(OCTETS))
        took["perdure serve"] = await _ask(act)
    rows: list[tuple[str | int | float, ...]] = [(name, *figures) for name, figures in took.items()]
    stage.tables.append(Table("seconds for a response", ("server", "in the middle", "at most"), rows))
    slow, *others = took.items()
    stage.expect(
        "two writes: a response",
        f"at least {seconds_text(RTT + DELAYED)}",
        seconds_text(slow[1][0]),
        slow[1][0] >= RTT + DELAYED,
        why="Heidemann 1997 §3.1",
    )
    for name, (middle, _) in others:
        wanted = f"less than {seconds_text(RTT + DELAYED / 2)}"
        stage.expect(f"{name}: a response", wanted, seconds_text(middle), middle < RTT + DELAYED / 2)


async def _start(act: Act, command: list[str]) -> None:
    """Start a server, and wait until it listens."""
    act.start("server", command)
    await act.rest(0.5)


async def _ask(act: Act) -> tuple[float, float]:
    """Ask again and again on one connection: the median of the second half, and the longest."""
    client = await act.client("client")
    took = []
    for _ in range(REQUESTS):
        began = act.now()
        await client.get(act.url("server"))
        took.append(act.now() - began)
    act.stop_clock()
    return median(took[REQUESTS // 2 :]), max(took)
