"""A request that another library made, as one of ours: sent as it is, nothing added.

What concerns the connection (its options, how content is framed) stays ours to say, as always
(`core.writer`). RFC 9112 §3 (request line), §3.2 (Host).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from perdure.client.content import Content
from perdure.client.requests import Asked, lines_of
from perdure.client.settings import ClientSettings
from perdure.client.timeouts import Timeout
from perdure.client.urls import Location, Origin
from perdure.core.events import Request

LONGEST_DIAL_SECONDS = 120.0
"""How long a dial may take where a request sets no limit: about what Linux itself allows (tcp(7))."""


class Timeouts(NamedTuple):
    """Seconds; math.inf for no limit."""

    connect: float = math.inf
    read: float = math.inf
    write: float = math.inf
    pool: float = math.inf


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
        headers: Host among them.

    Raises:
        LocalProtocolError: for a method, name or value that cannot be sent; nothing was.

    RFC 9112 §3.
    """
    location = Location(origin, target, b"", url, "")
    request = Request(method.encode("latin-1"), target, lines_of(headers), settings.version)
    return Asked(location, request, content, settings, Timeout(*timeouts))
