"""A wire that notes every hook, and the raw peer at its other end."""

from __future__ import annotations

import asyncio
import math
import socket

from perdure.wire.errors import WireError
from perdure.wire.loop import LoopWire
from perdure.wire.network import Network
from perdure.wire.raw import RawListener, RawPeer

MEBIBYTE = 1 << 20


class Recorder(LoopWire):
    """Notes every hook in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.story: list[str] = []
        self.received = bytearray()
        self.error: WireError | None = None
        self.changed = asyncio.Event()

    def note(self, word: str) -> None:
        self.story.append(word)
        self.changed.set()

    async def until(self, word: str) -> None:
        """Wait until a hook was called."""
        async with asyncio.timeout(10):
            while word not in self.story:
                self.changed.clear()
                await self.changed.wait()

    def wire_opened(self) -> None:
        self.note("opened")

    def data_received(self, octets: bytes) -> None:
        assert type(octets) is bytes
        self.received += octets
        self.note("octets")

    def end_received(self) -> None:
        self.note("end")

    def wire_lost(self, error: WireError | None) -> None:
        self.error = error
        self.note("lost")

    def write_side_full(self) -> None:
        self.note("full")

    def write_side_drained(self) -> None:
        self.note("drained")

    def deadline_reached(self, now: float) -> None:
        self.deadline = math.inf
        self.note("deadline")

    def write_stalled(self, now: float) -> None:
        self.note("stalled")
        super().write_stalled(now)


async def joined(network: Network) -> tuple[Recorder, RawPeer]:
    """Return a wire that was dialled and the raw peer that accepted it."""
    listener = await RawListener.listen(network)
    wire = await network.dial(Recorder, listener.host, listener.port, timeout=5.0)
    peer = await listener.accept()
    listener.close()
    return wire, peer


def fill(full: socket.socket) -> list[socket.socket]:
    """Fill the queue of a listener, so that it answers no further SYN."""
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    return fillers
