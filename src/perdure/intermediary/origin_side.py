"""What the exchanges with all origins have in common for which the same is set.

Origins with the same settings share one pool and one set of rules; those with settings of their own have
connections of their own. So any setting toward origins can be set for some of them, and none has to be
looked up for a request.

RFC 9110 §3.7 (an intermediary has two sides).
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from perdure.client.log import log_closed
from perdure.client.loop_pool import LoopPool
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core import Limits, Reason, Terms
from perdure.core.pool import Entry, Private
from perdure.intermediary.forwarding import Forwarding
from perdure.intermediary.origin_settings import origin_settings_of
from perdure.intermediary.outbound import OriginConnection, OriginWire
from perdure.wire.network import Network
from perdure.wire.tls import TlsContext


class Ended:
    """Connections to one origin that have ended.

    Attributes:
        connections: how many; `requests`: how many they carried altogether.
    """

    __slots__ = ("__weakref__", "connections", "requests")

    def __init__(self) -> None:
        self.connections = self.requests = 0


class OriginSide:
    """See the module.

    Attributes:
        settings: toward these origins; limits and terms follow from them.
        own: those of them that a client does not have.
        rules: what happens to messages.
        pool: the connections.
    """

    __slots__ = ("_ended", "limits", "own", "pool", "rules", "settings", "terms")

    def __init__(
        self,
        settings: ClientSettings,
        rules: Forwarding,
        network: Network,
        tls: TlsContext | None = None,
    ) -> None:
        """Connect to nobody yet.

        Args:
            tls: the context for https origins; without one they are refused.
        """
        self.settings = settings
        self.own = origin_settings_of(settings)
        self.rules = rules
        self.limits: Limits = settings.limits()
        self.terms: Terms = settings.terms()
        self.pool: LoopPool[OriginWire] = LoopPool(settings, network, self._make_wire, tls)
        self.pool.ended = self._note_end
        self._ended: WeakValueDictionary[Origin, Ended] = WeakValueDictionary()

    def ended_of(self, origin: Origin) -> Ended:
        """What is counted of the connections to an origin, as long as somebody holds it."""
        return self._ended.setdefault(origin, Ended())

    def named(self, origin: Origin) -> Origin:
        """The origin, with the name that is set for TLS to ask for."""
        name = self.own.server_name
        return origin._replace(identity=name) if name and origin.scheme == "https" else origin

    def _note_end(self, entry: Entry[OriginWire], reason: Reason) -> None:
        log_closed(entry, reason)
        key = entry.origin
        origin = key.origin if isinstance(key, Private) else key
        ended = self._ended.get(origin)  # type: ignore[call-overload]  # its origin is hashable, and ours
        if ended is not None:
            ended.connections += 1
            ended.requests += entry.uses

    def _make_wire(self, origin: Origin) -> OriginWire:
        return OriginWire(self.pool, self.rules, OriginConnection(self.limits, self.terms))
