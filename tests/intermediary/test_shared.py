"""What all connections of one gateway share."""

from __future__ import annotations

from perdure.client.settings import ClientSettings
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.origins import Balance
from perdure.intermediary.shared import Shared
from perdure.server.registry import Registry
from perdure.server.settings import ServerSettings


def test_sizes_and_terms_toward_origins_are_those_of_their_own_settings() -> None:
    settings = ClientSettings(max_head=1000, persist=False)
    shared = Shared(Registry(ServerSettings()), Forwarding(), Balance(["http://a"]), settings)
    assert shared.limits.max_head == 1000
    assert not shared.terms.persist
    assert shared.retried == 0
