"""What an operator may set of a gateway: both of its sides, and what it does to messages.

Toward clients the names are those of `ServerSettings`; toward origins those of `OriginSettings`
with `origin_` in front; the rest is here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from perdure.config import NONE, Part, Seconds, Section, check_settings
from perdure.intermediary.balance import BalanceSettings
from perdure.intermediary.health import HealthSettings
from perdure.intermediary.hooks import HookSettings
from perdure.intermediary.origin_settings import SUBJECTS as ORIGIN_SUBJECTS
from perdure.intermediary.origin_settings import OriginSettings
from perdure.server.settings import SUBJECTS as SERVER_SUBJECTS
from perdure.server.settings import ServerSettings

ORIGIN_PREFIX: Final = "origin_"
PROTOCOL: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+(/[!#$%&'*+.^_`|~0-9a-z-]+)?")
"""RFC 9110 §7.8: protocol-name and version are tokens."""
ORIGIN_DEFAULTS: Final[Mapping[str, Any]] = {
    "max_per_origin": 64,
    "max_total": 1000,
    "unlearned_idle_timeout": 15.0,  # below every common server that says nothing (ALB 60, nginx 60, Go 90)
    "max_age": 3600.0,
    "max_requests": 1000,
}
"""Where a gateway differs from a client: many users share its connections (nginx)."""


def _protocol(name: str) -> bytes:
    """A protocol to switch to, in lower case. Raises ValueError where it cannot be passed through."""
    lowered = name.lower()
    if not PROTOCOL.fullmatch(lowered):
        raise ValueError(f"upgrade: the name of a protocol expected, such as websocket, got {name!r}")
    if lowered == "h2c" or lowered.startswith("http/"):
        raise ValueError(
            f"upgrade: {name} carries requests past every rule of the gateway; it cannot be passed"
        )
    return lowered.encode("ascii")


@dataclass(slots=True, frozen=True, kw_only=True)
class TunnelSettings:
    """What an operator may set of tunnels, whoever opens them."""

    upgrade: tuple[str, ...] = ("websocket",)
    """A protocol that clients and origins may switch to, by its name in Upgrade. none: no protocol."""
    tunnel_timeout: Seconds | None = 3600.0
    """How long nothing may pass through a tunnel, either way (Envoy; HAProxy's usual 1 h). none: any."""

    def protocols(self) -> list[bytes]:
        """What `upgrade` lists, in lower case. Raises ValueError where one of them cannot be passed on."""
        return [] if self.upgrade == (NONE,) else [_protocol(name) for name in self.upgrade]


@dataclass(slots=True, frozen=True, kw_only=True)
class GatewaySettings(TunnelSettings):
    """What a gateway does to the messages that cross it.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    pseudonym: str = "perdure"
    """Our name in Via and Proxy-Status."""
    host: Literal["keep", "origin"] = "keep"
    """Whether the origin sees the client's Host, or its own name."""
    forwarded: Literal["replace", "append", "leave"] = "replace"
    """What came of X-Forwarded-* and Forwarded: believe nobody, add to what came, or say nothing."""
    trusted: tuple[str, ...] = ()
    """A network or address whose word on the hops before it is added to, not replaced; unix for sockets."""
    forwarded_fields: Literal["x-forwarded", "forwarded", "both"] = "x-forwarded"
    """How origins are told of the client: X-Forwarded-For, -Proto, -Host, or Forwarded (RFC 7239)."""
    proxy_status: Literal["errors", "always", "detailed"] = "errors"
    """Proxy-Status: in answers of our own, in all responses, or there with origins and details (RFC 9209)."""
    origin_ca_file: str | None = None
    """PEM file of the authorities that https origins are verified with; none: the system's."""
    origin_verify: bool = True
    """Whether the certificates of https origins are verified."""

    def __post_init__(self) -> None:
        check_settings(self)
        self.protocols()
        if self.trusted and self.forwarded != "replace":
            raise ValueError('trusted: only what is replaced otherwise can be kept; forwarded = "replace"')


ROUTE_DEFAULTS: Final = (
    Part(HookSettings, title="Hooks"),
    Part(BalanceSettings, title="Several origins: who is asked"),
    Part(HealthSettings, title="Several origins: health"),
)
"""What holds for each route that says nothing else."""


GATEWAY: Final = Section(
    "gateway",
    (
        Part(GatewaySettings, title="Forwarding"),
        *ROUTE_DEFAULTS,
        Part(ServerSettings, title="Toward clients", subjects=SERVER_SUBJECTS),
        Part(OriginSettings, ORIGIN_PREFIX, "Toward origins", ORIGIN_DEFAULTS, ORIGIN_SUBJECTS),
    ),
)


class BothSides(NamedTuple):
    """The settings of one gateway."""

    gateway: GatewaySettings
    server: ServerSettings
    client: OriginSettings


def split_settings(given: Mapping[str, Any]) -> BothSides:
    """Sort keyword arguments into the three parts.

    Raises:
        TypeError: for a name that no part knows.
        ValueError: for values that are not what is expected, or contradict each other.
    """
    own_names = {field.name for field in dataclasses.fields(GatewaySettings)}
    own: dict[str, Any] = {}
    server: dict[str, Any] = {}
    client: dict[str, Any] = dict(ORIGIN_DEFAULTS)
    for name, value in given.items():
        if name in own_names:
            own[name] = value
        elif name.startswith(ORIGIN_PREFIX):
            client[name.removeprefix(ORIGIN_PREFIX)] = value
        else:
            server[name] = value
    return BothSides(GatewaySettings(**own), ServerSettings(**server), origin_settings(client))


def origin_settings(given: Mapping[str, Any]) -> OriginSettings:
    """Those toward origins; what is wrong with them is told by the names they were given."""
    try:
        return OriginSettings(**given)
    except ValueError as error:
        name = str(error).partition(":")[0]
        raise ValueError(f"{ORIGIN_PREFIX if name in given else ''}{error}") from None
