"""A reverse proxy, in a program or as a program.

    async with Gateway(to=["http://127.0.0.1:9000"], bind="127.0.0.1:0") as gateway:
        print(gateway.urls)

RFC 9110 §3.7 (gateways), §7.6 (forwarding).
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from perdure.intermediary.arrangement import arrange, make_rules
from perdure.intermediary.forwarding import RequestHook, ResponseHook
from perdure.intermediary.inbound import GatewayConnection
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.route_settings import OTHER_NAMES, Defaults, Plan, SideKey, plan_routes
from perdure.intermediary.settings import BothSides, split_settings
from perdure.intermediary.shared import Shared
from perdure.intermediary.statistics import GatewayStatistics, servers_of, statistics_of
from perdure.intermediary.tunnels import Tunnels
from perdure.intermediary.upkeep import Upkeep
from perdure.server.serve import ListeningServer
from perdure.wire.bind import BoundSocket
from perdure.wire.network import Network


class Gateway(ListeningServer):
    """A reverse proxy.

    Args:
        to: URLs of the origins, such as "http://127.0.0.1:9000" or "http://127.0.0.1:9000 weight=3"; several
            are balanced. With routes: of a further one, for all that none of them is for.
        bind: "HOST:PORT" (port 0: any free one) or "unix:PATH", or several.
        routes: what goes where, each a mapping with the names of `RouteSettings`, such as
            {"host": "example.org", "path": "/api", "to": ["http://127.0.0.1:9000"]}, and with any other
            setting toward origins that is another for this route.
        on_request: called with every request after what belongs to one hop was removed and before
            anything of ours is added; it may change it, or return a Response to answer with. A function, or
            its name as "module:function".
        on_response: the same for final responses, which it may change.
        settings: every name of `GatewaySettings`, `BalanceSettings`, `HealthSettings`, of `ServerSettings`,
            and of `OriginSettings` with `origin_` in front, such as origin_read_timeout=10.0 (seconds).

    Raises:
        InvalidURL, ValueError, TypeError: for origins or settings that cannot be understood.
        BindFailed, AddressInUse: on entering.
    """

    def __init__(
        self,
        to: str | Sequence[str] = (),
        bind: str | Sequence[str] = "127.0.0.1:8080",
        *,
        routes: Sequence[Mapping[str, Any]] = (),
        tls_cert: str | None = None,
        tls_key: str | None = None,
        network: Network | None = None,
        sockets: Sequence[BoundSocket] | None = None,
        on_request: RequestHook | str | None = None,
        on_response: ResponseHook | str | None = None,
        **settings: Any,
    ) -> None:
        hooks = {"on_request": on_request, "on_response": on_response}
        plans, (own, server, client) = plan_gateway(to, routes, {**settings, **hooks})
        super().__init__(server, bind, tls_cert=tls_cert, tls_key=tls_key, network=network, sockets=sockets)
        self._mark = secrets.token_hex(3).encode()
        self._arrangement = arrange(plans, self._network, self._mark)
        self._general = SideKey(own, client, False, None, None)
        rules = make_rules(self._general, self._mark)
        tunnels = Tunnels(own.tunnel_timeout)
        self._shared = Shared(self.registry, rules, self._arrangement.destinations, tunnels)
        self._upkeep = Upkeep(own.pseudonym.encode("ascii"))
        self._former: list[OriginSide] = []

    async def start(self) -> None:
        """Listen, and look after the origins."""
        await super().start()
        self._upkeep.look_after(self._arrangement.members.values())

    def adopt(self, successor: ListeningServer) -> bool:
        """Go on with the routes and settings of another gateway, which was not started.

        Connections of clients stay, and so do those to origins for which nothing else is set. Exchanges under
        way end where they began. What is changed of addresses to listen on has no effect.

        Returns:
            False, and nothing has changed, if TLS or PROXY protocol toward clients would begin or end.

        Raises:
            TlsSettings: a file of TLS cannot be used; nothing has changed.
        """
        if not isinstance(successor, Gateway):
            return False
        before, shared = self._arrangement, self._shared
        arrangement = arrange(successor._arrangement.plans, self._network, self._mark, before)
        if not self._adopt_settings(successor):
            return False
        self._arrangement, self._general = arrangement, successor._general
        self._former += [side for key, side in before.sides.items() if key not in arrangement.sides]
        self._former = [side for side in self._former if side.pool.statistics().connections]
        shared.rules = make_rules(self._general, self._mark)
        shared.destinations = arrangement.destinations
        for connection in self.registry.connections:
            if isinstance(connection, GatewayConnection):
                connection.meet()
        shared.tunnels.timeout = successor._shared.tunnels.timeout
        self._upkeep.look_after(arrangement.members.values())
        return True

    def make_connection(self) -> GatewayConnection:
        """Make the wire of one accepted connection."""
        return GatewayConnection(self._shared)

    async def close(self) -> None:
        """Drain, then release everything, the connections to origins last."""
        await super().close()
        await self._shared.tunnels.aclose()
        self._upkeep.end()
        for side in [*self._arrangement.sides.values(), *self._former]:
            await side.pool.aclose()

    def statistics(self) -> GatewayStatistics:
        """Count what there is and what was."""
        seen = statistics_of(self._shared, [*self._arrangement.sides.values(), *self._former])
        counts = {field.name: getattr(seen, field.name) for field in dataclasses.fields(seen)}
        return GatewayStatistics(**counts, servers=servers_of(self._arrangement))


def plan_gateway(
    to: str | Sequence[str], routes: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> tuple[Sequence[Plan], BothSides]:
    """Check what a gateway is told, and complete it; nothing is opened.

    Raises:
        InvalidURL, ValueError, TypeError: as of `Gateway`.
    """
    others = {name: settings[name] for name in OTHER_NAMES if settings.get(name) is not None}
    sides = split_settings({name: settings[name] for name in settings if name not in OTHER_NAMES})
    origins = [to] if isinstance(to, str) else to
    return plan_routes(routes, origins, Defaults(sides.gateway, sides.client, others)), sides
