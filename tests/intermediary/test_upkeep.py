"""What happens to origins while nobody asks."""

from __future__ import annotations

import asyncio

from perdure.client.settings import ClientSettings
from perdure.intermediary.health import Condition, HealthSettings
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer, parse_origin
from perdure.intermediary.upkeep import Upkeep
from perdure.wire.memory import MemoryNetwork
from perdure.wire.sweep import Sweeper
from perdure.wire.virtual import run_virtual
from tests.intermediary.heads import PLAIN


def make(network: MemoryNetwork, **health: object) -> OriginServer:
    side = OriginSide(ClientSettings(), PLAIN, network)
    return OriginServer(*parse_origin("http://192.0.2.1"), side, 1, HealthSettings(**health))  # type: ignore[arg-type]


def test_rest_ends_by_itself_as_long_as_somebody_looks_after_the_origin() -> None:
    async def story() -> None:
        looked_after, left = make(MemoryNetwork()), make(MemoryNetwork())
        upkeep = Upkeep(b"perdure")
        upkeep.look_after([looked_after, left])
        upkeep.look_after([looked_after])
        now = asyncio.get_running_loop().time()
        for origin in (looked_after, left):
            origin.health.failed(now, unreachable=True)
        await asyncio.sleep(1.3)
        assert (looked_after.health.condition, left.health.condition) == (Condition.IN, Condition.RESTING)
        upkeep.end()
        assert len(Sweeper.of(asyncio.get_running_loop())) == 0

    run_virtual(story())


def test_origin_is_checked_only_where_a_path_is_set_and_only_while_it_is_looked_after() -> None:
    async def story() -> None:
        network = MemoryNetwork()
        checked = make(network, health_path="/", health_interval=1.0)
        upkeep = Upkeep(b"perdure")
        upkeep.look_after([make(network)])
        await asyncio.sleep(5)
        assert network.connections == []
        upkeep.look_after([checked])
        await asyncio.sleep(5)
        assert checked.health.checks_failed >= 3
        failed = checked.health.checks_failed
        upkeep.end()
        await asyncio.sleep(5)
        assert checked.health.checks_failed == failed

    run_virtual(story())
