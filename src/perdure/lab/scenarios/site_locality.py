"""Site locality: a page and its 42 images by seven strategies over four links

Who asks for a page asks the same server for its images next. What a strategy costs is mostly a matter of
round trips: 2NR with a connection for each of N objects, 2R⌈N/k⌉ with k of them at a time, (N+1)R on one
connection that persists, three in a pipeline. Where the line is slow, octets count instead. The page is that
of Nielsen et al., "Network Performance Effects of HTTP/1.1, CSS1, and PNG" (1997), who found on networks:
fewer packets with persistence and fewer still with pipelining; and on a wide area one persistent connection
without pipelining slower than four parallel ones of HTTP/1.0. RFC 9112 §9.3, §9.4.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from perdure.lab.link import Link
from perdure.lab.page import (
    PARALLEL,
    PATHS,
    PERSISTENT,
    PIPELINED,
    SERIAL,
    STRATEGIES,
    Strategy,
    page_application,
    visit,
)
from perdure.lab.stage import Act, Stage
from perdure.lab.table import Table
from perdure.lab.verdict import seconds_text

ROWS = ("S8", "S9", "S15")
CLIENTS: Final = tuple(f"client{number}" for number in range(1, len(STRATEGIES) + 1))
SERVERS: Final = tuple(f"server{number}" for number in range(1, len(STRATEGIES) + 1))
HOSTS = (*CLIENTS, *SERVERS)
"""A pair for each strategy: they do not share a link, so that they can run at the same time."""
LINKS = tuple(Link(a=client, b=server) for client, server in zip(CLIENTS, SERVERS, strict=True))
OBJECTS: Final = len(PATHS)


class Line(NamedTuple):
    """A link to visit the page over."""

    name: str
    rtt: float
    rate: float
    queue: int
    """Octets: a tenth of a second at the least, as routers at the end of slow lines had."""
    at_once: bool = True
    """False where the strategies would take processor time from one another."""


LAN: Final = Line("LAN", 0.001, 10e6, 131072, at_once=False)
WAN: Final = Line("WAN", 0.09, 1.5e6, 65536)
MOBILE: Final = Line("mobile", 0.3, 1e6, 65536)
MODEM: Final = Line("modem", 0.15, 28.8e3, 16384)
LINES: Final = (LAN, WAN, MOBILE, MODEM)


class Cost(NamedTuple):
    """What a visit cost."""

    seconds: float
    model: float
    connections: int
    packets: int
    octets: int


Costs = dict[str, Cost]
"""By the name of the strategy."""


async def play(stage: Stage) -> None:
    first = {line.name: await _visits(stage, line, again=False) for line in LINES}
    second = {line.name: await _visits(stage, line, again=True) for line in LINES}
    for line in LINES:
        stage.tables.append(_table(f"{line.name}, first visit", first[line.name]))
        stage.tables.append(_table(f"{line.name}, second visit", second[line.name]))
    for strategy in STRATEGIES:
        _expect_connections(stage, strategy, first)
    _expect_what_nielsen_found(stage, first)
    _expect_the_models(stage, second)


async def _visits(stage: Stage, line: Line, *, again: bool) -> Costs:
    """Visit the page by every strategy."""
    name = f"{line.name}, {'second' if again else 'first'} visit"
    seconds: dict[str, float] = {}
    async with stage.act(name, rtt=line.rtt, rate=line.rate, queue=line.queue) as act:
        for server in SERVERS:
            await act.serve(server, page_application())

        async def go(number: int) -> None:
            strategy = STRATEGIES[number]
            seconds[strategy.name] = await visit(act, CLIENTS[number], SERVERS[number], strategy, again=again)

        if line.at_once:
            await asyncio.gather(*map(go, range(len(STRATEGIES))))
        else:
            for number in range(len(STRATEGIES)):
                await go(number)
        act.stop_clock()
    return {
        strategy.name: _cost(act, CLIENTS[number], strategy, line, seconds[strategy.name])
        for number, strategy in enumerate(STRATEGIES)
    }


def _cost(act: Act, client: str, strategy: Strategy, line: Line, seconds: float) -> Cost:
    lanes = [lane for lane in act.lanes if lane.client == client]
    octets = sum(lane.octets("client") + lane.octets("server") for lane in lanes)
    model = strategy.round_trips(OBJECTS) * line.rtt + octets * 8 / line.rate
    return Cost(seconds, model, len(lanes), sum(lane.packets for lane in lanes), octets)


def _table(title: str, costs: Costs) -> Table:
    columns = (title, "seconds", "model", "connections", "packets", "octets")
    rows: list[tuple[str | int | float, ...]] = [(name, *cost) for name, cost in costs.items()]
    return Table(
        "round trips by the model, and the time that the octets take, beside what was measured", columns, rows
    )


def _expect_connections(stage: Stage, strategy: Strategy, first: dict[str, Costs]) -> None:
    used = sorted({costs[strategy.name].connections for costs in first.values()})
    text = " or ".join(map(str, used))
    at_most = strategy.connections not in (1, OBJECTS)
    wanted = f"at most {strategy.connections}" if at_most else str(strategy.connections)
    holds = max(used) <= strategy.connections if at_most else used == [strategy.connections]
    stage.expect(f"connections, {strategy.name}", wanted, text, holds, why="RFC 9112 §9.4")


def _expect_what_nielsen_found(stage: Stage, first: dict[str, Costs]) -> None:
    for line in LINES:
        costs = first[line.name]
        packets = [costs[strategy.name].packets for strategy in (PARALLEL, PERSISTENT, PIPELINED)]
        holds = packets[0] > packets[1] > packets[2]
        words = " > ".join(map(str, packets)) if holds else ", ".join(map(str, packets))
        stage.expect_of_kernel(
            f"packets, {line.name}", "1.0 > persistent > pipelined", words, holds, why="Nielsen 1997 §8"
        )
    wide = first[WAN.name]
    one, four = wide[PERSISTENT.name].seconds, wide[PARALLEL.name].seconds
    words = f"{seconds_text(one)} against {seconds_text(four)}"
    stage.expect(
        "WAN, one persistent connection",
        "slower than 4 parallel 1.0",
        words,
        one > four,
        why="Nielsen 1997 §8",
    )
    piped = wide[PIPELINED.name].seconds
    stage.expect(
        "WAN, the same pipelined", f"faster than {seconds_text(four)}", seconds_text(piped), piped < four
    )


def _expect_the_models(stage: Stage, second: dict[str, Costs]) -> None:
    """Where hardly any octets cross, round trips are all there is."""
    for strategy in STRATEGIES:
        cost = second[MOBILE.name][strategy.name]
        stage.expect(
            f"mobile, second visit, {strategy.name}",
            f"{seconds_text(cost.model)} by the model, a quarter more or less",
            seconds_text(cost.seconds),
            0.75 * cost.model <= cost.seconds <= 1.25 * cost.model + 0.3,
        )
    serial, default = second[MOBILE.name][SERIAL.name], second[MOBILE.name][STRATEGIES[-1].name]
    times = serial.seconds / default.seconds
    stage.expect(
        "mobile, second visit, serial 1.0 against perdure's default",
        "at least 5 times",
        f"{times:.1f} times",
        times >= 5,
    )
