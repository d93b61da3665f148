"""A listener that comes to its end: who was there before is served. RFC 9112 §9.6."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import ClassVar

import pytest

from perdure.wire import listening
from perdure.wire.bind import bind_sockets, release_sockets
from perdure.wire.errors import ConnectFailed, WireError
from perdure.wire.loop import LoopWire
from perdure.wire.network import Network
from perdure.wire.raw import RawPeer
from tests.wire.conftest import Play

CROWD = 100
"""More than either loop accepts in a turn."""


class Echo(LoopWire):
    """Sends back what it gets, and ends with its peer."""

    open: ClassVar[set[Echo]] = set()

    def wire_opened(self) -> None:
        self.open.add(self)

    def end_received(self) -> None:
        self.close()

    def wire_lost(self, error: WireError | None) -> None:
        self.open.discard(self)

    def data_received(self, octets: bytes) -> None:
        self.write(octets)


def crowd_at(address: object, family: int = socket.AF_INET) -> list[socket.socket]:
    """Connections that say something; made without a turn of the event loop, they wait in the queue."""
    crowd = []
    for number in range(CROWD):
        one = socket.socket(family)
        one.connect(address)  # type: ignore[arg-type]  # of either family
        one.sendall(b"%03d" % number)
        one.setblocking(False)
        crowd.append(one)
    return crowd


async def all_are_answered(crowd: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    for number, one in enumerate(crowd):
        assert await loop.sock_recv(one, 3) == b"%03d" % number
        one.close()


async def all_are_gone() -> None:
    while Echo.open:  # noqa: ASYNC110 - a peer of the kernel's
        await asyncio.sleep(0)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_whoever_waits_in_the_queue_is_accepted_before_the_end(play_on_sockets: Play, host: str) -> None:
    async def scene(network: Network) -> None:
        listener = await network.listen(Echo, f"{host}:0")
        address = listener.addresses[0]
        assert isinstance(address, tuple)
        crowd = crowd_at(("127.0.0.1", address[1]))
        await listener.finish()
        listener.close()
        await listener.finish()
        await all_are_answered(crowd)
        with pytest.raises(ConnectFailed):
            await RawPeer.dial(network, "127.0.0.1", address[1])
        await all_are_gone()

    play_on_sockets(scene)


def test_whoever_waits_at_a_unix_socket_is_accepted_before_the_end(
    play_on_sockets: Play, tmp_path: Path
) -> None:
    async def scene(network: Network) -> None:
        path = str(tmp_path / "a.sock")
        listener = await network.listen(Echo, f"unix:{path}", backlog=CROWD)
        crowd = crowd_at(path, socket.AF_UNIX)
        await listener.finish()
        listener.close()
        await all_are_answered(crowd)
        await all_are_gone()

    play_on_sockets(scene)


def test_a_queue_that_another_fills_and_empties_stays_open(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        bound = bind_sockets("127.0.0.1:0")
        before = await network.listen_on(Echo, [one.dup() for one in bound])
        crowd = crowd_at(bound[0].getsockname())
        await before.finish()
        before.close()
        late = crowd_at(bound[0].getsockname())
        after = await network.listen_on(Echo, [one.dup() for one in bound])
        await all_are_answered(crowd)
        await all_are_answered(late)
        after.close()
        release_sockets(bound)
        await all_are_gone()

    play_on_sockets(scene)


def test_a_queue_that_nobody_can_empty_does_not_hold_up_the_end(
    play_on_sockets: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FINISHING_SECONDS", 0.1)

    async def scene(network: Network) -> None:
        bound = bind_sockets("127.0.0.1:0")
        listener = await network.listen_on(Echo, [one.dup() for one in bound])
        address = bound[0].getsockname()

        async def come_steadily() -> None:
            while True:
                socket.create_connection(address).close()
                await asyncio.sleep(0)

        coming = asyncio.ensure_future(come_steadily())
        await listener.finish()
        listener.close()
        coming.cancel()
        await asyncio.wait([coming])
        release_sockets(bound)
        await all_are_gone()

    play_on_sockets(scene)
