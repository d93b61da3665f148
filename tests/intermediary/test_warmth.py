"""Connections that are kept ready: how many, and how often an origin that is down is dialled."""

from __future__ import annotations

import asyncio

import pytest

from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer, parse_origin
from perdure.intermediary.upkeep import Upkeep
from perdure.wire.memory import MemoryNetwork
from perdure.wire.virtual import run_virtual
from tests.intermediary.conftest import OK, Play, Stage, answer, until
from tests.intermediary.heads import PLAIN


@pytest.mark.slow
@pytest.mark.row("R108")
def test_so_many_lie_idle_before_the_first_request_and_beside_those_in_use(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        def idle() -> int:
            return stage.gateway.statistics().origins.idle

        await until(lambda: idle() == 2)
        client = await stage.client()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: any(peer.received for peer in stage.origin.peers))
        await until(lambda: idle() == 2)  # one more was dialled for the one in use
        assert len(stage.origin.peers) == 3
        (inner,) = [peer for peer in stage.origin.peers if peer.received]
        inner.send(OK)
        await answer(client)
        for peer in stage.origin.peers:
            peer.close()
        await until(lambda: len(stage.origin.peers) == 5 and idle() == 2)

    play(scene, origin_min_idle=2)


def test_caps_are_kept_and_nothing_is_closed_to_have_room(play_virtually: Play) -> None:
    async def scene(stage: Stage) -> None:
        busy = [await stage.asked() for _ in range(2)]
        await asyncio.sleep(30.0)
        statistics = stage.gateway.statistics().origins
        assert (statistics.connections, statistics.leased) == (3, 2)
        assert not statistics.closes
        assert len(busy) == 2

    play_virtually(scene, origin_min_idle=2, origin_max_per_origin=3, origin_idle_timeout=60.0,
                   origin_unlearned_idle_timeout=60.0)  # fmt: skip


def test_origin_that_is_down_is_dialled_ever_more_seldom() -> None:
    async def story() -> None:
        network = MemoryNetwork()
        side = OriginSide(OriginSettings(min_idle=3), PLAIN, network)
        origin = OriginServer(*parse_origin("http://192.0.2.1"), side)
        dialled: list[float] = []
        loop = asyncio.get_running_loop()
        dial = network.dial

        async def noted(*arguments: object, **named: object) -> object:
            dialled.append(loop.time())
            return await dial(*arguments, **named)  # type: ignore[arg-type]  # as they came

        network.dial = noted  # type: ignore[assignment]
        upkeep = Upkeep(b"perdure")
        upkeep.look_after([origin])
        await asyncio.sleep(60.0)
        upkeep.end()
        rounds = sorted({round(at) for at in dialled})
        assert 4 <= len(rounds) <= 7  # 0, 2, 6, 14, 30, 46 s; not sixty
        before = len(dialled)
        await asyncio.sleep(60.0)
        assert len(dialled) == before
        await side.pool.aclose()

    run_virtual(story())
