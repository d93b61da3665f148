"""Stale reuse: requests that may not be repeated, sent when the server is about to close

A server ends idle connections after half a second and says nothing of it. A request that leaves before the
client has heard of the close is lost, and a POST must not simply be sent again. Sent at gaps around the
limit, some of a trusting client's are lost. Ours learns the limit from connections that may end, and keeps
what may not be repeated off those that are about to. RFC 9112 §9.5, §9.3.1; RFC 9110 §9.2.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from perdure.lab.link import Link
from perdure.lab.objects import counting
from perdure.lab.stage import Act, Stage
from perdure.lab.trusting import TrustingClient

ROWS = ("S16",)
HOSTS = ("client", "server")
RTT: Final = 0.06
LINKS = (Link(a="client", b="server", rtt=RTT),)
LIMIT: Final = 0.5
GAPS: Final = tuple(round(0.40 + 0.02 * step, 2) for step in range(12))
"""Seconds between a response and the next request."""
SHORT: Final = (0.1,) * 11
"""The same, well inside the limit."""
SILENT: Final[dict[str, Any]] = {"idle_timeout": LIMIT, "idle_buffer": 0.0, "announce": "never"}


async def play(stage: Stage) -> None:
    async with stage.act("a trusting client") as trusting:
        read, lost = await _trust(trusting)
    async with stage.act("ours") as ours:
        delivered, failed, _ = await _ask(ours, GAPS)
    async with stage.act("ours, well inside the limit") as inside:
        _, failed_inside, reused = await _ask(inside, SHORT)
    count = len(GAPS) + 1
    stage.expect("a trusting client: requests lost", "some", lost, lost > 0, why="9112 §9.5")
    stage.expect("a trusting client: read by the server", count - lost, sum(read.values()))
    stage.expect("ours: requests lost", 0, failed)
    stage.expect("ours: delivered", count, len(delivered))
    stage.expect("ours: delivered more than once", 0, sum(times > 1 for times in delivered.values()))
    stage.expect("ours, well inside: requests lost", 0, failed_inside)
    most = f"all but 3 of {len(SHORT) + 1}"
    stage.expect("ours, well inside: on a connection used before", most, reused, reused >= len(SHORT) - 2)


async def _trust(act: Act) -> tuple[Counter[str], int]:
    """Send POSTs; return what the server read, and how many were lost."""
    paths: Counter[str] = Counter()
    await act.serve("server", counting(paths), **SILENT)
    client = TrustingClient(act, "client", "server")
    for number, gap in enumerate((*GAPS, 0.0)):
        request = b"POST /%d HTTP/1.1\r\nHost: server\r\nContent-Length: 0\r\n\r\n" % number
        await client.ask(request, 2)
        await act.rest(gap)
    return paths, client.lost


async def _ask(act: Act, gaps: Sequence[float]) -> tuple[Counter[str], int, int]:
    """Send POSTs at these gaps; return what the server read, how many failed, how many were reuses."""
    paths: Counter[str] = Counter()
    await act.serve("server", counting(paths), **SILENT)
    client = await act.client("client")
    failed = reused = 0
    for number, gap in enumerate((*gaps, 0.0)):
        try:
            response = await client.post(act.url("server", f"/{number}"))
        except Exception as error:
            failed += 1
            act.note("client", f"POST /{number}: {error}")
        else:
            reused += response.connection.reused
        await act.rest(gap)
    return paths, failed, reused
