"""Carries frames between interfaces, as links in user space.

    kernel of A ══veth══▶ Carrier: offer(now, octets) → when it arrives, or never ══veth══▶ kernel of B

`python -m perdure.lab.carrier SETTINGS` does it in a process of its own, so that nothing else delays the
frames, until its standard input ends: however its parent dies, nothing stays behind. Linux only.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from perdure.lab.link import HEAD_OCTETS, Carried, Direction, Link, pack
from perdure.wire.clock import now
from perdure.wire.frames import FramePort, wait_readable

MOST_RECORDS: Final = 500_000
"""Kept until they are taken; further frames are carried and not recorded."""
LENGTH: Final = struct.Struct("<Q")
WAIT_SECONDS: Final = 60.0


class Carrier:
    """Carries frames between pairs of interfaces.

    Args:
        links: with the two interfaces of each, those that `a` and `b` see the other end of.
    """

    def __init__(self, links: Sequence[tuple[Link, str, str]]) -> None:
        self._links = [link for link, _, _ in links]
        self._ways: dict[FramePort, tuple[int, bool, Direction, FramePort]] = {}
        for index, (link, near, far) in enumerate(links):
            one, other = FramePort(near), FramePort(far)
            self._ways[one] = (index, True, Direction(link, True), other)
            self._ways[other] = (index, False, Direction(link, False), one)
        self._under_way: list[tuple[float, int, FramePort, bytes, Carried]] = []
        self._entered = 0
        self._records: list[Carried] = []

    def run(self, commands: int, answers: int) -> None:
        """Carry until `commands` ends.

        Args:
            commands: a descriptor; a line of JSON each: ["shape", INDEX, {...}] or ["take"].
            answers: a descriptor; to each command a length and as many octets: the records, for "take".
        """
        readers: list[FramePort | int] = [commands, *self._ways]
        buffer = b""
        while True:
            ready = wait_readable(readers, self._deliver())
            for reader in ready:
                if isinstance(reader, FramePort):
                    self._take_in(reader)
            if commands not in ready:
                continue
            octets = os.read(commands, 65536)
            if not octets:
                return
            *lines, buffer = (buffer + octets).split(b"\n")
            for line in lines:
                _write(answers, self._answer(*json.loads(line)))

    def _take_in(self, port: FramePort) -> None:
        index, forward, direction, far = self._ways[port]
        while (frame := port.receive()) is not None:
            entered = now()
            left = direction.offer(entered, len(frame))
            record = Carried(index, forward, entered, left, len(frame), frame[:HEAD_OCTETS])
            if left is None:
                self._note(record)
                continue
            self._entered += 1
            heapq.heappush(self._under_way, (left, self._entered, far, frame, record))

    def _deliver(self) -> float:
        """Let leave what is due; return the seconds until more is."""
        under_way = self._under_way
        while under_way:
            wait = under_way[0][0] - now()
            if wait > 0:
                return wait
            _, _, far, frame, record = heapq.heappop(under_way)
            taken = far.send(frame)
            self._note(record._replace(left_at=now() if taken else None))
        return WAIT_SECONDS

    def _note(self, record: Carried) -> None:
        if len(self._records) < MOST_RECORDS:
            self._records.append(record)

    def _answer(self, command: str, *arguments: Any) -> bytes:
        if command == "shape":
            index, changes = arguments
            link = self._links[index] = Link(**changes)
            for at, _, direction, _ in self._ways.values():
                if at == index:
                    direction.shape(link)
            return b""
        taken, self._records = self._records, []
        return pack(taken)


def settings_of(links: Sequence[tuple[Link, str, str]]) -> str:
    """What the program takes as its argument."""
    return json.dumps([[asdict(link), near, far] for link, near, far in links])


def _write(descriptor: int, octets: bytes) -> None:
    rest = LENGTH.pack(len(octets)) + octets
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _main(settings: str) -> None:
    links: list[tuple[Mapping[str, Any], str, str]] = json.loads(settings)
    carrier = Carrier([(Link(**link), near, far) for link, near, far in links])
    gc.disable()  # nothing here refers to itself; a collection would hold frames up
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    _write(1, b"")  # ready
    with contextlib.suppress(KeyboardInterrupt):
        carrier.run(0, 1)


if __name__ == "__main__":
    _main(sys.argv[1])
