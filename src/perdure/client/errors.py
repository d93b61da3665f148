"""What goes wrong with an exchange: one tree under `perdure.Error`.

Each error says what its user needs to decide whether to ask again: how much of the request the
peer may have seen, and whether the connection had been used before. The errors of the wire and
of the protocol core become the `__cause__`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from perdure.core.errors import Error
from perdure.core.fields import FieldLine
from perdure.core.reason import Reason
from perdure.wire import errors as wire

if TYPE_CHECKING:
    from perdure.client.models import Message

RequestSent: TypeAlias = Literal["no", "partly", "wholly"]


class InvalidURL(Error, ValueError):
    """A URL that cannot be asked for; nothing was sent."""


class ExchangeError(Error):
    """An exchange failed.

    Attributes:
        reason: why its connection ended.
        request_sent: how much of the request the peer may have seen: "no", "partly", "wholly".
        reused: True if the connection had lain idle before this request.
        idle_seconds: how long it had lain idle.
        uses: how many requests it had been used for, this one included; 0 without a connection.
    """

    default_reason: Reason = Reason.LOCAL_FAULT

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason or self.default_reason
        self.request_sent: RequestSent = "no"
        self.reused = False
        self.idle_seconds = 0.0
        self.uses = 0


class TimeoutExpired(ExchangeError):
    """Something took longer than allowed."""


class ConnectError(ExchangeError):
    """No connection came about; nothing was sent."""

    default_reason = Reason.CONNECT_FAILED


class ConnectTimeout(ConnectError, TimeoutExpired):
    """No connection came about in time; nothing was sent."""

    default_reason = Reason.CONNECT_TIMEOUT


class ProxyError(ConnectError):
    """A proxy gave no tunnel to the origin: it broke off, or what it said was no answer. Nothing was sent."""


class ProxyRefused(ProxyError):
    """A proxy answered CONNECT with something else than success; the origin was not reached.

    Attributes:
        status, reason_phrase: such as 403 and "Forbidden".
        fields: the field lines of its answer.
        content: what it said beside that, REFUSAL_OCTETS of it at most.
    """

    default_reason = Reason.CONNECT_REJECTED
    status = 0
    reason_phrase = ""
    fields: Sequence[FieldLine] = ()
    content = b""


class ProxyAuthenticationRequired(ProxyRefused):
    """A proxy answered CONNECT with 407: it wants other credentials, or any (RFC 9110 §15.5.8)."""


class PoolTimeout(TimeoutExpired):
    """No connection became free in time; nothing was sent."""

    default_reason = Reason.PRESSURE


class ClientClosed(ExchangeError):
    """The client is closed."""

    default_reason = Reason.POOL_CLOSED


class WriteError(ExchangeError):
    """The connection ended while the request was being sent."""

    default_reason = Reason.PEER_RESET


class WriteTimeout(WriteError, TimeoutExpired):
    """The peer took none of the request in time."""

    default_reason = Reason.WRITE_TIMEOUT


class ReadError(ExchangeError):
    """The connection ended before the response was complete."""

    default_reason = Reason.PEER_RESET


class NoResponse(ReadError):
    """The connection ended before any octet of the response: the server may have read the request."""


class ResponseIncomplete(ReadError):
    """The connection ended in the middle of the response (RFC 9112 §8)."""

    default_reason = Reason.INCOMPLETE


class ReadTimeout(ReadError, TimeoutExpired):
    """The peer was silent for longer than allowed."""

    default_reason = Reason.READ_TIMEOUT


class RemoteProtocolError(ExchangeError):
    """The server broke the protocol."""

    default_reason = Reason.BAD_SYNTAX


class LocalProtocolError(ExchangeError):
    """The request asked for is one that must not be sent, or its content is not what it said."""


class DecodingError(ExchangeError):
    """The content is not what its Content-Encoding says; the exchange itself was complete."""

    default_reason = Reason.BAD_SYNTAX


class StatusError(Error):
    """What `raise_for_status` raises: the response was whole, but its status is an error, or no success.

    Attributes:
        response: as it came.
        status: such as 404.
    """

    def __init__(self, message: str, response: Message) -> None:
        super().__init__(message)
        self.response = response
        self.status = response.status


class RedirectError(Error):
    """A redirect was to be followed and could not be.

    Attributes:
        response: that redirects; its `history` tells how it came there.
    """

    def __init__(self, message: str, response: Message) -> None:
        super().__init__(message)
        self.response = response


class TooManyRedirects(RedirectError):
    """More redirects than `max_redirects`. RFC 9110 §15.4."""


class ContentNotRepeatable(RedirectError):
    """The content has to be sent again, and was an iterator or a stream that cannot be read again."""


class ResponseConsumed(Error, RuntimeError):
    """The content was asked for after it was read as a stream, or after the response was closed."""


def connect_failure(error: wire.WireError, origin: object = None) -> ExchangeError:
    """The error of an exchange whose dial failed.

    Args:
        origin: named too, where it is not what was dialled.
    """
    kind = ConnectTimeout if isinstance(error, wire.ConnectTimeout) else ConnectError
    failure = kind(str(error) if origin is None else f"{origin}: {error}", error.reason)
    failure.__cause__ = error
    return failure
