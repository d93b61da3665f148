"""What all origins have in common for which the same is set."""

from __future__ import annotations

from perdure.client.settings import ClientSettings
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer, parse_origin
from perdure.wire.memory import MemoryNetwork
from tests.intermediary.heads import PLAIN


def test_sizes_and_terms_toward_origins_are_those_of_their_own_settings() -> None:
    side = OriginSide(ClientSettings(max_head=1000, persist=False), PLAIN, MemoryNetwork())
    assert side.limits.max_head == 1000
    assert not side.terms.persist


def test_origins_of_one_side_share_its_pool_and_rules() -> None:
    side = OriginSide(ClientSettings(), PLAIN, MemoryNetwork())
    a, b = (OriginServer(*parse_origin(url), side) for url in ("http://a", "http://b"))
    assert a.pool is b.pool is side.pool
    assert a.rules is PLAIN
