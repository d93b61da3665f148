"""What an operator may set of the side that serves: one place, with defaults and precedents.

Times in seconds, sizes in octets. The same names serve in TOML, as flags and in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perdure.core import Announce, Limits, Terms


@dataclass(slots=True, frozen=True, kw_only=True)
class ServerSettings:
    """Settings toward clients: of a server, a gateway, a proxy."""

    idle_timeout: float = 75.0
    """How long an idle connection is kept; advertised as `timeout=`, closed `idle_buffer` later (nginx 75)."""
    idle_buffer: float = 1.0
    """How much longer than advertised: a request may be under way (Node: 1 s)."""
    max_requests: int | None = 1000
    """Requests on one connection; advertised as `max=`, counting down (nginx 1000). None: any."""
    max_age: float | None = 3600.0
    """Age at which a connection is closed after its exchange, ± 10 % (nginx 1 h). None: any."""
    announce: Literal["always", "http10", "never"] = "always"
    """To whom Keep-Alive hints are stated (Node: always)."""
    http10: Literal["honour", "ignore"] = "honour"
    """Whether the keep-alive option of HTTP/1.0 clients counts (S12)."""
    head_timeout: float = 30.0
    """For a whole head: from the start of a connection, later from its first octet → 408 (hyper, HAProxy)."""
    body_min_rate: float = 500.0
    """Octets a second that request content must average after `body_grace` → 408 (Apache)."""
    body_grace: float = 20.0
    write_timeout: float = 60.0
    """How long a client may take none of a response (nginx)."""
    max_line: int = 8192
    max_fields: int = 100
    max_head: int = 65536
    max_body: int | None = None
    """Content of one request → 413. None: any."""
    pipeline_octets: int = 65536
    """Octets of further requests held while one is answered."""
    drain_body: int = 262144
    """Unread request content that is read and dropped to save the connection (Go) ..."""
    drain_body_seconds: float = 2.0
    """... and for how long."""
    linger_octets: int = 65536
    linger_idle: float = 2.0
    linger_total: float = 30.0
    """Lingering close after the last write (Apache, nginx, gunicorn)."""
    max_connections: int = 10000
    """At 15/16 of it the least recently used idle ones are closed, at most 32 at a time (nginx)."""
    drain_grace: float = 5.0
    """At shutdown: how long idle connections may still send one last request."""
    drain_timeout: float = 30.0
    """At shutdown: how long exchanges under way may take."""

    def limits(self) -> Limits:
        """The sizes, as the protocol core wants them."""
        return Limits(
            max_line=self.max_line,
            max_fields=self.max_fields,
            max_head=self.max_head,
            max_body=self.max_body,
            drain_body=self.drain_body,
        )

    def terms(self) -> Terms:
        """What concerns persistence, as the protocol core wants it."""
        return Terms(
            persist=self.idle_timeout > 0,
            keep_alive_timeout=int(self.idle_timeout),
            max_requests=self.max_requests,
            announce=Announce(self.announce),
            http_10_honoured=self.http10 == "honour",
        )
