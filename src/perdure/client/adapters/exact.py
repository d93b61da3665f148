"""A request that another library made, as one of ours: sent as it is, nothing added.

What concerns the connection (its options, how content is framed) stays ours to say, as always
(`core.writer`). RFC 9112 §3 (request line), §3.2 (Host).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from perdure.client.content import Content
from perdure.client.proxies import in_absolute_form, lines_for
from perdure.client.requests import Asked, lines_of
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import Timeout
from perdure.client.urls import DEFAULT_PORTS, Location, Origin
from perdure.core.events import Request

LONGEST_DIAL_SECONDS = 120.0
"""How long a dial may take where a request sets no limit: about what Linux itself allows (tcp(7))."""


class Timeouts(NamedTuple):
    """Seconds; math.inf for no limit, None for the settings' own."""

    connect: float = math.inf
    read: float = math.inf
    write: float = math.inf
    pool: float | None = None


def seconds(value: float | None) -> float:
    """A timeout of another library, in which None stands for no limit."""
    return math.inf if value is None else value


def exact_asked(
    settings: ClientSettings,
    method: str,
    url: str,
    origin: Origin,
    target: bytes,
    headers: Iterable[tuple[str | bytes, str | bytes]],
    content: Content,
    timeouts: Timeouts,
) -> Asked:
    """Make a request of another library's parts.

    Args:
        url: for messages alone.
        origin: with the proxy that the request goes through, if any: the target becomes absolute-form
            where that reads it, and what is for the proxy alone is said to it alone.
        headers: Host among them.

    Raises:
        LocalProtocolError: for a method, name or value that cannot be sent; nothing was.

    RFC 9112 §3, §3.2.2.
    """
    location = Location(origin, target, b"", url, "")
    lines = lines_of(headers)
    if origin.proxy is not None:
        location = in_absolute_form(location._replace(host=host_of(origin)))
        lines = lines_for(location, lines)
    request = Request(method.encode("latin-1"), location.target, lines, settings.version)
    return Asked(location, request, content, settings, Timeout(*timeouts))


def host_of(origin: Origin) -> bytes:
    """The value of Host for an origin: its port is left out where it is the scheme's own. RFC 9110 §7.2."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if origin.port == DEFAULT_PORTS[origin.scheme] else f":{origin.port}"
    return f"{host}{port}".encode("ascii")
