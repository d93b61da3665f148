"""What an origin is told of the client: X-Forwarded-For, -Proto, -Host, and Forwarded.

A client may say anything of itself, and a proxy in front of us may be right. So what came is replaced,
unless the sender is trusted; then ours is added behind it, as each hop's is (RFC 7239 §5). An origin
that counts from the right, by as many hops as it trusts, is never deceived.

RFC 7239 §4 (Forwarded), §5 (for, proto, host), §6 (nodes); X-Forwarded-* are its elders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from perdure.core import FieldLine, make_line
from perdure.core.hopbyhop import FORWARDED_PREFIX
from perdure.core.syntax import TOKEN

Spoken: TypeAlias = Literal["x-forwarded", "forwarded", "both"]
"""Which of the two an origin is told."""


class ClientHop:
    """What is the same for all requests of one client's connection.

    Attributes:
        address: the client's, such as b"192.0.2.1" or b"2001:db8::1"; b"" for a unix socket.
        scheme: b"http" or b"https".
        trusted: what it says of the hops before it is kept.
    """

    __slots__ = ("address", "element", "for_line", "proto_line", "scheme", "trusted")

    def __init__(self, address: bytes, scheme: bytes, trusted: bool = False) -> None:
        self.address = address
        self.scheme = scheme
        self.trusted = trusted
        self.for_line = make_line(b"X-Forwarded-For", address or b"unknown")
        self.proto_line = make_line(b"X-Forwarded-Proto", scheme)
        self.element = b"for=%b;proto=%b" % (_node(address), scheme)


def _node(address: bytes) -> bytes:
    """An address as RFC 7239 §6 writes it: brackets and quotes for IPv6, without a zone."""
    if b":" in address:
        return b'"[%b]"' % address.partition(b"%")[0]
    return address or b"unknown"


def is_said_of_hops(name: bytes) -> bool:
    """True of the fields in which hops speak of each other; the name is lower case."""
    return name == b"forwarded" or name.startswith(FORWARDED_PREFIX)


def say_client(lines: list[FieldLine], wanted: bytes, hop: ClientHop, spoken: Spoken) -> list[FieldLine]:
    """Add what we say of a client to the lines of its request.

    Args:
        lines: as they leave, with those of the hops before us where these are trusted.
        wanted: the authority that the client asked for; b"" where it named none.

    Returns:
        Other lines; those given are not changed.
    """
    said = list(lines)
    if spoken != "forwarded":
        said = _with_elders(said, wanted, hop)
    if spoken != "x-forwarded":
        element = b"%b;host=%b" % (hop.element, _quoted(wanted)) if wanted else hop.element
        earlier = [line.value for line in said if line[1] == b"forwarded"]
        said = [line for line in said if line[1] != b"forwarded"]
        said.append(make_line(b"Forwarded", b", ".join([*earlier, element])))
    return said


def _quoted(value: bytes) -> bytes:
    """A value of a Forwarded pair: as it is where it is a token, in quotes otherwise. RFC 7239 §4."""
    if TOKEN.fullmatch(value):
        return value
    return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _with_elders(lines: list[FieldLine], wanted: bytes, hop: ClientHop) -> list[FieldLine]:
    """Add X-Forwarded-For; say -Proto and -Host unless somebody before us did."""
    earlier = [line.value for line in lines if line[1] == b"x-forwarded-for"]
    if earlier:
        lines = [line for line in lines if line[1] != b"x-forwarded-for"]
        lines.append(make_line(b"X-Forwarded-For", b", ".join([*earlier, hop.for_line.value])))
    else:
        lines.append(hop.for_line)
    names: Sequence[bytes] = [line[1] for line in lines]
    if b"x-forwarded-proto" not in names:
        lines.append(hop.proto_line)
    if wanted and b"x-forwarded-host" not in names:
        lines.append(make_line(b"X-Forwarded-Host", wanted))
    return lines
