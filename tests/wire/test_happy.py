"""Happy eyeballs: the first address that answers wins. RFC 8305."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from perdure.wire.address import Target
from perdure.wire.happy import race
from perdure.wire.network import Network, run
from perdure.wire.raw import RawListener, RawPeer
from tests.wire.conftest import Play
from tests.wire.recorder import fill


@pytest.mark.parametrize("first", ["refusing", "silent"])
def test_a_name_is_tried_on_all_its_addresses(
    play_on_sockets: Play, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        port = listener.port
        stream = (socket.SOCK_STREAM, 6, "")
        found: list[tuple[object, ...]] = [
            (socket.AF_INET, *stream, (host, port)) for host in ("127.0.0.2", "127.0.0.1")
        ]

        async def resolve(self: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            if host == "origin.test":
                return found
            return [(socket.AF_INET, *stream, (host, port))]  # uvloop asks for literals too

        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", resolve, raising=False)
        fillers: list[socket.socket] = []
        with socket.socket() as full:
            if first == "silent":
                full.bind(("127.0.0.2", port))
                fillers = fill(full)
            for _ in range(5):  # a busy machine may stand still for a second, but not each time
                began = network.now()
                client = await network.dial(RawPeer, "origin.test", port, timeout=5.0, happy_eyeballs=0.05)
                took = network.now() - began
                assert client.peer_address == ("127.0.0.1", port)
                client.abort()
                await (await listener.accept()).wait_lost()
                if took < 0.9:
                    break
            else:
                pytest.fail("the kernel repeats a SYN after one second, and that was waited for")
        for filler in fillers:
            filler.close()
        listener.close()

    play_on_sockets(scene)


def test_the_losers_of_a_race_are_closed() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            target = Target(socket.AF_INET, listening.getsockname())
            winner = await race([target, target, target], 0.0)
            winner.close()
        # An open loser would be a ResourceWarning, and warnings are errors.
        gc.collect()

    run(scene())


def test_the_last_failure_is_told_when_all_fail() -> None:
    async def scene() -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))  # it does not listen
            target = Target(socket.AF_INET, bound.getsockname())
            with pytest.raises(ConnectionRefusedError):
                await race([target, target], 0.05)
        with pytest.raises(socket.gaierror):
            await race([], 0.05)

    run(scene())


def test_a_winner_that_nobody_takes_any_more_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        second_began = asyncio.Event()
        target = Target(socket.AF_INET, ("127.0.0.1", 9))
        late = Target(socket.AF_INET, ("127.0.0.2", 9))
        winner = socket.socket()

        async def attempt(tried: Target) -> socket.socket:
            if tried is target:
                await second_began.wait()
                return winner
            second_began.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                racing.cancel()  # the race is decided, and the loser is being given up
            raise AssertionError

        monkeypatch.setattr("perdure.wire.happy.attempt", attempt)
        racing = asyncio.ensure_future(race([target, late], 0.0))
        with pytest.raises(asyncio.CancelledError):
            await racing
        assert winner.fileno() == -1

    run(scene())
