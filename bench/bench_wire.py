"""What the wire costs by itself: CPU per echo, and the sweep of many wires.

    scripts/bench wire

Echo: one connection, one octet string there and back, client and server in one process, the
kernel included; CPU seconds per round trip, the least of several runs. The same is measured with
a bare asyncio.Protocol, so that the difference is what `LoopWire` costs.
"""

from __future__ import annotations

import asyncio
import math
import statistics
from typing import cast

from perdure.wire.clock import cpu_seconds
from perdure.wire.loop import LoopWire
from perdure.wire.network import LoopNetwork, run
from perdure.wire.sweep import Sweeper

ROUND_TRIPS = 20_000
RUNS = 5
MESSAGE = b"x" * 200


class EchoServer(LoopWire):
    def data_received(self, octets: bytes) -> None:
        self.write(octets)


class EchoClient(LoopWire):
    def wire_opened(self) -> None:
        self.left = ROUND_TRIPS
        self.done = self.loop.create_future()

    def data_received(self, octets: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)
            return
        self.write(octets)

    left: int
    done: asyncio.Future[None]


class BareServer(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by birth

    def data_received(self, octets: bytes) -> None:
        self.transport.write(octets)


class BareClient(BareServer):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.left = ROUND_TRIPS
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, octets: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)
            return
        self.transport.write(octets)


async def echo_wire() -> float:
    network = LoopNetwork()
    accepted: list[EchoServer] = []

    def factory() -> EchoServer:
        accepted.append(EchoServer())
        return accepted[-1]

    listener = await network.listen(factory, "127.0.0.1:0")
    address = listener.addresses[0]
    assert isinstance(address, tuple)
    client = await network.dial(EchoClient, *address, timeout=5.0)
    began = cpu_seconds()
    client.write(MESSAGE)
    await client.done
    spent = cpu_seconds() - began
    client.abort()
    listener.close()
    await asyncio.sleep(0.01)
    for server in accepted:
        server.abort()
    await asyncio.sleep(0.01)
    return spent / ROUND_TRIPS * 1e6


async def echo_bare() -> float:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(BareServer, "127.0.0.1", 0)
    _, client = await loop.create_connection(BareClient, *server.sockets[0].getsockname())
    began = cpu_seconds()
    client.transport.write(MESSAGE)
    await client.done
    spent = cpu_seconds() - began
    client.transport.close()
    server.close()
    await asyncio.sleep(0.01)
    return spent / ROUND_TRIPS * 1e6


async def sweep(count: int) -> tuple[float, float]:
    """Return (µs of one pass over `count` wires, the part of a core that all passes take)."""
    loop = asyncio.get_running_loop()
    sweeper = Sweeper(loop)
    wires = [LoopWire() for _ in range(count)]
    for wire in wires:
        wire.deadline = math.inf if id(wire) % 3 else loop.time() + 1000
        sweeper.add(wire)
    passes = []
    for _ in range(200):
        began = cpu_seconds()
        sweeper._sweep()
        passes.append(cpu_seconds() - began)
    for wire in wires:
        sweeper.remove(wire)
    microseconds = statistics.median(passes) * 1e6
    return microseconds, microseconds / 1e6 / (0.05 if count < 1000 else 0.2)


def main() -> None:
    for name, prefer_uvloop in (("asyncio", False), ("uvloop", True)):
        # In turn, so that what else the machine does falls on both.
        runs = [(run(echo_wire(), prefer_uvloop), run(echo_bare(), prefer_uvloop)) for _ in range(RUNS)]
        wire, bare = (min(column) for column in zip(*runs, strict=True))
        print(f"echo {name:8}  wire {wire:6.1f} µs  bare protocol {bare:6.1f} µs CPU per round trip")
    for count in (100, 999, 10_000):
        microseconds, share = run(sweep(count))
        print(f"sweep {count:6} wires  {microseconds:7.0f} µs per pass  {share:.2%} of a core")


if __name__ == "__main__":
    main()
