"""Connecting elsewhere than a URL says: `--unix-socket`, `--resolve` and `--connect-to` of `perdure get`.

What is asked for, what Host says and which name TLS verifies stay those of the URL (curl).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from perdure.commands.outcome import CouldNot
from perdure.wire.blocking import BlockingNetwork, BlockingWire
from perdure.wire.clock import now
from perdure.wire.loop import LoopWire
from perdure.wire.network import LoopNetwork
from perdure.wire.tls import TlsContext

W = TypeVar("W", bound=LoopWire)
Place = tuple[str, int]


class Rule(NamedTuple):
    """Who asks for the first place gets to the second; None stands for any, or for the same."""

    host: str | None
    port: int | None
    other_host: str | None
    other_port: int | None

    def matches(self, place: Place) -> bool:
        """True if the rule is about this host and port."""
        return self.host in (None, place[0]) and self.port in (None, place[1])


class Destinations:
    """Where connections go instead."""

    def __init__(self, resolve: list[str], connect_to: list[str], unix_socket: str | None) -> None:
        """Understand what was asked for.

        Raises:
            CouldNot: it cannot be understood; the message says what was expected.
        """
        self.unix_socket = unix_socket
        self._rules = [_connect_to_rule(text) for text in connect_to]
        self._addresses = dict(map(_resolve_rule, resolve))

    def find(self, host: str, port: int) -> Place:
        """Where to connect for this host and port: --connect-to first, then --resolve."""
        for rule in self._rules:
            if rule.matches((host, port)):
                host, port = rule.other_host or host, rule.other_port or port
                break
        return self._addresses.get((host, port), host), port


class DirectedNetwork(LoopNetwork):
    """Dials on an event loop where `Destinations` says.

    Attributes:
        connect_seconds: how long each connection took to come about.
    """

    def __init__(self, destinations: Destinations) -> None:
        self.connect_seconds: list[float] = []
        self._destinations = destinations

    async def dial(
        self,
        factory: Callable[[], W],
        host: str,
        port: int,
        *,
        timeout: float,
        tls: TlsContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> W:
        """Connect; as `LoopNetwork.dial`."""
        began = now()
        tls_name: dict[str, Any] = {"tls": tls, "server_hostname": _name(tls, server_hostname, host)}
        path = self._destinations.unix_socket
        if path is not None:
            wire = await self.dial_unix(factory, path, timeout=timeout, **tls_name)
        else:
            host, port = self._destinations.find(host, port)
            wire = await super().dial(
                factory, host, port, timeout=timeout, happy_eyeballs=happy_eyeballs, **tls_name
            )
        self.connect_seconds.append(now() - began)
        return wire


class DirectedBlockingNetwork(BlockingNetwork):
    """Dials on blocking sockets where `Destinations` says.

    Attributes:
        connect_seconds: as of `DirectedNetwork`.
    """

    def __init__(self, destinations: Destinations) -> None:
        self.connect_seconds: list[float] = []
        self._destinations = destinations

    def dial(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        tls: TlsContext | None = None,
        server_hostname: str | None = None,
        happy_eyeballs: float = 0.25,
    ) -> BlockingWire:
        """Connect; as `BlockingNetwork.dial`."""
        began = now()
        tls_name: dict[str, Any] = {"tls": tls, "server_hostname": _name(tls, server_hostname, host)}
        path = self._destinations.unix_socket
        if path is not None:
            wire = self.dial_unix(path, timeout=timeout, **tls_name)
        else:
            host, port = self._destinations.find(host, port)
            wire = super().dial(host, port, timeout=timeout, happy_eyeballs=happy_eyeballs, **tls_name)
        self.connect_seconds.append(now() - began)
        return wire


def _name(tls: TlsContext | None, server_hostname: str | None, host: str) -> str | None:
    """The name that TLS asks for and verifies: that of the URL, wherever we connect to."""
    return None if tls is None else server_hostname or host


def _resolve_rule(text: str) -> tuple[Place, str]:
    """Read HOST:PORT:ADDRESS; an IPv6 address may stand in brackets."""
    host, _, rest = text.partition(":")
    port, _, address = rest.partition(":")
    if not (host and port.isdecimal() and address):
        raise CouldNot(f"--resolve: HOST:PORT:ADDRESS expected, got {text!r}")
    return (host.lower(), int(port)), address.strip("[]")


def _connect_to_rule(text: str) -> Rule:
    """Read HOST1:PORT1:HOST2:PORT2, any of which may be empty; IPv6 addresses stand in brackets."""
    parts = _parts(text)
    ports_good = len(parts) == 4 and all(port.isdecimal() or not port for port in parts[1::2])
    if not ports_good:
        raise CouldNot(f"--connect-to: HOST:PORT:HOST:PORT expected, got {text!r}")
    host, port, other_host, other_port = parts
    return Rule(host.lower() or None, int(port) if port else None, other_host or None, int(other_port or 0))


def _parts(text: str) -> list[str]:
    """Split at colons outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        if letter in "[]":
            depth += 1 if letter == "[" else -1
        elif letter == ":" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
