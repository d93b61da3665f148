"""Slow start: the same object on a new connection and on a warm one

A new connection pays a round trip for its handshake, and may then send little until acknowledgements come:
ten packets in the first round trip, twice as many in the next (RFC 6928 §2, RFC 5681 §3.1). A connection that
has carried an object before has paid both. Without the kernel's TCP the handshake alone is seen.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage
from perdure.lab.verdict import seconds_text

ROWS = ("S8", "S15")
HOSTS = ("client", "server")
RTT: Final = 0.05
LINKS = (Link(a="client", b="server", rtt=RTT),)
OCTETS: Final = 100_000
REST: Final = 0.05
"""Seconds between the objects: not enough to make a kernel start slowly again (tcp_slow_start_after_idle)."""


async def play(stage: Stage) -> None:
    took: list[float] = []
    async with stage.act("the same object three times") as act:
        await act.serve("server", objects_of(OCTETS))
        client = await act.client("client")
        for number in range(3):
            began = act.now()
            await client.get(act.url("server", f"/{number}"))
            took.append(act.now() - began)
            act.note("client", f"object {number + 1} took {took[-1] * 1000:.0f} ms")
            await act.rest(REST)
    new, warm, warmer = took
    stage.expect("connections", 1, len(act.lanes))
    stage.expect(
        "a warm connection saves the handshake",
        f"at least {seconds_text(RTT)}",
        seconds_text(new - warm),
        new - warm > 0.9 * RTT,
        why="RFC 9112 §9.3",
    )
    # 70 packets: 10, 20 and 40 of them in three round trips, after one for the handshake.
    _expect_round_trips(stage, "new connection", new, "4", 3.9, 5.0)
    _expect_round_trips(stage, "second object on it", warm, "1 or 2", 0.9, 2.8)
    _expect_round_trips(stage, "third", warmer, "1 or 2", 0.9, 2.8)


def _expect_round_trips(stage: Stage, what: str, took: float, words: str, least: float, most: float) -> None:
    measured = f"{took / RTT:.1f} ({seconds_text(took)})"
    stage.expect_of_kernel(
        f"{what}, round trips", words, measured, least <= took / RTT <= most, why="RFC 5681 §3.1"
    )
