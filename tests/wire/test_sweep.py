"""Sweeper: every deadline behind one timer, at most a tick late."""

from __future__ import annotations

import asyncio
import math

import pytest

from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import Network
from perdure.wire.sweep import CROWD, CROWDED_TICK_SECONDS, TICK_SECONDS, Sweeper
from perdure.wire.virtual import run_virtual
from tests.wire.conftest import Play
from tests.wire.recorder import joined


def test_a_deadline_fires_once_reached_and_at_most_a_tick_late(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, _ = await joined(network)
        wire.deadline = started = wire.now() + 0.1
        await wire.until("deadline")
        # On real sockets the machine may be late as well.
        late = TICK_SECONDS if isinstance(network, MemoryNetwork) else TICK_SECONDS + 5.0
        assert 0 <= wire.now() - started <= late + 0.001
        wire.abort()

    play(scene)


def test_a_deadline_that_was_moved_does_not_fire(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        wire.deadline = wire.now() + 0.05
        wire.deadline = math.inf
        peer.deadline = wire.now() + 0.3
        reached = asyncio.Event()
        peer.deadline_reached = lambda now: reached.set()  # type: ignore[method-assign]  # a test's ear
        await reached.wait()
        assert "deadline" not in wire.story
        wire.abort()

    play(scene)


def test_a_hook_that_fails_does_not_rob_the_other_wires_of_their_deadlines(play: Play) -> None:
    async def scene(network: Network) -> None:
        wire, peer = await joined(network)
        failures: list[object] = []
        wire.loop.set_exception_handler(lambda loop, context: failures.append(context["exception"]))

        def fail(now: float) -> None:
            peer.deadline = math.inf
            raise ValueError("a bug")

        peer.deadline_reached = fail  # type: ignore[method-assign]  # a bug of a subclass
        wire.deadline = peer.deadline = wire.now()
        await wire.until("deadline")
        assert [str(failure) for failure in failures] == ["a bug"]
        wire.abort()

    play(scene)


class Still:
    """Something with a deadline."""

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline = deadline
        self.calls: list[float] = []

    def deadline_reached(self, now: float) -> None:
        self.calls.append(now)


async def pass_seconds(seconds: float) -> None:
    """Let virtual time pass."""
    reached = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, reached.set)
    await reached.wait()


def test_a_deadline_is_told_once_per_tick_until_it_is_moved() -> None:
    async def scene() -> None:
        sweeper = Sweeper.of(asyncio.get_running_loop())
        wire = Still(deadline=1.0)
        sweeper.add(wire)
        await pass_seconds(1.0 + 2.5 * TICK_SECONDS)
        assert len(wire.calls) in (2, 3)
        wire.deadline = math.inf
        told = len(wire.calls)
        await pass_seconds(1.0)
        assert len(wire.calls) == told

    run_virtual(scene())


def test_one_sweeper_serves_a_loop_and_rests_without_wires() -> None:
    async def scene() -> None:
        sweeper = Sweeper.of(asyncio.get_running_loop())
        assert Sweeper.of(asyncio.get_running_loop()) is sweeper
        wire = Still()
        sweeper.add(wire)
        await pass_seconds(1.0)
        sweeper.remove(wire)
        await pass_seconds(1.0)
        ticks = sweeper.ticks
        assert ticks in (19, 20, 21)
        await pass_seconds(100.0)
        assert sweeper.ticks == ticks
        sweeper.add(wire)
        await pass_seconds(1.0)
        assert sweeper.ticks > ticks

    run_virtual(scene())


def test_a_crowd_is_swept_less_often() -> None:
    async def scene() -> None:
        sweeper = Sweeper.of(asyncio.get_running_loop())
        for _ in range(CROWD):
            sweeper.add(Still())
        late = Still(deadline=10.0)
        sweeper.add(late)
        await pass_seconds(11.0)
        assert sweeper.ticks == pytest.approx(11.0 / CROWDED_TICK_SECONDS, abs=2)
        assert late.calls[0] - 10.0 <= CROWDED_TICK_SECONDS * 1.01

    run_virtual(scene())


def test_a_hook_may_remove_another_wire_whose_deadline_has_come_too() -> None:
    async def scene() -> None:
        sweeper = Sweeper.of(asyncio.get_running_loop())
        first, second = Still(deadline=1.0), Still(deadline=1.0)

        def remove_the_others(now: float) -> None:
            sweeper.remove(first)
            sweeper.remove(second)
            first.calls.append(now)

        first.deadline_reached = second.deadline_reached = remove_the_others  # type: ignore[method-assign]  # a test's
        sweeper.add(first)
        sweeper.add(second)
        await pass_seconds(2.0)
        assert len(first.calls) == 1

    run_virtual(scene())
