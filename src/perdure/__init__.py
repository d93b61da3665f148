"""perdure keeps HTTP connections alive, correctly, and shows why each one lived or died."""

from __future__ import annotations

from perdure.client.aio import AsyncClient, AsyncStreamedResponse
from perdure.client.errors import (
    ClientClosed,
    ConnectError,
    ConnectTimeout,
    DecodingError,
    ExchangeError,
    InvalidURL,
    LocalProtocolError,
    NoResponse,
    PoolTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    ResponseConsumed,
    ResponseIncomplete,
    TimeoutExpired,
    WriteError,
    WriteTimeout,
)
from perdure.client.models import ConnectionUse, Headers, Response
from perdure.client.settings import ClientSettings
from perdure.client.sync import Client, StreamedResponse
from perdure.core.errors import Error
from perdure.core.reason import Reason

__all__ = [
    "AsyncClient",
    "AsyncStreamedResponse",
    "Client",
    "ClientClosed",
    "ClientSettings",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionUse",
    "DecodingError",
    "Error",
    "ExchangeError",
    "Headers",
    "InvalidURL",
    "LocalProtocolError",
    "NoResponse",
    "PoolTimeout",
    "ReadError",
    "ReadTimeout",
    "Reason",
    "RemoteProtocolError",
    "Response",
    "ResponseConsumed",
    "ResponseIncomplete",
    "StreamedResponse",
    "TimeoutExpired",
    "WriteError",
    "WriteTimeout",
]
