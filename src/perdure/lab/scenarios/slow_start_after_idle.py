"""Slow start after idle: what a kernel forgets of a connection that has rested

A connection whose congestion window has grown sends 100,000 octets in one round trip or two. After a rest
longer than its retransmission timer, a kernel may not trust the window any more and begins anew (RFC 5681
§4.1); Linux does so unless `net.ipv4.tcp_slow_start_after_idle` is 0. The connection still saves its
handshake; of what else it saves, this switch decides. Linux halves the window for each timer that the rest
lasted.
"""

from __future__ import annotations

from typing import Final

from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage
from perdure.lab.table import Table
from perdure.lab.verdict import seconds_text

ROWS = ("S8", "S15")
HOSTS = ("client", "server")
RTT: Final = 0.1
LINKS = (Link(a="client", b="server", rtt=RTT),)
BACKENDS = ("namespaces",)
OCTETS: Final = 200_000
REST: Final = 4.0
"""Seconds: ten timers and more, as the timer is 0.3 s here (the round trip and at least 0.2 s)."""
PARAMETER: Final = "/proc/sys/net/ipv4/tcp_slow_start_after_idle"


async def play(stage: Stage) -> None:
    took: dict[int, tuple[float, float, float]] = {}
    for value in (1, 0):
        async with stage.act(f"tcp_slow_start_after_idle = {value}") as act:
            took[value] = await _fetch(act, value)
            act.stop_clock()
        stage.expect(f"connections, {value}", 1, len(act.lanes))
    rows: list[tuple[str | int | float, ...]] = [
        (f"{value} at the server", *figures) for value, figures in took.items()
    ]
    columns = ("tcp_slow_start_after_idle", "new", "warm", f"after {REST:g} s of rest")
    stage.tables.append(Table(f"seconds for {OCTETS} octets", columns, rows))
    (_, warm, rested), (_, warm_kept, rested_kept) = took[1], took[0]
    stage.expect(
        "with it, after a rest",
        f"at least a round trip more than {seconds_text(warm)}",
        seconds_text(rested),
        rested > warm + 0.9 * RTT,
        why="RFC 5681 §4.1",
    )
    stage.expect(
        "without it, after a rest",
        f"as before: {seconds_text(warm_kept)} and half a round trip at most",
        seconds_text(rested_kept),
        rested_kept < warm_kept + 0.5 * RTT,
    )


async def _fetch(act: Act, value: int) -> tuple[float, float, float]:
    """Fetch an object on a new connection, on the warm one, and after a rest: the seconds of each."""
    status, _, errors = await act.run("server", ["sh", "-c", f"echo {value} > {PARAMETER}"])
    if status:
        raise RuntimeError(f"{PARAMETER}: {errors.decode().strip()}")
    await act.serve("server", objects_of(OCTETS))
    client = await act.client("client")
    took = []
    for rest in (0.0, 0.0, 0.0, 0.0, REST):
        await act.rest(rest)
        began = act.now()
        await client.get(act.url("server"))
        took.append(act.now() - began)
        act.note("client", f"{seconds_text(took[-1])} after {rest:g} s of rest")
    return took[0], took[3], took[4]
