"""A link: what it does to each frame, by arithmetic; and the record of the frames that it carried.

One way (`Direction`), for one frame:

    lost by chance ─▶ the queue is full ─▶ waits until the line is free ─▶ octets / rate ─▶ + delay

What TCP makes of it is the kernels' own doing: handshake, slow start, retransmission. `carrier` is what
carries frames so.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

HEAD_OCTETS: Final = 512
"""What is kept of each frame: all heads of Ethernet, IP and TCP, and the beginning of the content."""
RECORD: Final = struct.Struct("<BBddIH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Two hosts, and what is between them; the same in both directions.

    Attributes:
        a, b: names of hosts.
        rtt: seconds there and back, without the time that octets take at `rate`.
        rate: bits per second; math.inf is no limit.
        queue: octets that may wait for the line, each way; what comes beyond them is lost.
        loss: the share of frames that are lost by chance, in [0, 1).
        reorder: the share of frames that are held back, in [0, 1), by a quarter of `rtt`.
        seed: of what happens by chance: the same seed, the same fate for the n-th frame of each direction.
    """

    a: str
    b: str
    rtt: float = 0.0
    rate: float = math.inf
    queue: int = 131072
    loss: float = 0.0
    reorder: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rtt < 60 and self.rate > 0 and self.queue > 0):
            raise ValueError(f"a link with rtt {self.rtt}, rate {self.rate}, queue {self.queue}")
        if not (0 <= self.loss < 1 and 0 <= self.reorder < 1):
            raise ValueError(f"a link with loss {self.loss}, reorder {self.reorder}; shares below 1 expected")

    def joins(self, one: str, other: str) -> bool:
        """Say whether it is between these two hosts."""
        return {self.a, self.b} == {one, other}

    def text(self) -> str:
        """In words: "rtt 50 ms, 10 Mbit/s, 1 % lost"."""
        words = [f"rtt {self.rtt * 1000:g} ms"]
        if self.rate < math.inf:
            words.append(f"{self.rate / 1e6:g} Mbit/s" if self.rate >= 1e6 else f"{self.rate / 1e3:g} kbit/s")
        words += [f"{share:.2%} {what}" for share, what in self._chances() if share]
        return ", ".join(words)

    def _chances(self) -> Iterator[tuple[float, str]]:
        yield self.loss, "lost"
        yield self.reorder, "held back"


class Direction:
    """One way of a link: a function of the frames that entered before, and of the seed."""

    def __init__(self, link: Link, forward: bool) -> None:
        self._random = random.Random(f"{link.seed} {forward}")
        self._free_at = -math.inf
        self.shape(link)

    def shape(self, link: Link) -> None:
        """Be another link from now on; what waits for the line waits on, and chance goes on."""
        self._link = link
        self._octet_seconds = 8 / link.rate

    def offer(self, at: float, octets: int) -> float | None:
        """A frame enters.

        Args:
            at: seconds, never less than before.
            octets: of the whole frame.

        Returns:
            When it comes out; None if it is lost.
        """
        link = self._link
        if link.loss and self._random.random() < link.loss:
            return None
        start = max(at, self._free_at)
        # What waits is what the line is still busy with, the frame under way included.
        if self._octet_seconds and (start - at) / self._octet_seconds + octets > link.queue:
            return None
        self._free_at = start + octets * self._octet_seconds
        arrival = self._free_at + link.rtt / 2
        if link.reorder and self._random.random() < link.reorder:
            arrival += link.rtt / 4
        return arrival


class Carried(NamedTuple):
    """One frame that entered a link."""

    link: int
    forward: bool
    """True from `a` to `b`."""
    entered_at: float
    """Monotonic seconds."""
    left_at: float | None
    """None where it was lost."""
    octets: int
    head: bytes
    """Its first `HEAD_OCTETS`."""


def pack(records: Sequence[Carried]) -> bytes:
    """Write records for another process."""
    parts = []
    for link, forward, entered, left, octets, head in records:
        parts.append(
            RECORD.pack(link, forward, entered, math.nan if left is None else left, octets, len(head))
        )
        parts.append(head)
    return b"".join(parts)


def unpack(octets: bytes) -> list[Carried]:
    """Read what `pack` wrote."""
    records, position = [], 0
    while position < len(octets):
        link, forward, entered, left, length, kept = RECORD.unpack_from(octets, position)
        position += RECORD.size
        head = octets[position : position + kept]
        position += kept
        records.append(
            Carried(link, bool(forward), entered, None if math.isnan(left) else left, length, head)
        )
    return records
