"""What goes wrong, and whose fault it is.

A violation carries the `Reason` that ends the connection and the status a server answers
with. The peer's faults and our caller's faults are different classes from the start, because
the first is a warning about somebody else and the second is a bug to be fixed here.
"""

from __future__ import annotations

from perdure.core.reason import Reason


class Error(Exception):
    """The root of every error that perdure raises on purpose."""


class ProtocolViolation(Error):
    """Octets or calls that the protocol does not allow.

    Attributes:
        reason: the `Reason` the connection ends with; it is not usable afterwards except
            to send one final response that announces the close.
        status: the status code a server answers with (400 unless said otherwise).
    """

    def __init__(self, message: str, reason: Reason, status: int = 400) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class RemoteViolation(ProtocolViolation):
    """The peer broke the protocol."""


class LocalViolation(ProtocolViolation):
    """Our own caller asked for something that must not be sent; nothing was sent of it."""
