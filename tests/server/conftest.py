"""One behavioural suite, three event loops: virtual time in memory, asyncio and uvloop on sockets."""

from __future__ import annotations

import pytest

from tests.wire.conftest import Play, play_in_memory, play_on_asyncio, play_on_uvloop


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


@pytest.fixture
def play_in_time() -> Play:
    """Virtual time only: where minutes pass."""
    return play_in_memory
