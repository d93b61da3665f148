"""What all connections of one gateway share."""

from __future__ import annotations

from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.origins import Destinations
from perdure.intermediary.tunnels import Tunnels
from perdure.server.registry import Registry
from perdure.wire.seldom import Seldom


class Shared:
    """The parts of a gateway that its connections use.

    Attributes:
        registry: the clients' connections.
        rules: what happens to messages, where nothing else is set for an origin; our name and mark.
        destinations: whom to ask.
        tunnels: the connections that no longer speak HTTP.
        failed_dials: how often each origin could not be reached, for the log.
        retried: requests that were sent again after a stale reuse.
    """

    __slots__ = (
        "destinations",
        "failed_dials",
        "registry",
        "retried",
        "rules",
        "tunnels",
    )

    def __init__(
        self,
        registry: Registry,
        rules: Forwarding,
        destinations: Destinations,
        tunnels: Tunnels,
    ) -> None:
        self.registry = registry
        self.rules = rules
        self.destinations = destinations
        self.tunnels = tunnels
        self.failed_dials = Seldom()
        self.retried = 0
