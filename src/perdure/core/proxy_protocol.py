"""The PROXY protocol: who the client is, said by a load balancer before the first HTTP octet.

Version 1 is one line of text, version 2 a binary block; both come exactly once, at the start of a
connection. A sender must be trusted: whoever may send this may claim any address, so a server
reads it only from listed addresses, and there it is required.

Source: the PROXY protocol specification of HAProxy, 2020/03/05, §2.1 (version 1), §2.2 (version 2).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final, NamedTuple

from perdure.core.errors import RemoteViolation
from perdure.core.reason import Reason

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_LINE: Final = 107
"""Octets of a version 1 line with its CRLF, at most (§2.1)."""
LONGEST_BLOCK: Final = 4096
"""Octets of a version 2 block that we read; the longest sensible one has some TLVs."""

_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [\x20-\x7e]*)?|(TCP4|TCP6) (\S+) (\S+) ([0-9]{1,5}) ([0-9]{1,5}))"
)
_FAMILIES: Final = {0x11: (4, "!4s4sHH"), 0x21: (16, "!16s16sHH")}


class ProxyHeader(NamedTuple):
    """What was said; both addresses are None for a health check of the sender's own."""

    source: tuple[str, int] | None
    destination: tuple[str, int] | None
    octets: int
    """How many octets of the connection it took."""


def parse(octets: bytes) -> ProxyHeader | None:
    """Read the header at the start of a connection.

    Args:
        octets: everything received so far.

    Returns:
        The header, or None while it is incomplete.

    Raises:
        RemoteViolation: there is no header, or it is malformed; close without an answer.

    PROXY protocol §2; RFC 9112 §2.2 does not apply yet.
    """
    if octets[:1] == b"P":
        return _parse_line(octets)
    if octets[: len(SIGNATURE)] == SIGNATURE[: len(octets)]:
        return _parse_block(octets) if len(octets) >= 16 else None
    raise _malformed(f"starts with {octets[:12]!r}")


def _malformed(what: str) -> RemoteViolation:
    return RemoteViolation(f"a PROXY protocol header was expected; it {what}", Reason.BAD_SYNTAX)


def _parse_line(octets: bytes) -> ProxyHeader | None:
    end = octets.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(octets) >= LONGEST_LINE or not b"PROXY ".startswith(octets[:6]):
            raise _malformed(f"starts with {octets[:12]!r}")
        return None
    match = _LINE.fullmatch(octets[:end])
    if match is None:
        raise _malformed(f"is {octets[:end]!r}")
    family, source, destination, source_port, destination_port = match.groups()
    if family is None:
        return ProxyHeader(None, None, end + 2)
    version = 4 if family == b"TCP4" else 6
    return ProxyHeader(
        _address(source, source_port, version), _address(destination, destination_port, version), end + 2
    )


def _address(host: bytes, port: bytes, version: int) -> tuple[str, int]:
    try:
        address = ipaddress.ip_address(host.decode("ascii"))
    except ValueError:
        raise _malformed(f"names the address {host!r}") from None
    if address.version != version or int(port) > 65535:
        raise _malformed(f"names {host!r}, port {port!r}")
    return str(address), int(port)


def _parse_block(octets: bytes) -> ProxyHeader | None:
    kind, family, length = struct.unpack_from("!BBH", octets, 12)
    if kind not in (0x20, 0x21) or length > LONGEST_BLOCK:
        raise _malformed(f"has version and command {kind:#04x} and {length} octets")
    end = 16 + length
    if len(octets) < end:
        return None
    layout = _FAMILIES.get(family)
    if kind == 0x20 or layout is None:  # a connection of the sender's own, or no TCP
        return ProxyHeader(None, None, end)
    size, form = layout
    if length < 2 * size + 4:
        raise _malformed(f"has {length} octets for two addresses")
    source, destination, source_port, destination_port = struct.unpack_from(form, octets, 16)
    return ProxyHeader(
        (str(ipaddress.ip_address(source)), source_port),
        (str(ipaddress.ip_address(destination)), destination_port),
        end,
    )


def format_header(source: tuple[str, int] | None, destination: tuple[str, int] | None, version: int) -> bytes:
    """Write the header for a connection of ours.

    Args:
        source, destination: (host, port) of the client's connection; None where unknown.
        version: 1 or 2.

    PROXY protocol §2.1, §2.2; before RFC 9112 §2.1 begins.
    """
    if source is None or destination is None:
        return b"PROXY UNKNOWN\r\n" if version == 1 else SIGNATURE + b"\x20\x00\x00\x00"
    ours, theirs = ipaddress.ip_address(source[0]), ipaddress.ip_address(destination[0])
    if ours.version != theirs.version:
        return format_header(None, None, version)
    if version == 1:
        family = f"TCP{ours.version}"
        return f"PROXY {family} {ours} {theirs} {source[1]} {destination[1]}\r\n".encode()
    packed = ours.packed + theirs.packed + struct.pack("!HH", source[1], destination[1])
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x11 if ours.version == 4 else 0x21, len(packed)) + packed
