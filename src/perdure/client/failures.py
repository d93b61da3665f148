"""What an exception in an exchange means: why its connection ends, and what the caller is told.

A connection is stale where the peer ended it before any octet of the response: by FIN, by RST,
by not taking the request, or by a 408 that announced it (RFC 9112 §9.3.1, RFC 9110 §15.5.9).
"""

from __future__ import annotations

from perdure.client.errors import (
    ExchangeError,
    LocalProtocolError,
    NoResponse,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    RequestSent,
    ResponseIncomplete,
    WriteError,
    WriteTimeout,
)
from perdure.core.connection import Connection
from perdure.core.errors import LocalViolation, ProtocolViolation, RemoteViolation
from perdure.core.reason import Reason
from perdure.wire import errors as wire


class Announced408(Exception):
    """A 408 on a reused connection, for a request that may be sent again. Never leaves the flow."""


class KeptByRelay(Exception):
    """An idle connection to where a blind relay is suspected. Never leaves the flow."""


class ResponseAbandoned(Exception):
    """The rest of an unwanted response is longer than is worth reading. Never leaves a `close`."""


def stale_reason(error: BaseException, answered: bool) -> Reason | None:
    """PEER_CLOSED, PEER_RESET or IDLE_408 where the connection was gone; None otherwise.

    RFC 9112 §9.3.1.
    """
    if isinstance(error, Announced408):
        return Reason.IDLE_408
    if answered:
        return None
    if isinstance(error, RemoteViolation) and error.reason is Reason.INCOMPLETE:
        return Reason.PEER_CLOSED
    if isinstance(error, wire.WireError) and error.reason is Reason.PEER_RESET:
        return Reason.PEER_RESET
    return None


def reason_of(error: BaseException, connection: Connection) -> Reason:
    """Why the connection ends, where it was not stale."""
    if isinstance(error, ProtocolViolation | wire.WireError | ExchangeError):
        return error.reason
    if isinstance(error, ResponseAbandoned):
        return Reason.ABANDONED
    if not connection.persists and connection.reason is not None:
        return connection.reason
    return Reason.CANCELLED


def request_sent(octets_accepted: int, complete: bool) -> RequestSent:
    """How much of the request the peer may have seen."""
    if octets_accepted <= 0:
        return "no"
    return "wholly" if complete else "partly"


def exchange_failure(
    error: BaseException, answered: bool, write_error: wire.WireError | None
) -> ExchangeError | None:
    """What the caller is told; None where it is told the exception itself."""
    if isinstance(error, RemoteViolation):
        return _remote_failure(error, answered, write_error)
    if isinstance(error, LocalViolation):
        return LocalProtocolError(str(error), error.reason)
    if isinstance(error, wire.WriteTimeout):
        return WriteTimeout(str(error), error.reason)
    if isinstance(error, wire.ReadTimeout):
        return ReadTimeout(str(error), error.reason)
    if isinstance(error, wire.WireError):
        if write_error is not None and not answered:
            return WriteError(str(write_error), write_error.reason)
        kind = ResponseIncomplete if answered else NoResponse
        return kind(str(error), error.reason)
    return None


def _remote_failure(
    error: RemoteViolation, answered: bool, write_error: wire.WireError | None
) -> ExchangeError:
    if error.reason is not Reason.INCOMPLETE:
        return RemoteProtocolError(str(error), error.reason)
    if answered:
        return ResponseIncomplete(str(error), error.reason)
    if write_error is not None:
        return WriteError(str(write_error), write_error.reason)
    kind: type[ReadError] = NoResponse
    return kind(str(error), Reason.PEER_CLOSED)
