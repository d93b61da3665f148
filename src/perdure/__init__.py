"""perdure keeps HTTP connections alive, correctly, and shows why each one lived or died.

The public names. Each is imported when it is first asked for, so that a client costs no server, and
`perdure --help` neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from perdure.client.aio import AsyncClient as AsyncClient
    from perdure.client.aio import AsyncStreamedResponse as AsyncStreamedResponse
    from perdure.client.authentication import Authentication as Authentication
    from perdure.client.authentication import BasicAuth as BasicAuth
    from perdure.client.cookies import Cookies as Cookies
    from perdure.client.digest import DigestAuth as DigestAuth
    from perdure.client.errors import ClientClosed as ClientClosed
    from perdure.client.errors import ConnectError as ConnectError
    from perdure.client.errors import ConnectTimeout as ConnectTimeout
    from perdure.client.errors import ContentNotRepeatable as ContentNotRepeatable
    from perdure.client.errors import DecodingError as DecodingError
    from perdure.client.errors import ExchangeError as ExchangeError
    from perdure.client.errors import InvalidURL as InvalidURL
    from perdure.client.errors import LocalProtocolError as LocalProtocolError
    from perdure.client.errors import NoResponse as NoResponse
    from perdure.client.errors import PoolTimeout as PoolTimeout
    from perdure.client.errors import ProxyAuthenticationRequired as ProxyAuthenticationRequired
    from perdure.client.errors import ProxyError as ProxyError
    from perdure.client.errors import ProxyRefused as ProxyRefused
    from perdure.client.errors import ReadError as ReadError
    from perdure.client.errors import ReadTimeout as ReadTimeout
    from perdure.client.errors import RedirectError as RedirectError
    from perdure.client.errors import RemoteProtocolError as RemoteProtocolError
    from perdure.client.errors import ResponseConsumed as ResponseConsumed
    from perdure.client.errors import ResponseIncomplete as ResponseIncomplete
    from perdure.client.errors import StatusError as StatusError
    from perdure.client.errors import TimeoutExpired as TimeoutExpired
    from perdure.client.errors import TooManyRedirects as TooManyRedirects
    from perdure.client.errors import WriteError as WriteError
    from perdure.client.errors import WriteTimeout as WriteTimeout
    from perdure.client.headers import Headers as Headers
    from perdure.client.models import ConnectionUse as ConnectionUse
    from perdure.client.models import Response as Response
    from perdure.client.proxies import Proxies as Proxies
    from perdure.client.request import Request as Request
    from perdure.client.settings import ClientSettings as ClientSettings
    from perdure.client.sync import Client as Client
    from perdure.client.sync import StreamedResponse as StreamedResponse
    from perdure.client.timeouts import Timeout as Timeout
    from perdure.core.errors import Error as Error
    from perdure.core.reason import Reason as Reason
    from perdure.intermediary.gateway import Gateway as Gateway
    from perdure.intermediary.proxy import Proxy as Proxy
    from perdure.intermediary.proxy_settings import ProxySettings as ProxySettings
    from perdure.intermediary.settings import GatewaySettings as GatewaySettings
    from perdure.server.serve import Server as Server
    from perdure.server.settings import ServerSettings as ServerSettings

HOMES: Final = {
    "perdure.client.aio": "AsyncClient AsyncStreamedResponse",
    "perdure.client.authentication": "Authentication BasicAuth",
    "perdure.client.cookies": "Cookies",
    "perdure.client.digest": "DigestAuth",
    "perdure.client.errors": (
        "ClientClosed ConnectError ConnectTimeout ContentNotRepeatable DecodingError ExchangeError "
        "InvalidURL LocalProtocolError NoResponse PoolTimeout ProxyAuthenticationRequired ProxyError "
        "ProxyRefused ReadError ReadTimeout RedirectError "
        "RemoteProtocolError ResponseConsumed ResponseIncomplete StatusError TimeoutExpired "
        "TooManyRedirects WriteError WriteTimeout"
    ),
    "perdure.client.headers": "Headers",
    "perdure.client.models": "ConnectionUse Response",
    "perdure.client.proxies": "Proxies",
    "perdure.client.request": "Request",
    "perdure.client.settings": "ClientSettings",
    "perdure.client.sync": "Client StreamedResponse",
    "perdure.client.timeouts": "Timeout",
    "perdure.core.errors": "Error",
    "perdure.core.reason": "Reason",
    "perdure.intermediary.gateway": "Gateway",
    "perdure.intermediary.proxy": "Proxy",
    "perdure.intermediary.proxy_settings": "ProxySettings",
    "perdure.intermediary.settings": "GatewaySettings",
    "perdure.server.serve": "Server",
    "perdure.server.settings": "ServerSettings",
}
"""The names of each module, as above."""
_HOME_OF: Final = {name: module for module, names in HOMES.items() for name in names.split()}
__all__ = list(_HOME_OF)


if not TYPE_CHECKING:  # or a misspelt name would pass for a public one

    def __getattr__(name: str) -> object:
        """Import a public name (PEP 562)."""
        if name not in _HOME_OF:
            raise AttributeError(f"module 'perdure' has no attribute {name!r}")
        value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
