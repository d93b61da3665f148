"""What a user may set of the side that asks: one place, with defaults and precedents.

Times in seconds, sizes in octets. The same names serve in TOML, as flags and in Python, where the text
below a field is its help and its type says what is expected (`config`); a gateway or proxy puts
`origin_` in front of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from perdure.config import Count, Octets, Seconds, check_settings
from perdure.core import HTTP_10, HTTP_11, Limits, Terms
from perdure.core.fields import Version
from perdure.core.pool import PoolSettings

ENDLESS: Final = frozenset({"connect_timeout", "read_timeout", "write_timeout", "pool_timeout"})
"""Of these math.inf means that there is no limit."""
VERSIONS = {"1.0": HTTP_10, "1.1": HTTP_11}


@dataclass(slots=True, frozen=True, kw_only=True)
class ClientSettings:
    """Settings toward origins: of a client, a gateway, a proxy.

    Raises:
        ValueError: one of them is not what its type says, or some contradict each other; the message
            names them.
    """

    max_per_origin: Count = 8
    """Connections to one origin, idle ones included (Chromium 6)."""
    max_total: Count = 100
    """Connections altogether, idle ones included (aiohttp 100)."""
    idle_timeout: Seconds = 55.0
    """The longest a connection lies idle: below the common 60 of servers and balancers."""
    unlearned_idle_timeout: Seconds | None = None
    """The same while the origin has neither hinted nor shown a limit (gateway: 15). none: no less."""
    max_age: Seconds | None = 600.0
    """Age at which a connection is retired, ± 10 % (urllib3.future). none: any."""
    max_requests: Count | None = None
    """Requests on one connection. none: any."""
    order: Literal["lifo", "spread"] = "lifo"
    """Which idle connection is used first; "spread" needs `max_age` (coredns #7903)."""
    connect_timeout: Seconds = 10.0
    """Resolving, connecting and shaking hands, together."""
    read_timeout: Seconds = 60.0
    """How long the peer may be silent while a response is awaited."""
    write_timeout: Seconds = 60.0
    """How long the peer may take none of a request."""
    pool_timeout: Seconds = 30.0
    """How long a request may wait for a connection while the caps are reached."""
    relay_timeout: Seconds = 5.0
    """How long a request that may be sent again waits for an answer on the first connection that an origin
    kept because it was asked to (HTTP/1.0): none means a relay in between that did not understand."""
    dial_rest: Seconds = 0.0
    """How long an origin that could not be dialled is left alone, doubling up to 16 times."""
    continue_timeout: Seconds = 1.0
    """How long to wait for 100 (Continue) before content is sent all the same (Go, curl: 1 s)."""
    happy_eyeballs: Seconds = 0.25
    """How much later the next address of a name is tried beside the last (RFC 8305)."""
    http_version: Literal["1.1", "1.0"] = "1.1"
    """What requests say; HTTP/1.0 asks for persistence with the keep-alive option."""
    persist: bool = True
    """False: every request announces the close of its connection."""
    retry: bool = True
    """Whether a request is sent again, once, where the connection that it reused had ended meanwhile
    (`core.retry`). It takes no number, and other failures are never tried again (unlike curl's)."""
    drain_octets: Octets = 65536
    """Content of an abandoned response that is read on to save the connection; not if more is declared."""
    drain_seconds: Seconds = 0.05
    """For how long content of an abandoned response is read on (Go 1.27, OkHttp)."""
    buffer_octets: Octets = 1048576
    """Content of unknown length for a server not known to speak HTTP/1.1 is gathered up to this."""
    max_line: Octets = 65536
    """One line of a response head; a longer one is a fault of the server."""
    max_fields: Count = 256
    """Field lines of one response head; more are a fault of the server."""
    max_head: Octets = 262144
    """A whole response head; a longer one is a fault of the server."""

    def __post_init__(self) -> None:
        check_settings(self, ENDLESS)
        self.pool()

    @property
    def version(self) -> Version:
        """The version that requests say."""
        return VERSIONS[self.http_version]

    def limits(self) -> Limits:
        """The sizes, as the protocol core wants them."""
        return Limits(max_line=self.max_line, max_fields=self.max_fields, max_head=self.max_head)

    def terms(self) -> Terms:
        """What concerns persistence, as the protocol core wants it."""
        return Terms(persist=self.persist)

    def pool(self, age_phase: float = 0.0) -> PoolSettings:
        """What concerns the pool, as its ledger wants it.

        Args:
            age_phase: in [0, 1), drawn once per pool: parts the processes that share an origin.
        """
        return PoolSettings(
            max_per_origin=self.max_per_origin,
            max_total=self.max_total,
            idle_timeout=self.idle_timeout,
            unlearned_idle_timeout=self.unlearned_idle_timeout,
            max_age=self.max_age,
            age_phase=age_phase,
            max_requests=self.max_requests,
            dial_rest=self.dial_rest,
            order=self.order,
        )


SUBJECTS: Final[Mapping[str, str]] = {
    "max_per_origin": "how many, how long",
    "connect_timeout": "timeouts",
    "http_version": "the protocol",
    "drain_octets": "sizes",
}
"""What the settings are about, from the named one on: the headlines of the help."""
