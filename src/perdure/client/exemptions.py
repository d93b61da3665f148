"""no_proxy: which origins are reached without the proxy.

    example.com, .example.com   the name itself and everything below it
    10.0.0.0/8, fd00::/8        addresses of a network (names are not looked up)
    127.0.0.1, ::1, [::1]       one address
    any of them:8080            on that port only
    *                           everything

The variable has no standard; these are the rules that curl, Go and Python's own agree on.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_ENTRY = re.compile(r"\[(?P<literal>[^\]]*)\](?::(?P<literal_port>\d+))?|(?P<host>[^:]+)(?::(?P<port>\d+))?")


class Exemption(NamedTuple):
    """One member of the list."""

    name: str
    """In lower case, without dots around it; "" of a network."""
    network: Network | None
    port: int | None
    """None: any."""


class Exemptions:
    """A list such as "localhost, .internal:8080, 10.0.0.0/8"; commas or white space part its members."""

    def __init__(self, text: str) -> None:
        """Read the list; what cannot be understood exempts nothing."""
        members = [member for member in re.split(r"[,\s]+", text.lower()) if member]
        self._everything = "*" in members
        self._exemptions = [_read(member) for member in members]

    def exempt(self, host: str, port: int) -> bool:
        """Say whether an origin is reached without the proxy.

        Args:
            host: in lower case; an IPv6 address without brackets.
        """
        if self._everything:
            return True
        address = _address(host)
        return any(_covers(exemption, host.rstrip("."), address, port) for exemption in self._exemptions)


def _read(member: str) -> Exemption:
    network = _network(member)  # an IPv6 address has colons that part no port
    if network is not None:
        return Exemption("", network, None)
    match = _ENTRY.fullmatch(member)
    if match is None:
        return Exemption(member, None, None)
    host = match["literal"] or match["host"] or ""
    port = match["literal_port"] or match["port"]
    name = "" if (network := _network(host)) else host.removeprefix("*").strip(".")
    return Exemption(name, network, int(port) if port else None)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _covers(exemption: Exemption, host: str, address: Address | None, port: int) -> bool:
    if exemption.port is not None and exemption.port != port:
        return False
    if exemption.network is not None:
        return address is not None and address in exemption.network
    if not exemption.name or address is not None:
        return False
    return host == exemption.name or host.endswith("." + exemption.name)
