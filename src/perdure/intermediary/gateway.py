"""A reverse proxy, in a program or as a program.

    async with Gateway(to=["http://127.0.0.1:9000"], bind="127.0.0.1:0") as gateway:
        print(gateway.urls)

RFC 9110 §3.7 (gateways), §7.6 (forwarding).
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.client.urls import Origin
from perdure.core import Reason
from perdure.core.pool import Statistics as PoolStatistics
from perdure.intermediary.forwarding import Forwarding, RequestHook, ResponseHook
from perdure.intermediary.inbound import GatewayConnection
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import Balance, OriginServer, parse_origin
from perdure.intermediary.settings import GatewaySettings, split_settings
from perdure.intermediary.shared import Shared
from perdure.intermediary.tunnels import Tunnels
from perdure.server.proxied import Senders
from perdure.server.serve import ListeningServer
from perdure.wire.bind import BoundSocket
from perdure.wire.network import Network
from perdure.wire.tls import TlsContext, client_context


@dataclass(frozen=True, slots=True)
class GatewayStatistics:
    """What a gateway holds and has seen, at one moment.

    Attributes:
        connections, idle: of clients, now; `tunnels` of them no longer speak HTTP.
        opened, requests: of clients, since the start; `closes` counts the ends by Reason.
        retried: requests that were sent to an origin a second time after a stale reuse.
        origins: the connections to origins.
    """

    connections: int
    idle: int
    tunnels: int
    opened: int
    requests: int
    closes: Mapping[Reason, int]
    retried: int
    origins: PoolStatistics


class Gateway(ListeningServer):
    """A reverse proxy.

    Args:
        to: URLs of the origins, such as "http://127.0.0.1:9000"; several are balanced.
        bind: "HOST:PORT" (port 0: any free one) or "unix:PATH", or several.
        on_request: called with every request after what belongs to one hop was removed and before
            anything of ours is added; it may change it, or return a Response to answer with.
        on_response: the same for final responses, which it may change.
        settings: every name of `GatewaySettings`, of `ServerSettings`, and of `ClientSettings` with
            `origin_` in front, such as origin_read_timeout=10.0 (seconds).

    Raises:
        InvalidURL, ValueError, TypeError: for origins or settings that cannot be understood.
        BindFailed, AddressInUse: on entering.
    """

    def __init__(
        self,
        to: str | Sequence[str],
        bind: str | Sequence[str] = "127.0.0.1:8080",
        *,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        network: Network | None = None,
        sockets: Sequence[BoundSocket] | None = None,
        on_request: RequestHook | None = None,
        on_response: ResponseHook | None = None,
        **settings: Any,
    ) -> None:
        own, server, client = split_settings(settings)
        super().__init__(server, bind, tls_cert=tls_cert, tls_key=tls_key, network=network, sockets=sockets)
        places = [parse_origin(url) for url in ([to] if isinstance(to, str) else to)]
        if len(places) == 1:
            client = dataclasses.replace(client, dial_rest=0.0)
        mark = secrets.token_hex(3).encode()
        rules = Forwarding(
            own.pseudonym.encode("ascii"),
            mark,
            own.host,
            own.forwarded,
            on_request,
            on_response,
            own.forwarded_fields,
            Senders(own.trusted, "trusted"),
        )
        self._side = OriginSide(client, rules, self._network, _origin_tls(own, places))
        origins = [OriginServer(key, authority, self._side) for key, authority in places]
        self._shared = Shared(self.registry, rules, Balance(origins), Tunnels(own.tunnel_timeout))

    def make_connection(self) -> GatewayConnection:
        """Make the wire of one accepted connection."""
        return GatewayConnection(self._shared)

    async def close(self) -> None:
        """Drain, then release everything, the connections to origins last."""
        await super().close()
        await self._shared.tunnels.aclose()
        await self._side.pool.aclose()

    def statistics(self) -> GatewayStatistics:
        """Count what there is and what was."""
        registry = self.registry
        return GatewayStatistics(
            len(registry.connections),
            len(registry.idle),
            len(self._shared.tunnels.open_ones),
            registry.opened,
            registry.requests,
            dict(registry.closes),
            self._shared.retried,
            self._side.pool.statistics(),
        )


def _origin_tls(settings: GatewaySettings, places: Sequence[tuple[Origin, bytes]]) -> TlsContext | None:
    """The context for https origins; None where there are none."""
    if all(key.scheme != "https" for key, _ in places):
        return None
    return client_context(verify=settings.origin_verify, ca_file=settings.origin_ca_file)
