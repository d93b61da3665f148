"""Tunnels that are opened and ended in every way, together: nothing of any of them is left."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from perdure.core import Reason
from perdure.intermediary.gateway import Gateway
from perdure.wire.errors import WireError
from perdure.wire.network import LoopNetwork, run
from perdure.wire.raw import RawListener, RawPeer

ASKING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
ROUNDS, TOGETHER = 8, 100
EXPECTED = frozenset(
    {
        Reason.TUNNEL, Reason.TUNNEL_BROKEN, Reason.PEER_RESET, Reason.PEER_CLOSED, Reason.UPGRADE_REJECTED,
        Reason.BAD_SYNTAX, Reason.TOO_LARGE,  # what a client went on to say after a refusal
    }
)  # fmt: skip
MOST_SECONDS = 20.0
"""How long what lingers may take, on a busy machine."""


async def chat(peer: RawPeer, chance: random.Random) -> None:
    """Say something, stop taking anything perhaps, and leave in one of the ways there are."""
    for _ in range(chance.randrange(4)):
        peer.send(os.urandom(chance.randrange(1, 60_000)))
        await asyncio.sleep(chance.random() * 0.02)
    leave = chance.choice([peer.abort, peer.close, peer.half_close, peer.pause_reading])
    leave()
    await asyncio.sleep(0.05)
    peer.resume_reading()
    await asyncio.sleep(0.05)
    peer.close()


async def serve(peer: RawPeer, chance: random.Random) -> None:
    """Be an origin that refuses, goes away or switches."""
    peer.patience = 300
    try:
        while True:
            await peer.receive_until(b"\r\n\r\n")
            how = chance.choice(["switch"] * 6 + ["reset", "close", "refuse"])
            if how == "refuse":
                peer.send(REFUSED)
                continue
            if how == "switch":
                peer.send(SWITCHED)
                await chat(peer, chance)
            peer.abort() if how == "reset" else peer.close()
            return
    except (EOFError, WireError):
        peer.abort()


async def ask(port: int, chance: random.Random) -> None:
    """Be a client that may say too much at once, or leave before it is answered."""
    peer = await RawPeer.dial(LoopNetwork(), "127.0.0.1", port)
    peer.send(ASKING + b"early" * chance.randrange(3))
    try:
        if chance.random() < 0.1:
            peer.abort()
        await peer.receive_until(b"\r\n\r\n")
        await chat(peer, chance)
    except (EOFError, WireError):
        peer.close()


async def storm() -> None:
    chance = random.Random(7)
    origin = await RawListener.listen(LoopNetwork(), "127.0.0.1:0")
    async with asyncio.TaskGroup() as serving:

        async def accept() -> None:
            while True:
                serving.create_task(serve(await origin.accept(), chance))

        accepting = asyncio.create_task(accept())
        to = f"http://127.0.0.1:{origin.port}"
        async with Gateway(to, "127.0.0.1:0", linger_idle=0.3, linger_total=1.0) as gateway:
            port = int(gateway.urls[0].rpartition(":")[2])
            for _ in range(ROUNDS):
                await asyncio.gather(*[ask(port, chance) for _ in range(TOGETHER)])
            accepting.cancel()
            tunnels = gateway._shared.tunnels
            async with asyncio.timeout(MOST_SECONDS):
                while gateway.registry.connections or tunnels.far_wires:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.05)
            statistics = gateway.statistics()
            assert statistics.tunnels == 0
            assert statistics.opened == sum(statistics.closes.values()) == ROUNDS * TOGETHER
            assert statistics.closes.keys() <= EXPECTED
            assert statistics.origins.connections == statistics.origins.idle
            for peer in origin.peers:
                peer.abort()
        origin.close()


@pytest.mark.slow
@pytest.mark.parametrize("prefer_uvloop", [True, False], ids=["uvloop", "asyncio"])
def test_tunnels_that_end_in_every_way_leave_nothing_behind(prefer_uvloop: bool) -> None:
    run(storm(), prefer_uvloop=prefer_uvloop)
