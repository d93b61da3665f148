"""What belongs to one client's connection: connections to origins that nobody else may use.

There are four causes for it. With `reuse = "never"` nothing is shared. With a PROXY header a connection
says whose it is before its first request. And NTLM authenticates a connection, not a request: once an
origin has begun with it, whoever used that connection would speak in its client's name. A client may begin
with it unasked, too.

    any of the four ──▶ a key of its own (`core.pool_families`) ──the client goes──▶ all of it is closed

RFC 4559 §5, RFC 9110 §11 (authentication is meant to be of a request).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Final

from perdure.client.loop_pool import LoopPool
from perdure.client.urls import Origin
from perdure.core import FieldLine
from perdure.core.pool import Entry, Private
from perdure.intermediary.origin_settings import OriginSettings, preamble_of
from perdure.intermediary.outbound import OriginWire
from perdure.wire.address import Address

if TYPE_CHECKING:
    from perdure.intermediary.origins import OriginServer

CREDENTIALS: Final = frozenset([b"authorization", b"proxy-authorization"])
_OF_CONNECTIONS: Final = re.compile(rb"(?:^|,)[ \t]*(?:ntlm|negotiate)(?:[ \t,]|$)", re.IGNORECASE)


def asks_for_connection(fields: Sequence[FieldLine]) -> bool:
    """True of a challenge that authenticates the connection: NTLM or Negotiate. RFC 4559 §4."""
    return any(
        line[1] in (b"www-authenticate", b"proxy-authenticate") and _OF_CONNECTIONS.search(line.value)
        for line in fields
    )


def speaks_for_connection(fields: Sequence[FieldLine]) -> bool:
    """True of credentials that authenticate the connection: NTLM or Negotiate. RFC 4559 §4."""
    return any([line[1] in CREDENTIALS and _OF_CONNECTIONS.match(line.value) for line in fields])


class Belongings:
    """Those of one client's connection.

    Args:
        owner: the number of the client's connection.
        source, destination: its two ends, for a PROXY header.

    Attributes:
        speaking: the client may have authenticated a connection: whatever it uses from then on is its own.
    """

    __slots__ = ("_destination", "_keys", "_owner", "_source", "speaking")

    def __init__(self, owner: Hashable, source: Address, destination: Address) -> None:
        self._owner = owner
        self._source = source
        self._destination = destination
        self.speaking = False
        self._keys: dict[tuple[LoopPool[OriginWire], Origin], Private] = {}

    def key_of(self, origin: OriginServer) -> Private | None:
        """The key of this client's connections to an origin; None where they are everybody's."""
        key = self._keys.get((origin.pool, origin.key))
        if key is None and origin.apart:
            key = self._keys[origin.pool, origin.key] = self._make_key(origin.key, origin.settings)
        return key

    def _make_key(self, origin: Origin, settings: OriginSettings) -> Private:
        return Private(origin, self._owner, preamble_of(settings, self._source, self._destination))

    def claim(self, origin: OriginServer, entry: Entry[OriginWire]) -> None:
        """Let the connection that is in use be this client's alone."""
        self._keys[origin.pool, origin.key] = origin.pool.claim(entry, self._owner)

    def give_up(self) -> None:
        """The client is gone."""
        for (pool, _), key in self._keys.items():
            pool.disown(key)
        self._keys.clear()
