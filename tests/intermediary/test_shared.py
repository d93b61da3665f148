"""What all connections of one gateway share."""

from __future__ import annotations

from perdure.intermediary.balance import LeastOutstanding
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.shared import Shared
from perdure.intermediary.tunnels import Tunnels
from perdure.server.registry import Registry
from perdure.server.settings import ServerSettings
from tests.intermediary.heads import origin


def test_nothing_was_retried_at_first() -> None:
    group = LeastOutstanding([origin("http://a")])
    shared = Shared(Registry(ServerSettings()), Forwarding(), group, Tunnels(None))
    assert shared.retried == 0
