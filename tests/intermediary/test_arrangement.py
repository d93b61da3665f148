"""Origins arranged as planned, and what is kept when they are arranged anew."""

from __future__ import annotations

from typing import Any

from perdure.intermediary.arrangement import Arrangement, arrange
from perdure.intermediary.balance import LeastOutstanding, RoundRobin
from perdure.intermediary.health import Condition
from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.route_settings import Defaults, plan_routes
from perdure.intermediary.routes import Routes
from perdure.intermediary.settings import GatewaySettings
from perdure.wire.memory import MemoryNetwork

A, B = "http://127.0.0.1:9000", "http://127.0.0.1:9001"


def arranged(
    *routes: dict[str, Any], to: tuple[str, ...] = (), before: Arrangement | None = None, **others: Any
) -> Arrangement:
    plans = plan_routes(routes, to, Defaults(GatewaySettings(), OriginSettings(), others))
    return arrange(plans, MemoryNetwork(), b"mark", before)


def origins(arrangement: Arrangement, route: int = 0) -> list[OriginServer]:
    return arrangement.routes[route].group.origins


def test_sole_route_for_everything_is_asked_directly() -> None:
    assert isinstance(arranged(to=(A,)).destinations, LeastOutstanding)
    assert isinstance(arranged({"to": [A], "balance": "round-robin"}).destinations, RoundRobin)
    assert isinstance(arranged({"to": [A], "path": "/a"}).destinations, Routes)
    assert isinstance(arranged({"to": [A], "host": "a"}).destinations, Routes)


def test_weights_bodies_and_healths_reach_the_origins() -> None:
    (origin,) = origins(arranged({"to": [A + " weight=4"], "max_body": 9, "fail_count": 2}))
    assert (origin.weight, origin.share, origin.max_body, origin.health.settings.fail_count) == (4, 4.0, 9, 2)


def test_origins_with_settings_of_their_own_have_connections_of_their_own() -> None:
    routes = arranged(
        {"to": [A], "path": "/1"},
        {"to": [B], "path": "/2"},
        {"to": [A], "path": "/3", "origin_read_timeout": 1.0},
    )
    first, second, third = (origins(routes, number)[0] for number in range(3))
    assert first.pool is second.pool is not third.pool
    assert third.pool.settings.read_timeout == 1.0
    assert len(routes.sides) == 2


def test_tls_is_prepared_where_it_is_spoken() -> None:
    assert origins(arranged(to=(A,)))[0].pool.dialler.tls is None
    assert origins(arranged(to=("https://a",)))[0].pool.dialler.tls is not None


def test_what_is_the_same_is_kept_when_everything_is_arranged_anew() -> None:
    before = arranged({"to": [A, B], "path": "/1"}, {"to": [A]})
    kept = origins(before)[0]
    kept.health.failed(0.0, unreachable=True)
    kept.outstanding = 3
    after = arranged({"to": [A], "path": "/1", "balance": "hash"}, {"to": [B]}, before=before)
    assert origins(after) == [kept]
    assert kept.health.condition is Condition.RESTING
    assert origins(after, 1)[0].pool is kept.pool
    assert before.sides == after.sides


def test_health_of_an_origin_that_was_kept_tells_its_new_group() -> None:
    before = arranged(to=(A, B))
    after = arranged(to=(A, B, "http://c"), before=before)
    a, b, c = origins(after)
    a.health.failed(0.0, unreachable=True)
    assert after.routes[0].group.ready == [b, c]


def test_other_settings_of_connections_make_other_connections() -> None:
    before = arranged({"to": [A]})
    after = arranged({"to": [A], "origin_max_per_origin": 2}, before=before)
    assert origins(after)[0].pool is not origins(before)[0].pool


def test_other_settings_of_health_make_another_origin_with_the_same_connections() -> None:
    before = arranged({"to": [A]})
    after = arranged({"to": [A], "fail_count": 1}, before=before)
    assert origins(after)[0] is not origins(before)[0]
    assert origins(after)[0].pool is origins(before)[0].pool
