"""A request as a caller sees it: what a hook may change, what authentication signs, what was sent.

`requests` makes one of what a caller asked for, and freezes it for the exchange. RFC 9110 §6.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from perdure.client.content import NO_CONTENT, Content
from perdure.client.headers import RequestHeaders


class SaidCookies(NamedTuple):
    """What a client said of cookies with a request, so that the one a redirect leads to says its own."""

    value: str = ""
    """The Cookie field that it set, from its jar and `own`; "" where it set none."""
    own: Mapping[str, str] = MappingProxyType({})
    """Those that were given with the request."""
    away: bool = False
    """A redirect led to another origin than the caller named."""


NOTHING_SAID: Final = SaidCookies()


class Request:
    """One request.

    Attributes:
        method: such as "GET".
        url: without user information; its fragment stays here.
        headers: `RequestHeaders`; may be changed until it is sent. Host comes from the URL unless it
            is here; framing and what concerns the connection are perdure's own and never here,
            except, once it was sent, Content-Length or Transfer-Encoding.
        content: `Content`.
        said: what the client itself said of cookies; for it alone.
    """

    __slots__ = ("content", "headers", "method", "said", "server_hostname", "url")

    def __init__(
        self,
        method: str,
        url: str,
        headers: RequestHeaders,
        content: Content = NO_CONTENT,
        server_hostname: str = "",
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.content = content
        self.server_hostname = server_hostname
        self.said = NOTHING_SAID

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"
