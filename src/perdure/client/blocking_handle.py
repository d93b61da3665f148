"""A connection of threads that lives in a pool. RFC 9112 §9.2, §9.5."""

from __future__ import annotations

from perdure.core.client_connection import ClientConnection
from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.wire.blocking import StreamWire
from perdure.wire.errors import PeerReset, WireError


class BlockingHandle:
    """A pooled connection of threads; one of them uses it at a time.

    Attributes:
        wire, connection: the socket, and the sans-I/O connection on it.
        entry: its line in the ledger.
    """

    __slots__ = ("connection", "entry", "wire")

    entry: Entry[BlockingHandle]

    def __init__(self, wire: StreamWire, connection: ClientConnection) -> None:
        self.wire = wire
        self.connection = connection

    @property
    def truncated(self) -> bool:
        """True if TLS ended without close_notify."""
        return self.wire.truncated

    def accepted(self) -> int:
        """Octets that the kernel has taken."""
        return self.wire.octets_accepted

    def spent(self) -> bool:
        """False: the pool has asked the socket just before."""
        return not self.connection.persists

    def judge_rest(self) -> None:
        """Nothing to do: what is not asked for stays in the socket, where the pool finds it."""

    def why_readable(self, now: float) -> Reason | None:
        """Read what lies on an idle connection; None if it is nothing (RFC 9112 §9.2)."""
        try:
            while self.wire.readable():
                octets = self.wire.receive(now)
                if not octets:
                    return Reason.PEER_CLOSED
                self.connection.receive(octets)
                if not self.connection.persists:
                    return self.connection.reason
        except PeerReset:
            return Reason.PEER_RESET
        except WireError:
            return None
        return None
