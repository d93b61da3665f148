"""What one side wants of persistence: the same for all connections of a server or client."""

from __future__ import annotations

from typing import Final

from perdure.core.persistence import Announce


class Terms:
    """What we want of persistence on a connection; shared by all connections of a server or client.

    Attributes:
        persist: False sends `close` at the first opportunity (R97, R98).
        keep_alive_timeout: seconds advertised, None for no hint.
        max_requests: exchanges on one connection, the last of which announces the close.
        announce: to whom hints are stated.
        http_10_honoured: False ignores the keep-alive option of HTTP/1.0 (S12).
        proxy_connection_honoured: True lets a proxy persist with HTTP/1.0 clients that ask with
            Proxy-Connection (S13).
    """

    __slots__ = (
        "announce",
        "http_10_honoured",
        "keep_alive_timeout",
        "max_requests",
        "persist",
        "proxy_connection_honoured",
    )

    def __init__(
        self,
        *,
        persist: bool = True,
        keep_alive_timeout: int | None = None,
        max_requests: int | None = None,
        announce: Announce = Announce.ALWAYS,
        http_10_honoured: bool = True,
        proxy_connection_honoured: bool = False,
    ) -> None:
        self.persist = persist
        self.keep_alive_timeout = keep_alive_timeout
        self.max_requests = max_requests
        self.announce = announce
        self.http_10_honoured = http_10_honoured
        self.proxy_connection_honoured = proxy_connection_honoured


DEFAULT_TERMS: Final = Terms()
