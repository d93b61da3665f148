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
    from perdure.client.errors import ClientClosed as ClientClosed
    from perdure.client.errors import ConnectError as ConnectError
    from perdure.client.errors import ConnectTimeout as ConnectTimeout
    from perdure.client.errors import DecodingError as DecodingError
    from perdure.client.errors import ExchangeError as ExchangeError
    from perdure.client.errors import InvalidURL as InvalidURL
    from perdure.client.errors import LocalProtocolError as LocalProtocolError
    from perdure.client.errors import NoResponse as NoResponse
    from perdure.client.errors import PoolTimeout as PoolTimeout
    from perdure.client.errors import ReadError as ReadError
    from perdure.client.errors import ReadTimeout as ReadTimeout
    from perdure.client.errors import RemoteProtocolError as RemoteProtocolError
    from perdure.client.errors import ResponseConsumed as ResponseConsumed
    from perdure.client.errors import ResponseIncomplete as ResponseIncomplete
    from perdure.client.errors import TimeoutExpired as TimeoutExpired
    from perdure.client.errors import WriteError as WriteError
    from perdure.client.errors import WriteTimeout as WriteTimeout
    from perdure.client.models import ConnectionUse as ConnectionUse
    from perdure.client.models import Headers as Headers
    from perdure.client.models import Response as Response
    from perdure.client.settings import ClientSettings as ClientSettings
    from perdure.client.sync import Client as Client
    from perdure.client.sync import StreamedResponse as StreamedResponse
    from perdure.core.errors import Error as Error
    from perdure.core.reason import Reason as Reason
    from perdure.intermediary.gateway import Gateway as Gateway
    from perdure.intermediary.settings import GatewaySettings as GatewaySettings
    from perdure.server.serve import Server as Server
    from perdure.server.settings import ServerSettings as ServerSettings

HOMES: Final = {
    "perdure.client.aio": "AsyncClient AsyncStreamedResponse",
    "perdure.client.errors": (
        "ClientClosed ConnectError ConnectTimeout DecodingError ExchangeError InvalidURL LocalProtocolError "
        "NoResponse PoolTimeout ReadError ReadTimeout RemoteProtocolError ResponseConsumed "
        "ResponseIncomplete TimeoutExpired WriteError WriteTimeout"
    ),
    "perdure.client.models": "ConnectionUse Headers Response",
    "perdure.client.settings": "ClientSettings",
    "perdure.client.sync": "Client StreamedResponse",
    "perdure.core.errors": "Error",
    "perdure.core.reason": "Reason",
    "perdure.intermediary.gateway": "Gateway",
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
