"""A page and ways to fetch it."""

from __future__ import annotations

import pytest

from perdure.lab.page import (
    DEFAULT,
    HTML_OCTETS,
    IMAGE_OCTETS,
    IMAGES,
    KEEP_ALIVE,
    PARALLEL,
    PERSISTENT,
    PIPELINED,
    SERIAL,
    SIX,
    STRATEGIES,
    Strategy,
    page_application,
    visit,
)
from perdure.lab.scenarios import site_locality
from perdure.lab.stage import Stage
from tests.lab.machine import needs_namespaces
from tests.lab.playing import played

OBJECTS = IMAGES + 1


def test_the_images_are_as_many_octets_as_in_1997() -> None:
    assert (len(IMAGE_OCTETS), round(sum(IMAGE_OCTETS) / 1000)) == (42, 125)


@pytest.mark.row("S9")
@pytest.mark.parametrize(
    ("strategy", "round_trips"),
    [
        (SERIAL, 86),
        (PARALLEL, 22),
        (KEEP_ALIVE, 44),
        (PERSISTENT, 44),
        (SIX, 10),
        (PIPELINED, 3),
        (DEFAULT, 9),
    ],
)
def test_the_models_count_round_trips(strategy: Strategy, round_trips: int) -> None:
    assert strategy.round_trips(OBJECTS) == round_trips


@pytest.mark.row("S8")
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_every_strategy_fetches_the_whole_page_and_nothing_twice(strategy: Strategy) -> None:
    async def play(stage: Stage) -> None:
        for again in (False, True):
            async with stage.act("visit") as act:
                await act.serve("server", page_application())
                await visit(act, "client", "server", strategy, again=again)
            octets = sum(lane.octets("server") for lane in act.lanes)
            content = 0 if again else HTML_OCTETS + sum(IMAGE_OCTETS)
            assert content < octets < content + OBJECTS * 200
            assert len(act.lanes) <= strategy.connections

    played(play)


@pytest.mark.slow
@needs_namespaces
@pytest.mark.row("S9", "S15")
def test_packets_and_seconds_have_the_order_of_1997_on_the_kernels_tcp() -> None:
    costs: dict[str, site_locality.Cost] = {}

    async def play(stage: Stage) -> None:
        costs.update(await site_locality._visits(stage, site_locality.WAN, again=False))

    played(play, "namespaces", site_locality.HOSTS, site_locality.LINKS)
    parallel, persistent, pipelined = (costs[one.name] for one in (PARALLEL, PERSISTENT, PIPELINED))
    assert parallel.packets > persistent.packets > pipelined.packets > 0
    assert persistent.seconds > parallel.seconds > pipelined.seconds
