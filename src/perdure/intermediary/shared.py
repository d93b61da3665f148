"""What all connections of one gateway share."""

from __future__ import annotations

from perdure.client.loop_pool import LoopPool
from perdure.client.settings import ClientSettings
from perdure.core import Limits, Terms
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.origins import Destinations
from perdure.intermediary.outbound import OriginWire
from perdure.server.registry import Registry
from perdure.wire.seldom import Seldom


class Shared:
    """The parts of a gateway that its connections use.

    Attributes:
        registry: the clients' connections.
        rules: what happens to messages.
        destinations: whom to ask.
        pool: the connections to them.
        settings, limits, terms: toward origins.
        failed_dials: how often each origin could not be reached, for the log.
        retried: requests that were sent again after a stale reuse.
    """

    __slots__ = (
        "destinations",
        "failed_dials",
        "limits",
        "pool",
        "registry",
        "retried",
        "rules",
        "settings",
        "terms",
    )

    def __init__(
        self,
        registry: Registry,
        rules: Forwarding,
        destinations: Destinations,
        settings: ClientSettings,
    ) -> None:
        self.registry = registry
        self.rules = rules
        self.destinations = destinations
        self.settings = settings
        self.limits: Limits = settings.limits()
        self.terms: Terms = settings.terms()
        self.failed_dials = Seldom()
        self.retried = 0
        self.pool: LoopPool[OriginWire]
