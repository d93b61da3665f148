"""What the exchanges of one client share."""

from __future__ import annotations

import pytest

from perdure.client.blocking_pool import BlockingPool
from perdure.client.effects import REMEMBERED_ORIGINS, Shared
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core.client_connection import ClientConnection
from perdure.wire.scripted import ScriptedNetwork


@pytest.mark.row("R46")
def test_of_many_origins_the_versions_of_the_latest_are_remembered() -> None:
    settings = ClientSettings()
    shared = Shared(settings, BlockingPool(settings, ScriptedNetwork([]), ClientConnection))
    origins = [Origin("http", f"host{number}.test", 80) for number in range(REMEMBERED_ORIGINS + 1)]
    for origin in origins:
        shared.saw_version(origin, (1, 1))
    assert len(shared.speaks_11) == REMEMBERED_ORIGINS
    assert origins[0] not in shared.speaks_11
    shared.saw_version(origins[-1], (1, 0))
    assert origins[-1] not in shared.speaks_11
