"""The origins behind a gateway, and which one is asked next.

The one with the fewest exchanges under way; among equals they take turns. Health checks and routes
by host or path are not here: every origin is taken to serve everything.

RFC 9110 §3.7 (gateways), §4.2 (http and https URIs).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from perdure.client.errors import InvalidURL
from perdure.client.urls import Origin, locate, presentable


class OriginServer:
    """One origin.

    Attributes:
        key: what connections are pooled by, and dialled to.
        authority: what Host says if it is replaced, such as b"127.0.0.1:9000".
        outstanding: exchanges under way, those that wait for a connection included.
        old: True once it was seen to speak HTTP/1.0; it is sent no chunked content then (R46). As
            long as nothing was seen, an origin is taken to speak HTTP/1.1 because it is configured.
    """

    __slots__ = ("authority", "key", "old", "outstanding")

    def __init__(self, key: Origin, authority: bytes) -> None:
        self.key = key
        self.authority = authority
        self.outstanding = 0
        self.old = False

    def __str__(self) -> str:
        return str(self.key)


def parse_origin(url: str) -> OriginServer:
    """Read where requests go to: "http://HOST:PORT", "https://HOST" or "http+unix:PATH".

    Raises:
        InvalidURL: for anything else, and for a URL with a path: targets are never changed.

    RFC 9110 §4.2, §7.7.
    """
    scheme, plus, path = url.partition("+unix:")
    if plus and path and scheme in ("http", "https"):
        return OriginServer(Origin(scheme, "localhost", 80, "", path), b"localhost")
    location = locate(url)
    if location.target != b"/" or url.endswith(("?", "#")):
        raise InvalidURL(
            f"origin: expected a URL without path, as in http://HOST:PORT, got {presentable(url)!r}"
        )
    return OriginServer(location.origin, location.host)


class Balance:
    """Chooses among the origins."""

    __slots__ = ("_turn", "origins")

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls:
            raise ValueError("a gateway needs at least one origin")
        self.origins = [parse_origin(url) for url in urls]
        self._turn = 0

    def next(self) -> OriginServer:
        """The origin with the fewest exchanges under way."""
        origins = self.origins
        if len(origins) == 1:
            return origins[0]
        return min(self._in_turn(), key=_outstanding)

    def another(self, tried: Collection[OriginServer]) -> OriginServer | None:
        """The same among those that were not tried; None if all were."""
        left = [origin for origin in self._in_turn() if origin not in tried]
        return min(left, key=_outstanding, default=None)

    def _in_turn(self) -> list[OriginServer]:
        self._turn = (self._turn + 1) % len(self.origins)
        return self.origins[self._turn :] + self.origins[: self._turn]


def _outstanding(origin: OriginServer) -> int:
    return origin.outstanding
