"""What goes wrong below HTTP: one tree, each error with the `Reason` its connection ends with.

The message is one line that says what failed and where. Errors of the operating system and of
TLS are translated at the edge of this room, so that no other room catches `OSError`.
"""

from __future__ import annotations

import errno
import socket
import ssl

from perdure.core.errors import Error
from perdure.core.reason import Reason


class WireError(Error):
    """Something below HTTP failed.

    Attributes:
        reason: the `Reason` the connection ends with.
    """

    reason: Reason = Reason.PEER_RESET


class ConnectFailed(WireError):
    """No connection came about; nothing was sent."""

    reason = Reason.CONNECT_FAILED


class NameNotFound(ConnectFailed):
    """The host name has no address."""


class AddressProhibited(ConnectFailed):
    """What the host name resolves to, or the address itself, must not be dialled from here; nothing was."""


class TlsFailed(ConnectFailed):
    """The TLS handshake failed: certificate, name, version or a peer that speaks no TLS."""


class CertificateRefused(TlsFailed):
    """The peer's certificate is not one to believe: expired, of another name, of an unknown authority."""


class ConnectTimeout(ConnectFailed):
    """No connection came about in time; nothing was sent."""

    reason = Reason.CONNECT_TIMEOUT


class ReadTimeout(WireError):
    """No octet arrived before the deadline."""

    reason = Reason.READ_TIMEOUT


class WriteTimeout(WireError):
    """The peer took no octet before the deadline."""

    reason = Reason.WRITE_TIMEOUT


class PeerReset(WireError):
    """The connection was reset, or is gone: octets sent may or may not have been seen."""

    reason = Reason.PEER_RESET


class BindFailed(WireError):
    """Listening is impossible.

    Attributes:
        bind: the address asked for, such as "127.0.0.1:80".
    """

    reason = Reason.LOCAL_FAULT

    def __init__(self, message: str, bind: str) -> None:
        super().__init__(message)
        self.bind = bind


class AddressInUse(BindFailed):
    """Somebody else listens there."""


class TlsSettings(WireError):
    """A certificate, key or authority file is missing or unusable.

    Attributes:
        file: which of them: "authorities", "certificate" or "key".
    """

    reason = Reason.LOCAL_FAULT

    def __init__(self, message: str, file: str) -> None:
        super().__init__(message)
        self.file = file


def connect_error(error: BaseException, where: str, timeout: float | None = None) -> ConnectFailed:
    """Translate what stopped a connection from coming about.

    Args:
        error: an OSError, ssl.SSLError or TimeoutError.
        where: the address in words, such as "example.com:443".
        timeout: the seconds allowed, for the text.
    """
    if isinstance(error, socket.gaierror):
        return NameNotFound(f"{where}: the name has no address ({error.strerror})")
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateRefused(f"{where}: certificate refused: {error.verify_message or _words(error)}")
    if isinstance(error, ssl.SSLError):
        return TlsFailed(f"{where}: TLS handshake failed: {_words(error)}")
    if isinstance(error, TimeoutError):
        within = "" if timeout is None else f" within {timeout:g} s"
        return ConnectTimeout(f"{where}: no connection{within}")
    return ConnectFailed(f"{where}: connecting failed: {_words(error)}")


def lost_error(error: BaseException, where: str) -> WireError:
    """Translate what ended a connection that had come about."""
    if isinstance(error, WireError):
        return error
    if isinstance(error, ConnectionError):
        return PeerReset(f"{where}: the peer reset the connection ({_words(error)})")
    if isinstance(error, TimeoutError):
        return PeerReset(f"{where}: the peer stopped answering ({_words(error)})")
    if isinstance(error, ssl.SSLError):
        return PeerReset(f"{where}: TLS broke off: {_words(error)}")
    return WireError(f"{where}: the connection was lost: {_words(error)}")


def bind_error(error: OSError, bind: str) -> BindFailed:
    """Translate what stopped us from listening."""
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(f"cannot listen on {bind}: the address is in use", bind)
    if isinstance(error, socket.gaierror):
        return BindFailed(f"cannot listen on {bind}: the name has no address", bind)
    return BindFailed(f"cannot listen on {bind}: {_words(error)}", bind)


def _words(error: BaseException) -> str:
    """Return the operating system's own words, without the errno's decoration."""
    # OpenSSL's errors have a `reason`, unless Python itself raised them.
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
