"""Carries out the effects of exchanges with blocking sockets."""

from __future__ import annotations

from typing import Any

from perdure.client.blocking_handle import BlockingHandle
from perdure.client.blocking_pool import BlockingPool
from perdure.client.effects import HEAD, LEASE, PULL, RECEIVE, SEND_LAST, Effect, Flow
from perdure.client.exchange import Exchange
from perdure.core.pool import Entry
from perdure.core.retry import is_repeatable
from perdure.wire.blocking import BlockingWire, StreamWire
from perdure.wire.sendfile import FileSlice, send_file_or_receive

SENT = (None, None)
SMALL_OCTETS = 16384
"""So many are sent without looking for an early response: they fit into the kernel's buffer."""


class BlockingRunner:
    """Carries out the effects of one exchange."""

    __slots__ = ("_flow", "_handle", "_now", "_pool", "exchange")

    _handle: BlockingHandle

    def __init__(self, exchange: Exchange, pool: BlockingPool) -> None:
        self.exchange = exchange
        self._pool = pool
        self._now = pool.now
        self._flow: Flow = exchange.begin()

    def advance(self) -> Effect | None:
        """Run until there is something for the caller, HEAD or CONTENT; None at the end."""
        flow = self._flow
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                effect = flow.send(value) if error is None else flow.throw(error)
            except StopIteration:
                return None
            finally:
                error = None  # its traceback holds this frame
            if effect[0] >= HEAD:
                return effect
            try:
                value = self._carry_out(*effect)
            except BaseException as caught:
                error = caught

    @property
    def wire(self) -> StreamWire:
        """That of the connection in use."""
        return self._handle.wire

    def close(self) -> None:
        """Give the exchange up: its connection is closed unless it is over."""
        self.exchange.abandoned = True
        self._flow.close()

    def _carry_out(self, kind: int, what: Any) -> Any:
        asked = self.exchange.asked
        if kind == RECEIVE:
            return self._handle.wire.receive(self._now() + what)
        if kind == LEASE:
            return self._lease(what)
        if kind == PULL:
            return asked.content.pull_slice() if self._takes_files() else asked.content.pull()
        deadline = self._now() + asked.write_timeout
        if type(what) is FileSlice:
            wire = self._handle.wire
            assert isinstance(wire, BlockingWire), "slices are pulled for no other"
            taken, arrived = send_file_or_receive(wire, what, deadline)
            return (what.after(taken) if taken < len(what) else None), arrived
        if kind == SEND_LAST and len(what) <= SMALL_OCTETS:
            self._handle.wire.send(what, deadline)
            return SENT
        taken, arrived = self._handle.wire.send_or_receive(what, deadline)
        return (what[taken:] if taken < len(what) else None), arrived

    def _takes_files(self) -> bool:
        """Whether what is sent goes as it is to a socket: plain, its length announced."""
        if self.exchange.asked.declares_chunks or not hasattr(self, "_handle"):
            return False
        wire = self._handle.wire
        return type(wire) is BlockingWire and not wire.tls

    def _lease(self, fresh: bool) -> Entry[BlockingHandle]:
        asked = self.exchange.asked
        request = asked.request
        repeatable = is_repeatable(request.method, request.facts.idempotency_key, asked.content.replayable)
        entry = self._pool.lease(asked.location.origin, repeatable, fresh, asked.timeout)
        self._handle = entry.handle
        return entry
