"""Mixed traffic for as long as you like, and afterwards the question what of it is still there.

    python -m tests.endurance.soak --minutes 30 --connections 1000

A quarter more clients than connections, each opening one connection after the other and behaving
as chance says (`behaviours`). What must hold:

    answers       every well-formed request gets its own answer, or a close was announced before it; what goes
                  wrong otherwise than by a wrong answer while this process stands still does not count
    descriptors   as many as before the first connection, exactly
    tasks         as many as after the warm-up, exactly; so are the connections and exchanges in memory
    objects       at most 500 more than after the warm-up, the bounded caches being emptied for both
                  counts: what every connection, or one in ten, left behind would be more
    memory        at most 10 % and 4 MiB more than after the warm-up, free memory given back before both
                  looks: allocators cannot give back what is split up. One KiB left behind by every
                  connection would be more after a minute
    log           no traceback

The warm-up is the same traffic, so that every cache is full before anything is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.wire.network import run as run_loop
from tests import peers
from tests.endurance import health
from tests.endurance.behaviours import FLAGS, WEIGHTS, Behaviour, Client, act
from tests.endurance.talk import Fault, Stale, Talk, Wrong
from tests.real_programs import ours

APPLICATION: Final = "tests.endurance.application:application"
CLIENTS_PER_CONNECTION: Final = 1.25
"""About a fifth of them are between two connections at any time."""
BEHAVIOUR_SECONDS: Final = 90.0
"""Far more than any behaviour takes, all limits of the server together."""
SETTLE_SECONDS: Final = 45.0
"""Longer than the longest linger."""
LOOK_SECONDS: Final = 0.25
STALL_SECONDS: Final = 0.5
"""So late, a machine is too busy for its times to mean anything: a client that cannot send for ten seconds
gets a 408, and deserves it. A wrong answer is a wrong answer at any speed."""
FAULTS_KEPT: Final = 20
OBJECTS_ALLOWED: Final = 500
MEMORY_ALLOWED: Final = 1.10
MEMORY_ALLOWED_OCTETS: Final = 4 * 1048576


@dataclass(slots=True)
class Tally:
    """What the clients saw."""

    connections: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    stale: int = 0
    disturbed: int = 0
    stalled_at: float = -math.inf
    """When this process last found itself late; monotonic seconds."""
    failed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def note_fault(self, behaviour: Behaviour, fault: Fault, began: float) -> None:
        """Count a fault of a connection that began then, and keep the first ones in words."""
        if self.stalled_at >= began and not isinstance(fault, Wrong):
            self.disturbed += 1
            return
        self.failed[behaviour.__name__] += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(f"{behaviour.__name__}: {fault}")


@dataclass(slots=True)
class State:
    """What the server holds while nobody is connected."""

    descriptors: int
    resident_octets: int
    tasks: int
    objects: int
    garbage: int
    remembered: int
    of_ours: dict[str, int]
    kinds: dict[str, int]


@dataclass(slots=True)
class Outcome:
    """A finished soak."""

    before: State
    after: State
    tally: Tally
    seconds: float
    processor_seconds: float
    peak_octets: int
    peak_descriptors: int
    log: str

    @property
    def tracebacks(self) -> int:
        """How many there are in the server's log."""
        return self.log.count("Traceback")

    def complaints(self) -> list[str]:
        """Everything that must hold and does not; see the module."""
        before, after, tally = self.before, self.after, self.tally
        faults = sum(tally.failed.values())
        memory_limit = before.resident_octets * MEMORY_ALLOWED + MEMORY_ALLOWED_OCTETS
        kinds = Counter(after.kinds)
        kinds.subtract(before.kinds)
        checks = (
            (faults, f"{faults} faults, such as {tally.faults[:3]}"),
            (not tally.answers, "not one answer"),
            (
                after.descriptors != before.descriptors,
                f"descriptors {before.descriptors}, {after.descriptors}",
            ),
            (after.tasks != before.tasks, f"tasks {before.tasks}, {after.tasks}"),
            (after.of_ours != before.of_ours, f"objects of ours {before.of_ours}, {after.of_ours}"),
            (
                after.objects > before.objects + OBJECTS_ALLOWED,
                f"objects {before.objects}, {after.objects}, more of {kinds.most_common(5)}",
            ),
            (after.garbage, f"{after.garbage} objects that cannot be collected"),
            (
                after.resident_octets > memory_limit,
                f"memory {mebibytes(before.resident_octets)}, {mebibytes(after.resident_octets)}",
            ),
            (self.tracebacks, f"{self.tracebacks} tracebacks in the log"),
        )
        return [words for wrong, words in checks if wrong]

    def summary(self) -> str:
        """The figures, for a person."""
        tally = self.tally
        rows = [
            f"{count:9} {name}, {tally.failed[name]} faults"
            for name, count in tally.connections.most_common()
        ]
        total = sum(tally.connections.values())
        return "\n".join(
            (
                f"{self.seconds:9.0f} s, {self.processor_seconds:.0f} s of them on a processor",
                f"{total:9} connections, {total / self.seconds:.0f} a second",
                *rows,
                f"{tally.answers:9} answers that belong to their requests",
                f"{tally.stale:9} connections that were asked as their idle time ended",
                f"{tally.disturbed:9} connections that failed as this process stood still",
                f"{sum(tally.failed.values()):9} faults",
                *(f"          {words}" for words in tally.faults),
                row("descriptors", self.before.descriptors, self.after.descriptors, self.peak_descriptors),
                row("tasks", self.before.tasks, self.after.tasks),
                row("objects", self.before.objects, self.after.objects),
                row("cached", self.before.remembered, self.after.remembered),
                row(
                    "memory",
                    *map(
                        mebibytes, (self.before.resident_octets, self.after.resident_octets, self.peak_octets)
                    ),
                ),
                f"{'log':>9} {mebibytes(len(self.log))}, {self.tracebacks} tracebacks",
                *(traceback[:2000] for traceback in self.log.split("Traceback")[1:3]),
                *(f"FAILED    {words}" for words in self.complaints()),
                "",
            )
        )


def row(name: str, before: object, after: object, peak: object = None) -> str:
    """A line of the summary."""
    words = f"{name:>9} {before} after the warm-up, {after} at the end"
    return words if peak is None else f"{words}, {peak} at most"


def mebibytes(octets: int) -> str:
    """Such as "31.4 MiB"."""
    return f"{octets / 1048576:.1f} MiB"


class Soak:
    """One server and its tormentors."""

    def __init__(self, server: peers.Peer, connections: int, seed: int) -> None:
        self._server = server
        self._process = server.process.pid
        self._clients = [
            Client(server.port, number, random.Random(f"{seed} {number}"))
            for number in range(int(connections * CLIENTS_PER_CONNECTION))
        ]
        self._peak_octets = 0
        self._peak_descriptors = 0

    async def run(self, warm_up_seconds: float, seconds: float) -> Outcome:
        """Warm up, look, go on for so many seconds, look again."""
        untouched = await self._state(health.descriptors(self._process))
        await self._traffic(warm_up_seconds)
        before = await self._state(untouched.descriptors)
        self._peak_octets = self._peak_descriptors = 0
        spent = health.processor_seconds(self._process)
        tally = await self._traffic(seconds)
        spent = health.processor_seconds(self._process) - spent
        after = await self._state(untouched.descriptors)
        before.descriptors = untouched.descriptors
        return Outcome(
            before,
            after,
            tally,
            seconds,
            spent,
            self._peak_octets,
            self._peak_descriptors,
            self._server.log(),
        )

    async def _traffic(self, seconds: float) -> Tally:
        tally = Tally()
        until = asyncio.get_running_loop().time() + seconds
        watching = asyncio.ensure_future(self._watch(tally))
        try:
            async with asyncio.TaskGroup() as group:
                for client in self._clients:
                    group.create_task(behave(client, tally, until))
        finally:
            watching.cancel()
        return tally

    async def _watch(self, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = health.resources(self._process)
            self._peak_octets = max(self._peak_octets, now.resident_octets)
            self._peak_descriptors = max(self._peak_descriptors, now.descriptors)
            due = loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            if loop.time() - due > STALL_SECONDS:
                tally.stalled_at = loop.time()

    async def _state(self, descriptors: int) -> State:
        """What the server holds once it has no more descriptors than it had, or does not get there."""
        for _ in range(int(SETTLE_SECONDS / LOOK_SECONDS)):
            if health.descriptors(self._process) <= descriptors:
                break
            await asyncio.sleep(LOOK_SECONDS)
        reached = health.descriptors(self._process)
        talk = await Talk.dial(self._server.port)
        talk.send(b"GET /health HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")
        said: dict[str, Any] = json.loads((await talk.read()).content)
        talk.close()
        memory = health.resident_octets(self._process)
        return State(descriptors=reached, resident_octets=memory, **said)


async def behave(client: Client, tally: Tally, until: float) -> None:
    """One client: connections one after the other, of every kind, until the time is over."""
    loop = asyncio.get_running_loop()
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    await asyncio.sleep(client.chance.random())  # not all at once
    while loop.time() < until:
        behaviour, began = client.chance.choices(kinds, weights)[0], loop.time()
        tally.connections[behaviour.__name__] += 1
        try:
            answers = await act(client, behaviour, BEHAVIOUR_SECONDS)
            tally.answers += answers
        except Stale:
            tally.stale += 1
        except Fault as fault:
            # If this process stood still, its watch wakes up in this turn too, but perhaps after us.
            await asyncio.sleep(2 * LOOK_SECONDS)
            tally.note_fault(behaviour, fault, began)


def allow_descriptors() -> None:
    """Raise this process's limit of descriptors, and that of its children, as far as it may go."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def soak(seconds: float, connections: int, seed: int, through_gateway: bool = False) -> Outcome:
    """Start a server (or a gateway before one), torment it, stop it."""
    allow_descriptors()
    warm_up_seconds = min(60.0, max(30.0, seconds / 4))
    with ours.serve(APPLICATION, *FLAGS) as server:
        if not through_gateway:
            return run_loop(Soak(server, connections, seed).run(warm_up_seconds, seconds))
        with ours.gateway(server.url, flags=FLAGS) as gateway:
            return run_loop(Soak(gateway, connections, seed).run(warm_up_seconds, seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak that the arguments ask for; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="soak", description="Torment perdure serve with mixed traffic.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--through-gateway",
        action="store_true",
        help="torment perdure gateway; tasks and objects are those of its origin",
    )
    options = parser.parse_args(arguments)
    outcome = soak(options.minutes * 60, options.connections, options.seed, options.through_gateway)
    sys.stdout.write(outcome.summary())
    return 1 if outcome.complaints() else 0


if __name__ == "__main__":
    sys.exit(main())
