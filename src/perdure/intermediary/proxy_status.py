"""The Proxy-Status field: which intermediary said something, of which failure, and what it saw.

    Proxy-Status: perdure; error=connection_terminated
    Proxy-Status: perdure; error=http_response_incomplete; received-status=200
    Proxy-Status: perdure; received-status=200; next-hop="127.0.0.1:9000"

The error type and the status that was received reveal nothing that the client could not see. Who the origin
is, and the details of a failure, are told only where an operator wants it.

RFC 9209 §2.1 (parameters), §2.3 (error types); RFC 8941 §4.1.6 (strings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from perdure.client.urls import Origin
from perdure.core import FieldLine, make_line
from perdure.core.pool import Private

Said: TypeAlias = Literal["errors", "always", "detailed"]
"""In answers of our own; in all responses; there with the next hop and the details of failures too."""


def status_line(
    pseudonym: bytes, error: str = "", received: int | None = None, next_hop: str = "", details: str = ""
) -> FieldLine:
    """The line of one response. What is empty, or None, is not said."""
    parts = [pseudonym]
    if error:
        parts.append(b"error=" + error.encode())
    if received is not None:
        parts.append(b"received-status=%d" % received)
    if next_hop:
        parts.append(b"next-hop=" + _string(next_hop))
    if details:
        parts.append(b"details=" + _string(details))
    return make_line(b"Proxy-Status", b"; ".join(parts))


def appended(lines: Sequence[FieldLine], own: FieldLine) -> list[FieldLine]:
    """The lines of a response with our member as the last of the one list of its Proxy-Status.

    RFC 9209 §2 (who is closest to the user comes last), RFC 9110 §5.3 (lines of one list).
    """
    said = [line.value for line in lines if line.lowered == own.lowered and line.value]
    others = [line for line in lines if line.lowered != own.lowered]
    return [*others, make_line(own.name, b", ".join([*said, own.value]))]


def _string(text: str) -> bytes:
    """A string of RFC 8941: printable ASCII in quotes; anything else is left out."""
    octets = "".join(letter for letter in text if " " <= letter <= "~").encode("ascii")
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def next_hop_of(key: object) -> str:
    """Who is asked over the connections with this key of the pool: "HOST:PORT", or a path."""
    origin = key.origin if isinstance(key, Private) else key
    assert isinstance(origin, Origin)
    if origin.unix_path:
        return origin.unix_path
    return str(origin.proxy) if origin.asks_proxy else origin.authority
