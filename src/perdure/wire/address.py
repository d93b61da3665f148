"""Addresses as people write them: "HOST:PORT", "[V6]:PORT", "unix:PATH".

An address of the operating system is kept as `(host, port)` or as the path of a unix socket.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

Address: TypeAlias = tuple[str, int] | str | None
"""(host, port); or the path of a unix socket, "" if it has none; or None where unknown."""


class Bind(NamedTuple):
    """Where to listen: a unix socket when `path` is not None, else host and port."""

    host: str
    port: int
    path: str | None


def parse_bind(bind: str) -> Bind:
    """Read "HOST:PORT", "[V6]:PORT", ":PORT" (every address) or "unix:PATH".

    Raises:
        ValueError: for anything else; the message says what was expected and what was got.
    """
    if bind.startswith("unix:") and len(bind) > 5:
        return Bind("", 0, bind[5:])
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"bind address: expected HOST:PORT or unix:PATH, got {bind!r}")
    if host.startswith("[") and host.endswith("]"):
        return Bind(host[1:-1], int(port), None)
    if ":" in host:
        raise ValueError(f"bind address: an IPv6 address needs brackets, as in [::1]:8000, got {bind!r}")
    return Bind(host, int(port), None)


def address_text(address: Address) -> str:
    """Write an address: "127.0.0.1:80", "[::1]:80", "unix:/run/a.sock"; "?" where unknown."""
    if address is None:
        return "?"
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain_address(name: object) -> Address:
    """Reduce what `getpeername` gives to an `Address`; IPv6 loses its flow label and scope id."""
    if isinstance(name, tuple) and len(name) >= 2:
        return (str(name[0]), int(name[1]))
    if isinstance(name, bytes):  # an abstract unix socket
        return name.decode("utf-8", "surrogateescape")
    if isinstance(name, str):
        return name
    return None


def numeric_family(host: str) -> int | None:
    """Return AF_INET or AF_INET6 where the host is a literal address, None where it is a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    return None


def url_of(scheme: str, address: Address) -> str:
    """Write an address as a URL: "http://[::1]:80"; for a unix socket "http+unix:PATH"."""
    if isinstance(address, str):
        return f"{scheme}+unix:{address}"
    return f"{scheme}://{address_text(address)}"


class Target(NamedTuple):
    """One address to try, as `socket.connect` takes it."""

    family: int
    address: Any  # (host, port) or (host, port, flow label, scope id)


def interleave(found: Iterable[tuple[Any, ...]]) -> list[Target]:
    """Order the answer of getaddrinfo so that the families alternate; doublets go."""
    targets = list(dict.fromkeys(Target(entry[0], entry[4]) for entry in found))
    families = list(dict.fromkeys(target.family for target in targets))
    columns = [[target for target in targets if target.family == family] for family in families]
    return [target for row in itertools.zip_longest(*columns) for target in row if target is not None]


def addresses_of(targets: Iterable[Target]) -> frozenset[Address]:
    """What a name resolved to, as the addresses that peers are known by."""
    return frozenset(plain_address(target.address) for target in targets)


def numeric_target(family: int, host: str, port: int) -> Target:
    """Return the target of a literal address without a scope."""
    return Target(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))
