"""Whom to ask: the origins behind an intermediary, and which one is next.

One question with one answer: `Destinations.choose` gives an origin for a request, or raises `Refused`.
`Balance` is the simplest: every origin serves everything; the one with the fewest exchanges under way
is next, and among equals they take turns.

RFC 9110 §3.7 (gateways), §4.2 (http and https URIs), §7.3 (routing).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from perdure.client.errors import InvalidURL
from perdure.client.urls import Origin, locate, presentable
from perdure.core import FieldLine, Request
from perdure.intermediary.failures import Row

if TYPE_CHECKING:
    from perdure.client.loop_pool import LoopPool
    from perdure.intermediary.client_hop import ClientHop
    from perdure.intermediary.forwarding import Forwarding
    from perdure.intermediary.origin_side import OriginSide
    from perdure.intermediary.outbound import OriginWire


class Refused(Exception):
    """No origin is asked: the client is answered in its place.

    Attributes:
        row: the answer, such as `failures.LOOP`.
        fields: further fields of it, such as Proxy-Authenticate; without Proxy-Status, which the row gives.
    """

    def __init__(self, row: Row, fields: Sequence[FieldLine] = ()) -> None:
        super().__init__(row.sentence)
        self.row = row
        self.fields = fields


class OriginServer:
    """One origin.

    Attributes:
        key: what connections are pooled by, and dialled to.
        authority: what Host says if it is replaced, such as b"127.0.0.1:9000".
        pool: the connections to it, and to others for which the same is set.
        rules: what happens to messages.
        outstanding: exchanges under way, those that wait for a connection included.
        old: True once it was seen to speak HTTP/1.0; it is sent no chunked content then (R46). As
            long as nothing was seen, an origin is taken to speak HTTP/1.1 because it is configured.
    """

    __slots__ = ("authority", "key", "old", "outstanding", "pool", "rules")

    def __init__(self, key: Origin, authority: bytes, side: OriginSide) -> None:
        self.key = key
        self.authority = authority
        self.pool: LoopPool[OriginWire] = side.pool
        self.rules: Forwarding = side.rules
        self.outstanding = 0
        self.old = False

    def __str__(self) -> str:
        return str(self.key)


class Destinations(Protocol):
    """What decides whom to ask; it must cost next to nothing, being asked for every request."""

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """The origin to ask first.

        Args:
            request: as received, before anything is stripped.
            hop: the client's connection.

        Raises:
            Refused: nobody is asked.

        RFC 9110 §7.3.
        """

    def another(self, origin: OriginServer, tried: Collection[OriginServer]) -> OriginServer | None:
        """Who may be asked instead of an origin that could not be connected to; None: nobody.

        Args:
            origin: the last that was tried; `tried` are all of them.
        """


def parse_origin(url: str) -> tuple[Origin, bytes]:
    """Read where requests go to: "http://HOST:PORT", "https://HOST" or "http+unix:PATH".

    Returns:
        What connections are pooled by, and the authority.

    Raises:
        InvalidURL: for anything else, and for a URL with a path: targets are never changed.

    RFC 9110 §4.2, §7.7.
    """
    scheme, plus, path = url.partition("+unix:")
    if plus and path and scheme in ("http", "https"):
        return Origin(scheme, "localhost", 80, "", path), b"localhost"
    location = locate(url)
    if location.target != b"/" or url.endswith(("?", "#")):
        raise InvalidURL(
            f"origin: expected a URL without path, as in http://HOST:PORT, got {presentable(url)!r}"
        )
    return location.origin, location.host


class Balance:
    """The `Destinations` of origins that all serve everything."""

    __slots__ = ("_turn", "origins")

    def __init__(self, origins: Sequence[OriginServer]) -> None:
        if not origins:
            raise ValueError("at least one origin is needed")
        self.origins = list(origins)
        self._turn = 0

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """The origin with the fewest exchanges under way."""
        origins = self.origins
        if len(origins) == 1:
            return origins[0]
        return min(self._in_turn(), key=_outstanding)

    def another(self, origin: OriginServer, tried: Collection[OriginServer]) -> OriginServer | None:
        """The same among those that were not tried; None if all were."""
        left = [origin for origin in self._in_turn() if origin not in tried]
        return min(left, key=_outstanding, default=None)

    def _in_turn(self) -> list[OriginServer]:
        self._turn = (self._turn + 1) % len(self.origins)
        return self.origins[self._turn :] + self.origins[: self._turn]


def _outstanding(origin: OriginServer) -> int:
    return origin.outstanding
