"""Which origins a request goes to: routes by host and path.

A route names a host and a path; a request takes the most specific route that matches:

    host   example.org  before  *.example.org  (any depth; the longer the better)  before  any
    path   whole segments from the left, the longest first: /api matches /api, /api/x and /api?x, not /apix;
           a path that ends with a slash matches what is below it alone

The host is compared without port, case and final dot. The path is compared **octet for octet as it was
received**, and goes to the origin as it was received: `//api` and `/%61pi` are not below `/api`. A path with
dot segments (`.` or `..`, percent-encoded or followed by parameters, too) would be one path here and another
one at an origin that resolves them. User agents resolve them before they send, so where routes have paths,
such a request is answered 400. Routes share out work; they are no fence around what an origin would serve to
anybody who spells it in another way.

A host that no route names is answered 421, a path that none of its routes names 404.

RFC 9110 §4.2.3 (comparing), §7.4 (misdirected requests), RFC 3986 §5.2.4, §6.2.2 (dot segments).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from perdure.core import Request
from perdure.core.heads import authority, origin_form
from perdure.core.syntax import HOST
from perdure.intermediary.balance import Group
from perdure.intermediary.client_hop import ClientHop
from perdure.intermediary.failures import DOT_SEGMENTS, MISDIRECTED, NO_ROUTE
from perdure.intermediary.origins import OriginServer, Refused

ANY_HOST: Final = ""
ROOT: Final = b"/"
BORDERS: Final = (b"", b"/")
"""What may follow the last segment of a route's path."""
DOT_SEGMENT: Final = re.compile(rb"(?:/|\\|%2[fF]|%5[cC])(?:\.|%2[eE]){1,2}(?:[/\\;]|%2[fF]|%5[cC]|%3[bB]|$)")
"""A segment that some origins resolve: RFC 3986's, with what else some take for a separator."""
REMEMBERED_HOSTS: Final = 1024
PATH: Final = re.compile(r"/[!$&-;=@-Z_a-z~%]*")


class Route(NamedTuple):
    """What goes to one group of origins."""

    host: str
    """As of `read_host`."""
    path: bytes
    """As of `read_path`."""
    group: Group

    def __str__(self) -> str:
        return f"{self.host or '*'}{self.path.decode()}"


class RoutesOfHost:
    """The routes that one host can take, the most specific first.

    The path of a route is whole segments, so only those with the first segment of a request's can match: of a
    hundred routes two or three are looked at (bench/bench_choice.py: 15 → 1.7 µs).

    Attributes:
        by_segment: by the first segment, such as b"api"; those for every path are in each of them.
        others: those for every path, for the rest.
        none: how a request is refused that takes none of them.
    """

    __slots__ = ("by_segment", "none", "others")

    def __init__(self, routes: Sequence[Route]) -> None:
        self.none = NO_ROUTE if routes else MISDIRECTED
        self.others: Sequence[Route] = [route for route in routes if route.path is ROOT]
        self.by_segment: dict[bytes, Sequence[Route]] = {}
        for segment in {first_segment(route.path) for route in routes if route.path is not ROOT}:
            self.by_segment[segment] = [
                route for route in routes if route.path is ROOT or first_segment(route.path) == segment
            ]


class Routes:
    """The `Destinations` of a gateway with routes.

    Attributes:
        routes: the most specific first.
    """

    __slots__ = ("_by_path", "_found", "_groups", "routes")

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = sorted(routes, key=_specificity)
        self._by_path = any(route.path != ROOT for route in routes)
        self._groups = {origin: route.group for route in routes for origin in route.group.origins}
        self._found: dict[bytes, RoutesOfHost] = {}

    def choose(self, request: Request, hop: ClientHop) -> OriginServer:
        """As `Destinations.choose`. RFC 9110 §7.4."""
        target = request.target
        if target[:1] == ROOT:
            hosts = request.facts.hosts
            named, path = hosts[0] if hosts else b"", target
        else:
            named, path = authority(target, request.facts), origin_form(target)
        found = self._found.get(named)
        if found is None:
            found = self._find(named)
        if not self._by_path:
            for route in found.others:
                return route.group.choose(request, hop)
            raise Refused(found.none)
        # `in` costs 0.3 µs on octets, because it tries a number first; `partition` 0.07 (CPython 3.11).
        path, _, _ = path.partition(b"?")
        dotted = path.partition(b"/.")[1] or path.partition(b"%")[1] or path.partition(b"\\")[1]
        if dotted and DOT_SEGMENT.search(path):
            raise Refused(DOT_SEGMENTS)
        segment = first_segment(path)
        for route in found.by_segment.get(segment, found.others):
            prefix = route.path
            if prefix is ROOT or _is_below(path, prefix):
                return route.group.choose(request, hop)
        raise Refused(found.none)

    def another(self, origin: OriginServer, tried: Collection[OriginServer]) -> OriginServer | None:
        """As `Destinations.another`, of the same route."""
        group = self._groups.get(origin)  # none, if everything was arranged anew since it was chosen
        return group.another(origin, tried) if group is not None else None

    def _find(self, named: bytes) -> RoutesOfHost:
        """The routes for a host as a request names it."""
        names = set(_names(plain_host(named)))
        found = RoutesOfHost([route for route in self.routes if route.host in names])
        if len(self._found) >= REMEMBERED_HOSTS:  # whoever invents hosts shall not fill the memory
            self._found.clear()
        self._found[named] = found
        return found


def has_dot_segments(path: bytes) -> bool:
    """Whether some origins would resolve a path without query to another one. RFC 3986 §5.2.4."""
    return DOT_SEGMENT.search(path) is not None


def first_segment(path: bytes) -> bytes:
    """What of a path without query comes before its second slash: b"api" of b"/api/v1"."""
    return path.split(b"/", 2)[1] if path[:1] == b"/" else path


def _is_below(path: bytes, prefix: bytes) -> bool:
    end = len(prefix)
    return path.startswith(prefix) and (prefix[-1:] == b"/" or path[end : end + 1] in BORDERS)


def _specificity(route: Route) -> tuple[int, int, int]:
    wildcard = route.host[:1] == "*"
    kind = 2 if route.host == ANY_HOST else int(wildcard)
    return kind, -len(route.host) if wildcard else 0, -len(route.path)


def plain_host(named: bytes) -> str:
    """A host as it is compared: without port, case and final dot. RFC 9110 §4.2.3."""
    text = named.decode("latin-1").lower()
    if text.startswith("["):
        return text[: text.find("]") + 1]
    return text.partition(":")[0].removesuffix(".")


def _names(host: str) -> Iterator[str]:
    """What a route may call a host."""
    yield ANY_HOST
    if not host:
        return
    yield host
    rest = host
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"


def read_host(text: str) -> str:
    """Read the host of a route: "example.org", "*.example.org", or "*" for any.

    Raises:
        ValueError: it is none of these; the message begins with "host".
    """
    if text == "*":
        return ANY_HOST
    name = text.removeprefix("*.").removesuffix(".").lower()
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not name or "*" in name or not HOST.fullmatch(name.encode()) or plain_host(name.encode()) != name:
        raise ValueError(f'host: a name without port, "*.NAME" or "*" expected, got {text!r}')
    return f"*.{name}" if text.startswith("*.") else name


def read_path(text: str) -> bytes:
    """Read the path of a route: "/", "/api", "/static/".

    Raises:
        ValueError: it is no path as it would be sent; the message begins with "path".
    """
    if not PATH.fullmatch(text) or has_dot_segments(text.encode()):
        raise ValueError(f'path: one expected as it is sent, as in "/api", got {text!r}')
    return ROOT if text == "/" else text.encode()
