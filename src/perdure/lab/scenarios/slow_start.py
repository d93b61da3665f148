"""Slow start: the same object on a new connection and on a warm one

A new connection pays a round trip for its handshake, and may then send little until acknowledgements come:
ten packets in the first round trip, twice as many in the next (RFC 6928 §2, RFC 5681 §3.1). A connection that
has carried an object before has paid both. Without the kernel's TCP the handshake alone is seen.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.flights import flights
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage
from perdure.lab.table import Table
from perdure.lab.verdict import seconds_text

ROWS = ("S8", "S15")
HOSTS = ("client", "server")
RTT: Final = 0.05
LINKS = (Link(a="client", b="server", rtt=RTT),)
OCTETS: Final = 100_000
REST: Final = 0.05
"""Seconds between the objects: not enough to make a kernel start slowly again (tcp_slow_start_after_idle)."""


async def play(stage: Stage) -> None:
    fetched: list[tuple[float, float]] = []
    async with stage.act("the same object three times") as act:
        await act.serve("server", objects_of(OCTETS))
        client = await act.client("client")
        for number in range(3):
            began = act.now()
            await client.get(act.url("server", f"/{number}"))
            fetched.append((began, act.now()))
            act.note("client", f"object {number + 1} took {(act.now() - began) * 1000:.0f} ms")
            await act.rest(REST)
    new, warm, warmer = (ended - began for began, ended in fetched)
    stage.expect("connections", 1, len(act.lanes))
    stage.expect(
        "a warm connection saves the handshake",
        f"at least {seconds_text(RTT)}",
        seconds_text(new - warm),
        new - warm > 0.9 * RTT,
        why="RFC 9112 §9.3",
    )
    sent = [flights(act.lanes[0], "server", *times, back_seconds=RTT / 2) for times in fetched]
    first = sent[0][0] if sent[0] else 0
    stage.expect_of_kernel("packets before the first acknowledgement", 10, first, why="RFC 6928 §2")
    # 70 packets: 10, then as many more as were acknowledged.
    _expect_flights(stage, "new connection", sent[0], 3, 4)
    _expect_flights(stage, "second object on it", sent[1], 1, 2)
    _expect_flights(stage, "third", sent[2], 1, 2)
    seconds = (new, warm, warmer)
    rows: list[tuple[str | int | float, ...]] = [
        (f"object {number}", took, took / RTT) for number, took in enumerate(seconds, 1)
    ]
    stage.tables.append(Table(f"{OCTETS} octets", ("object", "seconds", "round trips"), rows))


def _expect_flights(stage: Stage, what: str, sent: list[int], least: int, most: int) -> None:
    measured = f"{len(sent)}: {', '.join(map(str, sent))} packets"
    stage.expect_of_kernel(
        f"{what}, flights of content",
        f"{least} or {most}",
        measured,
        least <= len(sent) <= most,
        why="RFC 5681 §3.1",
    )
