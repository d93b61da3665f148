"""Carries out the effects of exchanges on an event loop, asyncio's or uvloop's.

No task, timer or lock per request: a connection that lies idle is leased at once, the deadline
is an attribute of the wire, and a future is made only where something must be awaited.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from perdure.client.effects import HEAD, LEASE, PULL, RECEIVE, SEND_LAST, Effect, Flow
from perdure.client.errors import ExchangeError
from perdure.client.exchange import Exchange
from perdure.client.loop_pool import Lease, LoopPool
from perdure.client.loop_wire import ClientWire
from perdure.client.requests import Asked
from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.core.retry import is_repeatable

SENT = (None, None)
"""Everything was handed over, and nothing arrived meanwhile."""


async def run_whole(exchange: Exchange, pool: LoopPool[ClientWire]) -> None:
    """Run an exchange whose content is gathered, to its end.

    Where a connection lies idle, one write sends the request and one delivery answers it, neither the
    flow nor a runner is needed.
    """
    asked = exchange.asked
    entry = pool.lease_idle(asked.location.origin, _is_repeatable(asked)) if exchange.is_plain else None
    if entry is None:
        await LoopRunner(exchange, pool).advance()
        return
    wire = entry.handle
    wire.write_timeout = asked.write_timeout
    caught: BaseException | None = None
    try:
        wire.hand_over(exchange.begin_whole(entry))
        await wire.wait(exchange.patience)
        arrived = wire.take()
        if arrived is not None and exchange.take_whole(arrived):
            return
    except BaseException as error:
        caught = error
    try:
        runner = LoopRunner(exchange, pool)
        runner.go_on(wire)
        await runner.advance(caught)
    finally:
        caught = None  # its traceback holds this frame


class LoopRunner:
    """Carries out the effects of one exchange."""

    __slots__ = ("_entry", "_error", "_flow", "_granting", "_pool", "_waiting", "_wire", "exchange")

    _wire: ClientWire

    def __init__(self, exchange: Exchange, pool: LoopPool[ClientWire]) -> None:
        self.exchange = exchange
        self._pool = pool
        self._flow: Flow | None = None
        self._entry: Entry[ClientWire] | None = None
        self._error: ExchangeError | None = None
        self._waiting: Lease | None = None
        self._granting: asyncio.Future[None] | None = None

    def go_on(self, wire: ClientWire) -> None:
        """Take over an exchange that was begun on a connection without its flow."""
        self._wire = wire
        self._flow = flow = self.exchange.flow(begun=True)
        flow.send(None)

    async def advance(self, error: BaseException | None = None) -> Effect | None:
        """Run until there is something for the caller, HEAD or CONTENT; None at the end.

        Args:
            error: to be thrown into the flow first.
        """
        flow = self._flow
        if flow is None:
            flow = self._flow = self.exchange.begin()
        value: Any = None
        while True:
            try:
                effect = flow.send(value) if error is None else flow.throw(error)
            except StopIteration:
                return None
            finally:
                error = None  # its traceback holds this frame
            kind, what = effect
            try:
                if kind == RECEIVE:
                    wire = self._wire
                    while (value := wire.take()) is None:
                        await wire.wait(what)
                elif kind == SEND_LAST:
                    self._wire.hand_over(what)
                    value = SENT
                elif kind == LEASE:
                    value = self._lease(what) or await self._wait_leased(what)
                elif kind == PULL:
                    content = self.exchange.asked.content
                    value = await content.pull_async() if content.asynchronous else content.pull()
                elif kind >= HEAD:
                    return effect
                else:
                    value = await self._send(what)
            except BaseException as caught:
                error = caught

    @property
    def wire(self) -> ClientWire:
        """That of the connection in use."""
        return self._wire

    def close(self) -> None:
        """Give the exchange up: its connection is closed unless it is over."""
        self.exchange.abandoned = True
        if self._flow is not None:
            self._flow.close()

    def _lease(self, fresh: bool) -> Entry[ClientWire] | None:
        """Take a connection that lies idle; None if it has to be waited for."""
        asked = self.exchange.asked
        self._entry = self._error = None
        self._waiting = self._pool.lease(
            asked.location.origin, _is_repeatable(asked), self._granted, self._refused, fresh, asked.timeout
        )
        return self._leased() if self._waiting is None else None

    def _leased(self) -> Entry[ClientWire]:
        if self._error is not None:
            raise self._error
        entry = self._entry
        assert entry is not None, "granted and refused are the only two answers"
        self._wire = wire = entry.handle
        wire.write_timeout = self.exchange.asked.write_timeout
        return entry

    async def _wait_leased(self, fresh: bool) -> Entry[ClientWire]:
        """Wait until a connection is granted. Cancelled, it leaves nothing behind."""
        assert self._waiting is not None
        self._granting = asyncio.get_running_loop().create_future()
        try:
            await self._granting
        except BaseException:
            self._pool.cancel(self._waiting)
            if self._entry is not None:
                self._pool.discard(self._entry, Reason.CANCELLED)
            raise
        return self._leased()

    def _granted(self, entry: Entry[ClientWire]) -> None:
        self._entry = entry
        self._settle()

    def _refused(self, error: ExchangeError) -> None:
        self._error = error
        self._settle()

    def _settle(self) -> None:
        if self._granting is not None and not self._granting.done():
            self._granting.set_result(None)

    async def _send(self, octets: bytes) -> tuple[bytes | None, bytes | None]:
        """Hand octets over; return once the peer takes more, or with what arrived before that."""
        wire = self._wire
        wire.hand_over(octets)
        if wire.takes_more():
            await asyncio.sleep(0)  # a turn of the loop, so that an early response is read
            return None, wire.take()
        while (arrived := wire.take()) is None:
            if wire.takes_more():
                return SENT
            await wire.wait(math.inf)
        return b"", arrived  # nothing is left of this, but no more may follow yet


def _is_repeatable(asked: Asked) -> bool:
    request = asked.request
    return is_repeatable(request.method, request.facts.idempotency_key, asked.content.replayable)
