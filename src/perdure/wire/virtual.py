"""An event loop whose time jumps to the next timer when nothing is ready, so that tests never sleep.

It is the standard loop on a selector that never waits: asked to wait, it moves the clock instead.
Work in other threads and on real sockets still goes on in real time; only while such work is
known to be under way (an executor's job) does the loop wait for it.

A program that waits for what can never happen is told so, where a real loop would hang.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HORIZON_SECONDS = 7200.0
"""How far virtual time may run in one test: beyond every limit of ours, soon reached by a hang."""


class Deadlock(RuntimeError):
    """Everybody waits and no timer will wake anybody, or the horizon was passed."""


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock of its loop where another selector would wait."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, let the time pass without waiting."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.loop.jobs_elsewhere:
            return super().select(timeout)
        self.loop.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time, which begins at 0.

    Attributes:
        horizon: the virtual time at which the program is taken to hang.
        jobs_elsewhere: how many jobs of executors are under way.
    """

    def __init__(self, horizon: float = HORIZON_SECONDS) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._virtual_now = 0.0
        self.horizon = horizon
        self.jobs_elsewhere = 0
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_now

    def jump(self, seconds: float | None) -> None:
        """Let time pass.

        Raises:
            Deadlock: nothing is scheduled, or the horizon is passed.
        """
        if seconds is None:
            raise Deadlock(f"at {self._virtual_now:g} s everybody waits and nothing is scheduled")
        self._virtual_now += seconds
        if self._virtual_now > self.horizon:
            passed, self.horizon = self.horizon, self.horizon + HORIZON_SECONDS
            raise Deadlock(f"virtual time passed {passed:g} s: the program probably hangs")

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run a job elsewhere; time does not jump while it is under way."""
        job = super().run_in_executor(executor, func, *args)
        self.jobs_elsewhere += 1
        job.add_done_callback(self._job_done)
        return job

    async def shutdown_default_executor(self, *limits: float) -> None:
        """Wait for the executor's threads; this too goes on elsewhere."""
        self.jobs_elsewhere += 1
        try:
            await super().shutdown_default_executor(*limits)
        finally:
            self.jobs_elsewhere -= 1

    def _job_done(self, job: asyncio.Future[Any]) -> None:
        self.jobs_elsewhere -= 1


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time, on a new loop.

    Raises:
        Deadlock: it waits for what can never happen.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
