"""The deadlines of every wire of an event loop, behind one timer.

`call_later` and `cancel` per request cost 0.4-0.7 µs and leave handles behind. Here a deadline
is an attribute of the wire: moving it is one store. Every tick one pass compares them all with
the clock, so a deadline is at most a tick late. There is no timer while there are no wires.

Measured (bench/bench_wire.py): a pass over 10,000 wires takes 0.2-0.3 ms, 0.15 % of a core at
its tick. On asyncio, any pending timer makes each turn of the loop about 1 µs dearer, this one
included; uvloop's turns cost the same with and without.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Protocol

TICK_SECONDS = 0.05
"""While the wires are few: late by less than a person or a load balancer notices."""
CROWDED_TICK_SECONDS = 0.2
"""With CROWD wires and more: one pass over 10,000 stays under 1 % of a core."""
CROWD = 1000


class Timed(Protocol):
    """What a sweeper looks after."""

    deadline: float

    def deadline_reached(self, now: float) -> None:
        """The deadline passed; called once per tick until the deadline is moved."""


class Watched(Protocol):
    """What a sweeper looks after while its octets wait to be taken by the peer."""

    def check_write_progress(self, now: float) -> None:
        """A tick passed while octets were waiting."""


class Sweeper:
    """One per event loop; `Sweeper.of(loop)` finds or makes it.

    Attributes:
        ticks: how many passes there have been.
    """

    __slots__ = ("__weakref__", "_loop", "_timer", "_watched", "_wires", "ticks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak, because _SWEEPERS would otherwise keep its own keys alive.
        self._loop = weakref.ref(loop)
        self._wires: set[Timed] = set()
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.ticks = 0

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Sweeper:
        """Return the sweeper of this event loop."""
        sweeper = _SWEEPERS.get(loop)
        if sweeper is None:
            sweeper = _SWEEPERS[loop] = cls(loop)
        return sweeper

    def __len__(self) -> int:
        return len(self._wires)

    def add(self, wire: Timed) -> None:
        """Look after a wire's deadline until it is removed."""
        self._wires.add(wire)
        if self._timer is None:
            self._schedule()

    def remove(self, wire: Timed) -> None:
        """Forget a wire; harmless if it was not looked after."""
        self._wires.discard(wire)

    def watch(self, wire: Watched) -> None:
        """Also ask for write progress at every tick."""
        self._watched.add(wire)

    def watches(self, wire: Watched) -> bool:
        """Say whether `check_write_progress` of a wire is called."""
        return wire in self._watched

    def unwatch(self, wire: Watched) -> None:
        """Ask no more; harmless if it was not watched."""
        self._watched.discard(wire)

    def _schedule(self) -> None:
        loop = self._loop()
        self._timer = None
        if loop is None or loop.is_closed():
            return
        tick = TICK_SECONDS if len(self._wires) < CROWD else CROWDED_TICK_SECONDS
        self._timer = loop.call_later(tick, self._sweep)

    def _sweep(self) -> None:
        loop = self._loop()
        self._timer = None
        if loop is None or not (self._wires or self._watched):
            return
        self._schedule()
        self.ticks += 1
        now = loop.time()
        for wire in [wire for wire in self._wires if wire.deadline <= now]:
            # An earlier hook of this pass may have closed this wire or moved its deadline.
            if wire in self._wires and wire.deadline <= now:
                self._call(loop, wire.deadline_reached, now)
        for watched in list(self._watched):
            self._call(loop, watched.check_write_progress, now)

    def _call(self, loop: asyncio.AbstractEventLoop, hook: _Hook, now: float) -> None:
        """Call one hook; its failure must not rob the other wires of their deadlines."""
        try:
            hook(now)
        except Exception as error:
            loop.call_exception_handler({"message": "a deadline hook failed", "exception": error})


class _Hook(Protocol):
    def __call__(self, now: float) -> None: ...


_SWEEPERS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Sweeper] = weakref.WeakKeyDictionary()
