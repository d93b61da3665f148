"""What an operator may set of the side that serves: one place, with defaults and precedents.

Times in seconds, sizes in octets. The same names serve in TOML, as flags and in Python, where the text
below a field is its help and its type says what is expected (`config`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from perdure.config import Count, Octets, OctetsPerSecond, Seconds, check_settings
from perdure.core import Announce, Limits, Terms


@dataclass(slots=True, frozen=True, kw_only=True)
class ServerSettings:
    """Settings toward clients: of a server, a gateway, a proxy.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    idle_timeout: Seconds = 75.0
    """How long an idle connection is kept: advertised, and closed `idle_buffer` later (nginx 75)."""
    idle_buffer: Seconds = 1.0
    """How much longer than advertised it is kept: a request may be under way (Node: 1 s)."""
    max_requests: Count | None = 1000
    """Requests on one connection; advertised as `max=`, counting down (nginx 1000). none: any."""
    max_age: Seconds | None = 3600.0
    """Age at which a connection is closed after its exchange, ± 10 % (nginx 1 h). none: any."""
    announce: Literal["always", "http10", "never"] = "always"
    """To whom Keep-Alive hints are stated (Node: always)."""
    http10: Literal["honour", "ignore"] = "honour"
    """Whether the keep-alive option of HTTP/1.0 clients counts (S12)."""
    head_timeout: Seconds = 30.0
    """For a whole head: from the start of a connection, later from its first octet → 408 (hyper, HAProxy)."""
    body_min_rate: OctetsPerSecond = 500.0
    """Octets a second that request content must average after `body_grace` → 408 (Apache)."""
    body_grace: Seconds = 20.0
    """How long request content may come at any rate (Apache)."""
    write_timeout: Seconds = 60.0
    """How long a client may take none of a response (nginx)."""
    max_line: Octets = 8192
    """A request line → 414, or a field line → 431 (Apache, gunicorn)."""
    max_fields: Count = 100
    """Field lines of one head → 431 (Apache, hyper)."""
    max_head: Octets = 65536
    """A whole head → 431."""
    max_body: Octets | None = None
    """Content of one request → 413. none: any."""
    pipeline_depth: Count = 32
    """Further requests held while one is answered: reading pauses there (aiohttp)."""
    share_tasks: bool = True
    """Answer requests that came together in one task, as long as no application waits; false: a task each."""
    pipeline_octets: Octets = 65536
    """Octets of further requests held while one is answered."""
    drain_body: Octets = 262144
    """Unread request content that is read and dropped to save the connection (Go)."""
    drain_body_seconds: Seconds = 2.0
    """For how long unread request content is read and dropped."""
    linger_octets: Octets = 65536
    """After the last write: what is read and dropped, so that the peer can read to the end (gunicorn)."""
    linger_idle: Seconds = 2.0
    """After the last write: how long to wait for the peer to say anything or close (Apache)."""
    linger_total: Seconds = 30.0
    """After the last write: how long to read and drop altogether (nginx)."""
    max_connections: Count = 10000
    """Connections at once; from 15/16 of it on, idle ones go, least recently used first (nginx)."""
    max_per_address: Count | None = None
    """Connections at once from one address; more are closed unread. none: any."""
    buffer_http10: Octets = 65536
    """Of a streamed response to HTTP/1.0: gathered to tell its length, which lets the connection live."""
    proxy_protocol: tuple[str, ...] = ()
    """A network or address whose connections begin with a PROXY protocol header. May be repeated."""
    access_log: Literal["off", "combined", "json"] = "off"
    """A line for each exchange, and one for each connection's end with its reason (Apache's combined)."""
    access_log_file: Path | None = None
    """Where the access log, which has to be on, is appended. none: standard output."""
    drain_grace: Seconds = 5.0
    """At shutdown: how long idle connections may still send one last request."""
    drain_timeout: Seconds = 30.0
    """At shutdown: how long exchanges under way may take."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.access_log_file is not None and self.access_log == "off":
            raise ValueError('access_log_file: "combined" or "json" expected in access_log, got "off"')

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


@dataclass(slots=True, frozen=True, kw_only=True)
class ApplicationSettings(ServerSettings):
    """Settings of a server with an application, which may speak WebSocket.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    websocket_max_message: Octets = 16777216
    """One message of a client, decompressed → 1009 (uvicorn)."""
    websocket_held_messages: Count = 32
    """Messages held for the application before reading pauses (uvicorn)."""
    websocket_ping_interval: Seconds | None = 20.0
    """How long a client may say nothing before it is asked whether it is there (uvicorn). none: any."""
    websocket_ping_timeout: Seconds | None = 20.0
    """How long it may then take to say anything before it is left (uvicorn). none: any."""
    websocket_close_timeout: Seconds = 10.0
    """How long a client may take to answer our close frame (websockets)."""


def application_settings(settings: ServerSettings) -> ApplicationSettings:
    """The same settings where they are those of a server with an application; else the defaults."""
    return settings if isinstance(settings, ApplicationSettings) else APPLICATION_DEFAULTS


APPLICATION_DEFAULTS: Final = ApplicationSettings()
SUBJECTS: Final[Mapping[str, str]] = {
    "idle_timeout": "persistence",
    "head_timeout": "slow peers",
    "max_line": "sizes of messages",
    "drain_body": "what is left unread",
    "max_connections": "how many, and from whom",
    "access_log": "access log",
    "drain_grace": "shutting down",
}
"""What the settings are about, from the named one on: the headlines of the help."""
APPLICATION_SUBJECTS: Final[Mapping[str, str]] = {**SUBJECTS, "websocket_max_message": "WebSockets"}
"""The same with an application."""
