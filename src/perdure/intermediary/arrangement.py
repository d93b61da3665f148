"""The origins of a gateway, arranged as planned: sides, groups, routes; and arranged anew.

    plans ──▶ sides (one pool for each set of settings) ──▶ origins ──▶ groups ──▶ routes: `destinations`

Arranging anew keeps what has not changed: a side with the same settings keeps its connections, and an origin
of the same route with the same settings its health. So a reload costs a connection only where a setting of
connections is another. Exchanges under way end with the origin they began with; connections that nobody asks
for any more end as idle ones do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from perdure.intermediary.balance import Group, make_group
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.health import HealthSettings
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import Destinations, OriginServer
from perdure.intermediary.route_settings import Place, Plan, SideKey
from perdure.intermediary.routes import ANY_HOST, ROOT, Route, Routes, read_host, read_path
from perdure.server.proxied import Senders
from perdure.wire.network import Network
from perdure.wire.tls import TlsContext, client_context


class Member(NamedTuple):
    """What an origin is known by when everything is arranged anew."""

    host: str
    path: bytes
    place: Place
    health: HealthSettings
    max_body: int | None
    side: SideKey


class Arrangement(NamedTuple):
    """See the module."""

    plans: Sequence[Plan]
    sides: Mapping[SideKey, OriginSide]
    members: Mapping[Member, OriginServer]
    routes: Sequence[Route]
    destinations: Destinations


def arrange(
    plans: Sequence[Plan], network: Network, mark: bytes, before: Arrangement | None = None
) -> Arrangement:
    """Arrange what is planned.

    Args:
        mark: of `Forwarding`.
        before: what there is already, of which is kept what is the same.

    Raises:
        TlsSettings: the files of TLS cannot be used.
    """
    sides: dict[SideKey, OriginSide] = {}
    members: dict[Member, OriginServer] = {}
    kept_sides = before.sides if before is not None else {}
    kept_members = before.members if before is not None else {}
    for plan in plans:
        if plan.side not in sides:
            kept = kept_sides.get(plan.side)
            sides[plan.side] = kept or make_side(plan.side, network, mark)
    routes = []
    for plan in plans:
        host, path = read_host(plan.settings.host), read_path(plan.settings.path)
        origins = []
        for place in plan.places:
            member = Member(host, path, place, plan.health, plan.settings.max_body, plan.side)
            kept_origin = kept_members.get(member)
            origin = kept_origin or OriginServer(
                place.key, place.authority, sides[plan.side], place.weight, plan.health, member.max_body
            )
            members[member] = origin
            origins.append(origin)
        routes.append(Route(host, path, make_group(origins, plan.balance)))
    return Arrangement(plans, sides, members, routes, _destinations(routes))


def _destinations(routes: Sequence[Route]) -> Destinations:
    """Without a choice between routes, the sole group is asked directly."""
    if len(routes) == 1 and routes[0].host == ANY_HOST and routes[0].path == ROOT:
        group: Group = routes[0].group
        return group
    return Routes(routes)


def make_side(key: SideKey, network: Network, mark: bytes) -> OriginSide:
    """The side of origins for which the same is set."""
    return OriginSide(key.client, make_rules(key, mark), network, make_tls(key) if key.tls else None)


def make_tls(key: SideKey) -> TlsContext:
    """The context for https origins, as is set. Raises TlsSettings."""
    own, client = key.gateway, key.client
    return client_context(
        verify=own.origin_verify,
        ca_file=own.origin_ca_file,
        certificate=client.tls_cert,
        key=client.tls_key,
    )


def make_rules(key: SideKey, mark: bytes) -> Forwarding:
    """What happens to messages, as is set."""
    own = key.gateway
    return Forwarding(
        own.pseudonym.encode("ascii"),
        mark,
        own.host,
        own.forwarded,
        key.on_request,
        key.on_response,
        own.forwarded_fields,
        Senders(own.trusted, "trusted"),
        upgrade=own.protocols(),
        says=own.proxy_status,
    )
