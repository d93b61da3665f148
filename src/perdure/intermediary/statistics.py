"""What an intermediary holds and has seen, counted when somebody asks: no request touches anything here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from perdure.core import Reason
from perdure.core.pool import EntryState
from perdure.core.pool import Statistics as PoolStatistics
from perdure.intermediary.arrangement import Arrangement
from perdure.intermediary.health import Condition
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.shared import Shared


@dataclass(frozen=True, slots=True)
class OriginStatistics:
    """One origin of one route, at one moment.

    Attributes:
        route: host and path, such as "example.org/api", or "*/".
        url: the origin, such as "http://127.0.0.1:9000".
        condition: "in", "resting" or "failed"; `share` is the part of its requests that it gets when in.
        checked: whether the last health check passed; None where none was over.
        outstanding: exchanges under way.
        failures, checks_failed: since the start.
        connections: to it, now, whichever route uses them; `idle` are those between two exchanges.
        requests, dialled: requests and checks over connections to it, and those connections, since the
            start, whichever route they are of.
    """

    route: str
    url: str
    condition: str
    share: float
    checked: bool | None
    outstanding: int
    failures: int
    checks_failed: int
    connections: int
    idle: int
    requests: int
    dialled: int

    @property
    def reuse_ratio(self) -> float:
        """The part of the requests that needed no connection of their own; 0.0 before the first."""
        return 1 - self.dialled / self.requests if self.requests > self.dialled else 0.0


@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """What an intermediary holds and has seen, at one moment.

    Attributes:
        connections, idle: of clients, now; `tunnels` of them no longer speak HTTP.
        opened, requests: of clients, since the start; `closes` counts the ends by Reason.
        retried: requests that were sent a second time after a stale reuse.
        origins: the connections to all origins, or to the parent, without tunnels; health checks count
            as requests there.
    """

    connections: int
    idle: int
    tunnels: int
    opened: int
    requests: int
    closes: Mapping[Reason, int]
    retried: int
    origins: PoolStatistics


@dataclass(frozen=True, slots=True)
class GatewayStatistics(ProxyStatistics):
    """The same of a gateway.

    Attributes:
        servers: each origin of each route.
    """

    servers: Sequence[OriginStatistics]


def statistics_of(shared: Shared, sides: Iterable[OriginSide]) -> ProxyStatistics:
    """Count what both sides of an intermediary hold and have seen."""
    registry = shared.registry
    return ProxyStatistics(
        len(registry.connections),
        len(registry.idle),
        len(shared.tunnels.open_ones),
        registry.opened,
        registry.requests,
        dict(registry.closes),
        shared.retried,
        together([side.pool.statistics() for side in sides]),
    )


def servers_of(arrangement: Arrangement) -> list[OriginStatistics]:
    """Count for each origin of each route."""
    return [_server(str(route), origin) for route in arrangement.routes for origin in route.group.origins]


def _server(route: str, origin: OriginServer) -> OriginStatistics:
    health = origin.health
    entries = origin.pool.ledger.entries(origin.key)
    ended = origin.ended
    return OriginStatistics(
        route=route,
        url=str(origin),
        condition=health.condition.value,
        share=health.share if health.condition is Condition.IN else 0.0,
        checked=health.checked,
        outstanding=origin.outstanding,
        failures=health.failures,
        checks_failed=health.checks_failed,
        connections=len(entries),
        idle=sum(entry.state is EntryState.IDLE for entry in entries),
        requests=ended.requests + sum(entry.uses for entry in entries),
        dialled=ended.connections + len(entries),
    )


def together(pools: Collection[PoolStatistics]) -> PoolStatistics:
    """The sums of several pools."""
    closes: Counter[Reason] = Counter()
    learned: dict[Hashable, float] = {}
    proven: dict[Hashable, float] = {}
    for pool in pools:
        closes.update(pool.closes)
        learned.update(pool.learned)
        proven.update(pool.proven)
    return PoolStatistics(
        connections=sum(pool.connections for pool in pools),
        idle=sum(pool.idle for pool in pools),
        leased=sum(pool.leased for pool in pools),
        dialling=sum(pool.dialling for pool in pools),
        waiting=sum(pool.waiting for pool in pools),
        requests=sum(pool.requests for pool in pools),
        reused=sum(pool.reused for pool in pools),
        dialled=sum(pool.dialled for pool in pools),
        closes=dict(closes),
        learned=learned,
        proven=proven,
    )
