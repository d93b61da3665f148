"""A forward proxy, in a program or as a program.

    async with Proxy(bind="127.0.0.1:0", allow=["127.0.0.0/8"]) as proxy:
        print(proxy.urls)

RFC 9110 §3.7 (proxies), §7.3.2 (proxied), §7.6 (forwarding), §9.3.6 (CONNECT).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from perdure.client.loop_dialling import LoopDialler
from perdure.client.proxies import read_proxy
from perdure.client.urls import NextProxy, Origin
from perdure.core import Reason, RemoteViolation, Response, Role
from perdure.core.fields import HTTP_11, gather
from perdure.core.writer import block
from perdure.intermediary.access import Access
from perdure.intermediary.connect import PARENT_WANTS_OTHERS, Connector
from perdure.intermediary.credentials import Credentials
from perdure.intermediary.forwarding import Forwarding, RequestHook, ResponseHook
from perdure.intermediary.hooks import load_hook
from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer
from perdure.intermediary.outbound import OriginConnection, OriginWire
from perdure.intermediary.passwords import read_users
from perdure.intermediary.proxied import ProxyConnection, ProxyShared
from perdure.intermediary.proxy_settings import ProxySettings, split_proxy_settings
from perdure.intermediary.proxy_status import appended, next_hop_of, status_line
from perdure.intermediary.statistics import ProxyStatistics, statistics_of
from perdure.intermediary.targets import Targets
from perdure.intermediary.tunnel import FarWire
from perdure.intermediary.tunnels import Tunnels
from perdure.server.serve import ListeningServer
from perdure.wire.bind import BoundSocket
from perdure.wire.network import Network
from perdure.wire.tls import TlsContext, client_context

PROXY_AUTHENTICATION_REQUIRED: Final = 407


class DirectWire(OriginWire):
    """A connection to an origin that a proxy asks itself."""

    __slots__ = ()

    def forward(self, response: Response) -> Response:
        """As of `OriginWire`; but an origin that plays the proxy gets nobody's password for us."""
        if response.status == PROXY_AUTHENTICATION_REQUIRED:
            raise RemoteViolation("407 from an origin server (9110 §15.5.8)", Reason.BAD_SYNTAX, 502)
        return super().forward(response)


class ParentWire(OriginWire):
    """A connection to a parent proxy which our own credentials open."""

    __slots__ = ()

    def forward(self, response: Response) -> Response:
        """As of `OriginWire`; but that our credentials are refused is not the client's fault."""
        forwarded, rules = super().forward(response), self._rules
        if response.status != PROXY_AUTHENTICATION_REQUIRED:
            return forwarded
        self._remembered = None  # that is what the parent said, and not what the client is told
        lines = list(forwarded.fields)
        if rules.says != "errors":
            lines.pop()  # our member, which says more here
        lines = [line for line in lines if not line.lowered.startswith(b"proxy-authenticat")]
        hop = next_hop_of(self.entry.origin) if rules.says == "detailed" else ""
        error = PARENT_WANTS_OTHERS.error
        lines = appended(lines, status_line(rules.pseudonym, error, response.status, hop))
        facts = gather(HTTP_11, False, lines)
        own = Response(PARENT_WANTS_OTHERS.status, lines, facts=facts, end=response.end)
        own.block = block(lines)
        return own


class ProxySide(OriginSide):
    """What a proxy sets toward all origins, or its parent."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type[OriginWire], *arguments: Any) -> None:
        self._kind = kind
        super().__init__(*arguments)

    def _make_wire(self, origin: Origin) -> OriginWire:
        return self._kind(self.pool, self.rules, OriginConnection(self.limits, self.terms))


class Plan(NamedTuple):
    """What a proxy is told."""

    own: ProxySettings
    client: OriginSettings
    on_request: RequestHook | None
    on_response: ResponseHook | None
    secured: bool
    """Whether clients speak TLS with it."""


class Arranged(NamedTuple):
    """What follows from that: the connections to origins, and what each client's connection uses."""

    side: OriginSide
    rules: Forwarding
    targets: Targets
    connector: Connector
    credentials: Credentials | None


class Proxy(ListeningServer):
    """A forward proxy.

    Only public addresses are asked unless `allow` says otherwise; see `access`.

    Args:
        bind: "HOST:PORT" (port 0: any free one) or "unix:PATH", or several.
        on_request: called with every request after what belongs to one hop was removed and before
            anything of ours is added, and with every CONNECT; it may change it (a CONNECT: not), or
            return a Response to answer with. Or its name, "module:function".
        on_response: the same for final responses, which it may change; not of what is in tunnels.
        settings: every name of `ProxySettings`, of `ServerSettings`, and of `OriginSettings` with
            `origin_` in front, such as origin_read_timeout=10.0 (seconds).

    Raises:
        ValueError, TypeError: for settings that cannot be understood.
        BindFailed, AddressInUse: on entering.
    """

    def __init__(
        self,
        bind: str | Sequence[str] = "127.0.0.1:3128",
        *,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        network: Network | None = None,
        sockets: Sequence[BoundSocket] | None = None,
        on_request: RequestHook | str | None = None,
        on_response: ResponseHook | str | None = None,
        **settings: Any,
    ) -> None:
        own, _, server, client = split_proxy_settings(settings)
        super().__init__(server, bind, tls_cert=tls_cert, tls_key=tls_key, network=network, sockets=sockets)
        self.registry.role = Role.PROXY
        self.registry.terms.proxy_connection_honoured = own.proxy_connection == "honour"
        hooks = load_hook("on_request", on_request), load_hook("on_response", on_response)
        self._plan = Plan(own, client, *hooks, tls_cert is not None)
        tunnels = Tunnels(own.tunnel_timeout)
        self._mark = secrets.token_hex(3).encode()
        arranged = arrange(self._plan, self._network, tunnels, self._mark)
        self._side = arranged.side
        self._former: list[OriginSide] = []
        self._shared = ProxyShared(
            self.registry, arranged.rules, arranged.targets, tunnels, arranged.connector, arranged.credentials
        )

    def adopt(self, successor: ListeningServer) -> bool:
        """Go on with the rules and settings of another proxy, which was not started.

        Connections of clients stay, and so do tunnels. Those to origins do not, since where they lead may no
        longer be allowed: each ends with its exchange, or with its idle time.

        Returns:
            False, and nothing has changed, if TLS or PROXY protocol toward clients would begin or end.

        Raises:
            TlsSettings: a file of TLS cannot be used; nothing has changed.
        """
        if not isinstance(successor, Proxy):
            return False
        shared, plan = self._shared, successor._plan
        arranged = arrange(plan, self._network, shared.tunnels, self._mark)
        if not self._adopt_settings(successor):
            return False
        self._former = [
            former for former in (*self._former, self._side) if former.pool.statistics().connections
        ]
        self._plan, self._side = plan, arranged.side
        shared.tunnels.timeout = plan.own.tunnel_timeout
        if shared.credentials is not None:
            shared.credentials.retire()
        shared.rules, shared.destinations = arranged.rules, arranged.targets
        shared.connector, shared.credentials = arranged.connector, arranged.credentials
        return True

    def make_connection(self) -> ProxyConnection:
        """Make the wire of one accepted connection."""
        return ProxyConnection(self._shared)

    async def close(self) -> None:
        """Drain, then release everything, the connections to origins last."""
        await super().close()
        if self._shared.credentials is not None:
            self._shared.credentials.close()
        await self._shared.tunnels.aclose()
        for side in self._side, *self._former:
            await side.pool.aclose()

    def statistics(self) -> ProxyStatistics:
        """Count what there is and what was."""
        return statistics_of(self._shared, [self._side, *self._former])


def arrange(plan: Plan, network: Network, tunnels: Tunnels, mark: bytes) -> Arranged:
    """Make what a proxy works with; `mark` is its own in Via.

    Raises:
        TlsSettings: a file of TLS cannot be used.
    """
    own, client = plan.own, plan.client
    parent = None if own.parent is None else read_proxy(own.parent)
    rules = _rules(plan, parent, mark)
    access = Access(own.allow, own.deny)
    # The parent may be anywhere; where it goes is its own affair.
    outward = network.guarded(access.permits) if parent is None else network
    tls = _origin_tls(plan, parent)
    kind = DirectWire if parent is None else ParentWire if own.parent_credentials == "own" else OriginWire
    side = ProxySide(kind, client, rules, outward, tls)
    dialler = LoopDialler(client, outward, lambda origin: FarWire(tunnels, client.write_timeout), tls)
    targets = Targets(access, side, None if parent is None else _asked(parent, side))
    connector = Connector(access, own.ports(), rules, dialler, parent)
    return Arranged(side, rules, targets, connector, Credentials(read_users(own.auth)) if own.auth else None)


def _rules(plan: Plan, parent: NextProxy | None, mark: bytes) -> Forwarding:
    own = plan.own
    authorization = b"" if parent is None else parent.authorization
    return Forwarding(
        own.pseudonym.encode("ascii"),
        mark,
        "keep",
        own.forwarded,
        plan.on_request,
        plan.on_response,
        own.forwarded_fields,
        absolute=parent is not None,
        says=own.proxy_status,
        authorization=None if own.parent_credentials == "client" else authorization,
        upgrade=own.protocols(),
    )


def _asked(parent: NextProxy, side: OriginSide) -> OriginServer:
    """The parent as whom every request is sent to: one pool of connections, whatever they are for."""
    key = side.named(Origin(parent.scheme, parent.host, parent.port))
    return OriginServer(key, key.authority.encode("ascii"), side)


def _origin_tls(plan: Plan, parent: NextProxy | None) -> TlsContext | None:
    """The context for an https parent, and for https origins that are not asked for with CONNECT."""
    if not plan.secured and (parent is None or parent.scheme != "https"):
        return None
    own, client = plan.own, plan.client
    return client_context(
        verify=own.origin_verify,
        ca_file=own.origin_ca_file,
        certificate=client.tls_cert,
        key=client.tls_key,
    )
