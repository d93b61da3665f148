"""What an operator may set of a forward proxy: who may use it, where it may go, and both of its sides.

Toward clients the names are those of `ServerSettings`; toward origins those of `OriginSettings`
with `origin_` in front; the rest is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from perdure.config import ConfigError, Part, Section, check_settings
from perdure.intermediary.access import parse_rule, read_ports
from perdure.intermediary.hooks import HookSettings
from perdure.intermediary.origin_settings import SUBJECTS as ORIGIN_SUBJECTS
from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.passwords import read_users
from perdure.intermediary.settings import ORIGIN_DEFAULTS, ORIGIN_PREFIX, TunnelSettings
from perdure.server.settings import SUBJECTS as SERVER_SUBJECTS
from perdure.server.settings import ServerSettings

DEFAULTS: Final[Mapping[str, Any]] = {**ORIGIN_DEFAULTS, "dial_rest": 0.0}
"""As a gateway's; but there is never another origin to ask meanwhile."""

_PARENT: Final = re.compile(
    r"(?:https?://)?(?:[^/@\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/@\[\]\s]+)(?::(?P<port>[0-9]{0,5}))?/?",
    re.IGNORECASE,
)
"""What `client.proxies.read_proxy` takes, as far as that can be said without it (--help needs no sockets)."""


@dataclass(slots=True, frozen=True, kw_only=True)
class ProxySettings(TunnelSettings):
    """Who may use a proxy, where it may go, and what it does to the messages that cross it.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    allow: tuple[str, ...] = field(default=(), metadata={"metavar": "HOST|.DOMAIN|NETWORK|*"})
    """Where it may go: a host, a .domain, a network or address, or * for everywhere; the narrowest of these
    and of deny decides. What is not public (loopback, link-local, private) needs it. May be repeated."""
    deny: tuple[str, ...] = field(default=(), metadata={"metavar": "HOST|.DOMAIN|NETWORK|*"})
    """Where it may not go, in the same terms. May be repeated."""
    connect_ports: tuple[str | int, ...] = field(default=("443",), metadata={"metavar": "PORTS"})
    """Ports that CONNECT may ask for: numbers, ranges as in 8000-8999, or any. May be repeated."""
    auth: tuple[str, ...] = field(default=(), repr=False, metadata={"metavar": "NAME:HASH"})
    """A user, and the hash that --hash-password makes of a password; whoever is none of them gets 407. May
    be repeated; without any, nobody is asked."""
    parent: str | None = field(default=None, repr=False, metadata={"metavar": "URL"})
    """The proxy that is asked instead of each origin: http[s]://[USER:PASSWORD@]HOST:PORT."""
    parent_credentials: Literal["own", "client"] = "own"
    """What the parent is told of who asks: what its URL says, or what the client said to us."""
    proxy_connection: Literal["ignore", "honour"] = "ignore"
    """Whether an HTTP/1.0 client that says Proxy-Connection: keep-alive is kept, as Netscape's proxies did;
    no other one ever is (9112 §9.3)."""
    pseudonym: str = "perdure"
    """Our name in Via and Proxy-Status."""
    forwarded: Literal["leave", "append", "replace"] = "leave"
    """Whether origins are told who the client is: say nothing, add it to what came, or say it alone."""
    forwarded_fields: Literal["x-forwarded", "forwarded", "both"] = "x-forwarded"
    """With which fields: X-Forwarded-For, -Proto, -Host, or Forwarded (RFC 7239)."""
    proxy_status: Literal["errors", "always", "detailed"] = "errors"
    """Proxy-Status: in answers of our own, in all responses, or there with origins and details (RFC 9209)."""
    origin_ca_file: str | None = None
    """PEM file of the authorities that an https parent is verified with; none: the system's."""
    origin_verify: bool = True
    """Whether the certificate of an https parent is verified."""

    def __post_init__(self) -> None:
        check_settings(self)
        self.protocols()
        _named("allow", lambda: [parse_rule(text) for text in self.allow])
        _named("deny", lambda: [parse_rule(text) for text in self.deny])
        _named("connect_ports", lambda: self.ports())
        _named("auth", lambda: read_users(self.auth))
        if self.parent is not None:
            _check_parent(self.parent)
        if self.parent is None and self.parent_credentials == "client":
            raise ValueError("parent_credentials: a parent expected to hand them to, got none")

    def ports(self) -> frozenset[int] | None:
        """The ports that CONNECT may ask for; None for any."""
        return read_ports([str(member) for member in self.connect_ports])


def _check_parent(url: str) -> None:
    """Raise ValueError where it is no URL of a proxy.

    Its port has to be said: proxies listen on 3128, 8080, 8888 and others, hardly ever on that of the scheme.
    """
    shown = url.rpartition("@")[2]
    match = _PARENT.fullmatch(url)
    if match is None:
        raise ValueError(f"parent: http://HOST:PORT or https://HOST:PORT expected, got {shown!r}")
    if not match["port"]:
        raise ValueError(f"parent: its port expected too, as in {match['host']}:3128, got {shown!r}")
    if not 0 < int(match["port"]) < 65536:
        raise ValueError(f"parent: a port from 1 to 65535 expected, got {shown!r}")


def _named(name: str, read: Any) -> None:
    """Read a setting; say its name where that fails."""
    try:
        read()
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


PROXY: Final = Section(
    "proxy",
    (
        Part(ProxySettings, title="Who may go where"),
        Part(HookSettings, title="Hooks"),
        Part(ServerSettings, title="Toward clients", subjects=SERVER_SUBJECTS),
        Part(OriginSettings, ORIGIN_PREFIX, "Toward origins", DEFAULTS, ORIGIN_SUBJECTS),
    ),
)


class ProxySides(NamedTuple):
    """The settings of one proxy."""

    proxy: ProxySettings
    hooks: HookSettings
    server: ServerSettings
    client: OriginSettings


def split_proxy_settings(given: Mapping[str, Any]) -> ProxySides:
    """Sort keyword arguments into the parts.

    Raises:
        TypeError: for a name that no part knows.
        ValueError: for values that are not what is expected, or contradict each other.
    """
    known = PROXY.settings()
    for name in given:
        if name not in known:
            raise TypeError(f"Proxy() got an unexpected keyword argument {name!r}")
    try:
        sides = ProxySides(*PROXY.build(given))
    except ConfigError as error:
        raise ValueError(str(error)) from None
    if sides.client.min_idle:
        raise ValueError("proxy: origin_min_idle: 0 expected, as no origin is known before it is asked for")
    if sides.client.server_name and sides.proxy.parent is None:
        raise ValueError("proxy: origin_server_name: a parent expected whose name it is, got none")
    return sides
