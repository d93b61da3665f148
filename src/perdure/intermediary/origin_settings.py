"""What an operator may set toward origins, beyond what a client has: an intermediary has clients of its own.

RFC 9110 §3.7 (an intermediary has two sides).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from perdure.client.settings import SUBJECTS as CLIENT_SUBJECTS
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.config import Number, Seconds
from perdure.core.pool import PoolSettings, Private
from perdure.core.proxy_protocol import format_header

if TYPE_CHECKING:
    from perdure.wire.address import Address


@dataclass(slots=True, frozen=True, kw_only=True)
class OriginSettings(ClientSettings):
    """Settings toward origins, of a gateway.

    Raises:
        ValueError: as `ClientSettings`.
    """

    reuse: Literal["never", "safe", "aggressive", "always"] = "aggressive"
    """What a request that cannot be sent again may use: its client's own connections alone; no shared one
    as the first of its client; one that is proven to live so long; any (HAProxy's http-reuse)."""
    on_stale: Literal["error", "close"] = "error"
    """Such a request was lost on a connection that had gone: answer 502, or close its client's connection
    without a word, if that was used before, so that the client may ask again (HAProxy)."""
    max_waiting: Number | None = None
    """Requests to one origin that wait for a connection; more are answered 503 at once. none: any."""
    min_idle: Number = 0
    """Connections to each origin that are kept ready, dialled in advance."""
    proxy_protocol: Literal["none", "v1", "v2"] = "none"
    """Whether connections begin with a PROXY header; each then serves one client's connection alone."""
    tls_cert: str | None = None
    """PEM file of the certificate to show to https origins that ask for one."""
    tls_key: str | None = None
    """PEM file of its key. none: in the same file."""
    server_name: str = ""
    """The name that TLS asks https origins for, and verifies, instead of their host."""

    # Not to be set: only a client's own exchange watches for relays that understood nothing.
    relay_timeout: Seconds = field(default=ClientSettings().relay_timeout, init=False)

    def __post_init__(self) -> None:
        # Named, because `slots=True` makes another class, which `super()` does not know.
        ClientSettings.__post_init__(self)
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key: without tls_cert there is nothing that it is the key of")
        if self.min_idle and self.apart:
            raise ValueError("min_idle: nothing can be kept ready where each connection is one client's own")
        if self.min_idle > self.max_per_origin:
            raise ValueError(f"min_idle: more than max_per_origin, which is {self.max_per_origin}")

    @property
    def apart(self) -> bool:
        """True where each client's connection has connections to origins of its own."""
        return self.reuse == "never" or self.proxy_protocol != "none"

    def pool(self, age_phase: float = 0.0) -> PoolSettings:
        """What concerns the pool, as its ledger wants it."""
        settings = ClientSettings.pool(self, age_phase)
        return dataclasses.replace(settings, max_waiting=self.max_waiting, reuse=self.reuse)


def preamble_of(settings: OriginSettings, source: Address = None, destination: Address = None) -> bytes:
    """What a connection to an origin begins with; without addresses it says that it is our own.

    PROXY protocol §2.1 (UNKNOWN), §2.2 (LOCAL).
    """
    if settings.proxy_protocol == "none":
        return b""
    ends = [end if isinstance(end, tuple) else None for end in (source, destination)]
    return format_header(ends[0], ends[1], 1 if settings.proxy_protocol == "v1" else 2)


def house_key(origin: Origin, settings: OriginSettings) -> Origin | Private:
    """What connections to an origin are pooled by that serve no client."""
    preamble = preamble_of(settings)
    return Private(origin, 0, preamble) if preamble else origin


def origin_settings_of(settings: ClientSettings) -> OriginSettings:
    """The same settings where they are an intermediary's; else the defaults."""
    return settings if isinstance(settings, OriginSettings) else DEFAULTS


DEFAULTS: Final = OriginSettings()
SUBJECTS: Final[Mapping[str, str]] = {**CLIENT_SUBJECTS, "reuse": "toward origins alone"}
"""What the settings are about, from the named one on: the headlines of the help."""
