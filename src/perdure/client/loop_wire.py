"""The wire of an exchange on an event loop: what has arrived waits here until the flow takes it.

While no request is outstanding, whatever arrives ends the connection, by the rule of the core
(`ClientConnection`), and the pool is told at once.

RFC 9112 §9.2, §9.5.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from perdure.client.pooled_wire import PooledWire
from perdure.core.client_connection import ClientConnection
from perdure.core.reason import Reason
from perdure.wire.errors import PeerReset, ReadTimeout, WireError, WriteTimeout

if TYPE_CHECKING:
    from perdure.client.loop_pool import LoopPool

INBOX_OCTETS = 262144
"""What waits for the caller before the peer is asked to pause (asyncio reads as much at once)."""


class ClientWire(PooledWire):
    """A pooled connection that a coroutine reads.

    Attributes:
        connection: the sans-I/O connection.
    """

    __slots__ = ("_failure", "_handed", "_inbox", "_pool", "_waiting", "connection")

    def __init__(self, connection: ClientConnection, pool: LoopPool[ClientWire]) -> None:
        super().__init__()
        self.connection = connection
        self._pool = pool
        self._inbox = b""
        self._handed = 0
        self._failure: WireError | None = None
        self._waiting: asyncio.Future[None] | None = None

    # What the flow asks.

    def accepted(self) -> int:
        """Octets that may have reached the peer: handed over, and no longer with us."""
        return self._handed - (0 if self.lost else self.transport.get_write_buffer_size())

    def spent(self) -> bool:
        """Say whether the peer ended it, or sent what nobody asked for."""
        return self.lost or self.end_received_already or not self.connection.persists

    def judge_rest(self) -> None:
        """Hand the protocol what came behind the response: nobody asked for it (RFC 9112 §9.2)."""
        octets = self._inbox
        if octets:
            self._inbox = b""
            self.connection.receive(octets)
            self.resume_reading()

    # What the runner calls.

    def hand_over(self, octets: bytes) -> None:
        """Write. Octets of a write that fails at once have not reached the peer."""
        transport = self.transport
        was_closing = transport.is_closing()
        self.write(octets)
        if was_closing or not transport.is_closing():
            self._handed += len(octets)

    def takes_more(self) -> bool:
        """Say whether more may be handed over."""
        return not self.writing_paused

    def take(self) -> bytes | None:
        """What has arrived: octets; b"" at the end; None if nothing has.

        Raises:
            WireError: the connection was lost.
        """
        octets = self._inbox
        if octets:
            self._inbox = b""
            if self.reading_paused:
                self.resume_reading()
            return octets
        if self._failure is not None:
            raise self._failure
        if self.end_received_already or self.lost:
            return b""
        if self.closing:
            raise PeerReset(f"{self.peer_text}: the connection was closed here")
        return None

    def wait(self, seconds: float, told: asyncio.Future[None] | None = None) -> asyncio.Future[None]:
        """Something to await until anything changes, `told` if given; ReadTimeout if nothing does."""
        self.deadline = self.now() + seconds
        waiting = self._waiting = self.loop.create_future() if told is None else told
        return waiting

    def _wake(self, error: WireError | None = None) -> None:
        waiting, self._waiting = self._waiting, None
        self.deadline = math.inf
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    # What the wire calls.

    def data_received(self, octets: bytes) -> None:
        """Keep what arrived, or end the connection if nobody asked for it."""
        if not self.connection.outstanding:
            self.connection.receive(octets)
            if not self.connection.persists:
                self._pool.peer_closed(self.entry, self.connection.reason or Reason.SURPLUS_OCTETS)
            return
        self._inbox = self._inbox + octets if self._inbox else octets
        if self._waiting is not None:
            self._wake()
        elif len(self._inbox) >= INBOX_OCTETS:
            self.pause_reading()

    def end_received(self) -> None:
        """The peer ended its side: news for the exchange, or the end of an idle connection."""
        if self.connection.outstanding:
            self._wake()
        else:
            self._pool.peer_closed(self.entry, Reason.PEER_CLOSED)

    def wire_lost(self, error: WireError | None) -> None:
        """The connection is gone."""
        self._failure = error
        if not self.connection.outstanding and self.entry.ended is None:
            self._pool.peer_closed(self.entry, Reason.PEER_CLOSED if error is None else Reason.PEER_RESET)
        self._wake()
        self._pool.wire_gone(self)

    def ended_by_pool(self, reason: Reason) -> None:
        """Close, and wake who waits."""
        super().ended_by_pool(reason)
        self._wake()

    def write_side_drained(self) -> None:
        """The peer takes more again."""
        self._wake()

    def deadline_reached(self, now: float) -> None:
        """Nothing came in time. While octets of ours wait, `write_stalled` judges the peer."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            if not self.sweeper.watches(self):  # so few that the transport does not tell
                self.watch_waiting_octets(unsent)
            self.deadline = now + 1.0
            return
        self._wake(ReadTimeout(f"{self.peer_text}: no octet arrived in time"))

    def write_stalled(self, now: float) -> None:
        """The peer takes none of our octets."""
        self._failure = WriteTimeout(f"{self.peer_text}: took no more octets in time")
        self._wake(self._failure)
