"""Whom a request to a forward proxy is for: the `Destinations` that are named by the requests themselves.

    http://HOST[:PORT]/...    that origin
    https://HOST[:PORT]/...   the same, if the client speaks TLS with us; otherwise only CONNECT keeps secret
                              from the path what the scheme promises (9110 §4.2.2)
    /..., *                   ourselves: we are no origin server

What is known of an origin is remembered for as many as `REMEMBERED`, of which the oldest goes first, so that
clients who invent names cost a bounded amount.

RFC 9112 §3.2 (forms of the target), RFC 9110 §7.3.2 (proxies).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from perdure.client.urls import DEFAULT_PORTS, Origin
from perdure.core import Request
from perdure.core.syntax import ABSOLUTE_FORM, AUTHORITY_FORM
from perdure.intermediary.access import Access, literal, plain_host
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.failures import Row
from perdure.intermediary.origin_side import OriginSide
from perdure.intermediary.origins import OriginServer, Refused

REMEMBERED: Final = 4096
LONGEST_REMEMBERED: Final = 300
"""Octets of a name with its scheme and port; the DNS has no host of more than 253, but a query may follow."""

NOT_AN_ORIGIN: Final = Row(
    400,
    "http_request_error",
    "this is a forward proxy: ask it for a whole URL, as in GET http://HOST/, or for a tunnel with CONNECT",
)
NEEDS_TUNNEL: Final = Row(
    421, "http_request_error", "https is asked for with CONNECT, or through a proxy that is spoken to in TLS"
)
PROHIBITED: Final = Row(403, "http_request_denied", "this proxy may not ask that host")
PROHIBITED_ADDRESS: Final = Row(403, "destination_ip_prohibited", "connecting to that address is prohibited")


class Target(NamedTuple):
    """An origin as a request names it."""

    scheme: str
    host: str
    """As `plain_host` gives it."""
    port: int


class Targets:
    """The origins of one forward proxy, as far as it knows them."""

    __slots__ = ("_access", "_known", "_parent", "_side")

    def __init__(self, access: Access, side: OriginSide, parent: OriginServer | None = None) -> None:
        """Know nobody yet.

        Args:
            access: who may be asked.
            side: what is set toward origins.
            parent: the proxy that is asked instead of each of them.
        """
        self._access = access
        self._side = side
        self._parent = parent
        self._known: dict[bytes, OriginServer] = {}

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """The origin that a request names, or the parent proxy; see `Destinations.choose`."""
        target = request.target
        if target[:1] == b"/" or target == b"*":
            raise Refused(NOT_AN_ORIGIN)
        end = target.find(b"/", 8)  # behind the authority, which is one octet long at least
        named = target if end < 0 else target[:end]
        return self._known.get(named) or self._learn(named, hop)

    def another(self, origin: OriginServer, tried: Collection[OriginServer]) -> OriginServer | None:
        """Nobody: the request is for the one it names."""
        return None

    def _learn(self, named: bytes, hop: ClientHop) -> OriginServer:
        target = parse_target(named)
        if target.scheme == "https" and hop.scheme != b"https":
            raise Refused(NEEDS_TUNNEL)
        refuse_prohibited(self._access, target.host)
        origin = self._parent
        if origin is None:
            key = Origin(target.scheme, target.host, target.port)
            origin = OriginServer(key, key.authority.encode("ascii"), self._side)
        if target.scheme == "https" or len(named) > LONGEST_REMEMBERED:
            return origin  # another client may not ask for https
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[named] = origin
        return origin


def refuse_prohibited(access: Access, host: str) -> None:
    """Refuse a host (as `plain_host` gives it) as far as its name or address tells. Raises Refused."""
    if not access.may_ask(host):
        raise Refused(PROHIBITED if literal(host) is None else PROHIBITED_ADDRESS)


def parse_target(target: bytes) -> Target:
    """Read the origin of a target in absolute-form.

    Raises:
        Refused: it is of another scheme, or its host or port are none.

    RFC 9112 §3.2.2, RFC 9110 §4.2.
    """
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise Refused(NOT_AN_ORIGIN)
    scheme = match[1].decode("ascii").lower()
    if scheme not in DEFAULT_PORTS:
        raise Refused(Row(501, "http_request_error", f"this proxy asks http origins, not those of {scheme}"))
    host, port = match[2], b""
    if host.rfind(b":") > host.rfind(b"]"):
        host, _, port = host.rpartition(b":")
    return Target(scheme, _host(host), _port(port or b"%d" % DEFAULT_PORTS[scheme]))


def parse_authority(authority: bytes) -> Target:
    """Read the target of a CONNECT. Raises Refused as `parse_target`. RFC 9112 §3.2.3."""
    match = AUTHORITY_FORM.fullmatch(authority)
    if match is None:
        raise Refused(NOT_AN_ORIGIN)
    return Target("http", _host(match[1]), _port(match[2]))


def _host(host: bytes) -> str:
    try:
        return plain_host(host.decode("ascii"))
    except ValueError as error:
        raise Refused(Row(400, "http_request_error", str(error))) from None


def _port(port: bytes) -> int:
    number = int(port) if len(port) < 6 else 0
    if not 0 < number < 65536:
        raise Refused(Row(400, "http_request_error", "a port from 1 to 65535 is expected (9110 §4.2)"))
    return number
