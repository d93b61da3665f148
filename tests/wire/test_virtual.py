"""VirtualLoop: time jumps, and what can never happen is told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from perdure.wire.clock import now
from perdure.wire.virtual import HORIZON_SECONDS, Deadlock, run_virtual


def test_an_hour_passes_at_once_and_in_order() -> None:
    async def scene() -> list[float]:
        loop = asyncio.get_running_loop()
        moments: list[float] = []
        reached = asyncio.Event()
        loop.call_later(3600, reached.set)
        for delay in (20, 10, 10, 30.5):
            loop.call_later(delay, lambda: moments.append(loop.time()))
        await reached.wait()
        return [*moments, loop.time()]

    began = now()
    assert run_virtual(scene()) == [10, 10, 20, 30.5, 3600]
    assert now() - began < 5


def test_waiting_for_what_can_never_happen_is_told() -> None:
    async def scene() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="at 0 s everybody waits and nothing is scheduled"):
        run_virtual(scene())


def test_a_program_that_only_ticks_is_told_to_hang() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()

        def tick() -> None:
            loop.call_later(60.0, tick)

        tick()
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=f"virtual time passed {HORIZON_SECONDS:g} s"):
        run_virtual(scene())


def test_time_stands_still_while_another_thread_works() -> None:
    go_on = threading.Event()

    async def scene() -> float:
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(None, go_on.wait, 5.0)
        threading.Timer(0.02, go_on.set).start()
        async with asyncio.timeout(3600):
            assert await job
        return loop.time()

    assert run_virtual(scene()) == 0
