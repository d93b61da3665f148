"""Whom to ask: the origins behind an intermediary, and which one is next.

One question with one answer: `Destinations.choose` gives an origin for a request, or raises `Refused`.
Origins that serve the same are a `balance.Group`; several of those are `routes.Routes`.

RFC 9110 §3.7 (gateways), §4.2 (http and https URIs), §7.3 (routing).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from perdure.client.errors import InvalidURL
from perdure.client.urls import Origin, locate, presentable
from perdure.core import FieldLine, Request
from perdure.intermediary.failures import Row
from perdure.intermediary.health import Health, HealthSettings
from perdure.intermediary.origin_settings import house_key

if TYPE_CHECKING:
    from perdure.client.loop_pool import LoopPool
    from perdure.intermediary.client_hop import ClientHop
    from perdure.intermediary.forwarding import Forwarding
    from perdure.intermediary.origin_side import OriginSide
    from perdure.intermediary.outbound import OriginWire


ORDINARY: Final = HealthSettings()


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
        settings: those toward it that a client does not have.
        apart: each client's connection has connections of its own to it (`belongings`).
        house_key: what the connections are pooled by that serve no client, such as those of checks.
        rules: what happens to messages.
        outstanding: exchanges under way, those that wait for a connection included.
        weight: how much it gets, next to others.
        share: the same at this moment; less while it comes back slowly.
        credit: what is due to it when they take turns.
        health: whether it is asked.
        ended: the connections to it that there were.
        max_body: octets of content that it is sent at most; None: any number.
        old: True once it was seen to speak HTTP/1.0; it is sent no chunked content then (R46). As
            long as nothing was seen, an origin is taken to speak HTTP/1.1 because it is configured.
    """

    __slots__ = (
        "apart", "authority", "credit", "ended", "health", "house_key", "key", "max_body", "old",
        "outstanding", "pool", "rules", "settings", "share", "weight",
    )  # fmt: skip

    def __init__(
        self,
        key: Origin,
        authority: bytes,
        side: OriginSide,
        weight: int = 1,
        health: HealthSettings = ORDINARY,
        max_body: int | None = None,
    ) -> None:
        self.key = key = side.named(key)
        self.settings = side.own
        self.apart = side.own.apart
        self.house_key = house_key(key, side.own)
        self.authority = authority
        self.pool: LoopPool[OriginWire] = side.pool
        self.rules: Forwarding = side.rules
        self.weight = weight
        self.share = float(weight)
        self.credit = 0.0
        self.health = Health(health)
        self.ended = side.ended_of(key)
        self.max_body = max_body
        self.outstanding = 0
        self.old = False

    def __str__(self) -> str:
        return f"parent proxy {self.key}" if self.rules.absolute else str(self.key)


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
