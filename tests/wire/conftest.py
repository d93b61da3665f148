"""One behavioural suite, three event loops: virtual time in memory, asyncio and uvloop on sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import LoopNetwork, Network, run
from perdure.wire.virtual import run_virtual

Scene = Callable[[Network], Coroutine[Any, Any, None]]
Play = Callable[[Scene], None]

PATIENCE_SECONDS = 20.0


def play_in_memory(scene: Scene) -> None:
    """Play a scene in virtual time."""
    run_virtual(scene(MemoryNetwork(latency=0.001)))


def play_on_asyncio(scene: Scene) -> None:
    """Play a scene on real sockets, standard loop."""
    run(asyncio.wait_for(scene(LoopNetwork()), PATIENCE_SECONDS), prefer_uvloop=False)


def play_on_uvloop(scene: Scene) -> None:
    """Play a scene on real sockets, uvloop."""
    run(asyncio.wait_for(scene(LoopNetwork()), PATIENCE_SECONDS))


@pytest.fixture(params=[play_in_memory, play_on_asyncio, play_on_uvloop], ids=["memory", "asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Play:
    """Each of the three."""
    player: Play = request.param
    return player


@pytest.fixture(params=[play_on_asyncio, play_on_uvloop], ids=["asyncio", "uvloop"])
def play_on_sockets(request: pytest.FixtureRequest) -> Play:
    """Both real loops."""
    player: Play = request.param
    return player
