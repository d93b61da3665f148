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
from perdure.core.pool import Entry
from perdure.core.reason import Reason

SENT = (None, None)
"""Everything was handed over, and nothing arrived meanwhile."""


async def run_whole(exchange: Exchange, pool: LoopPool[ClientWire]) -> None:
    """Run an exchange whose content is gathered, to its end.

    Where one write sends the request and one delivery answers it, neither the flow nor a runner is needed.
    """
    if not exchange.is_plain:
        await LoopRunner(exchange, pool).advance()
        return
    asked = exchange.asked
    # Where others wait, hardly anything lies idle, and the turn looks for itself.
    entry = None if pool.leases else pool.lease_idle(asked.location.origin, asked.repeatable)
    if entry is None:
        await _run_in_turn(exchange, pool)
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
        await _go_on(exchange, pool, wire, caught)
    finally:
        caught = None  # its traceback holds this frame


async def _run_in_turn(exchange: Exchange, pool: LoopPool[ClientWire]) -> None:
    """The same where nothing lies idle: the request is sent by whoever lets go of a connection."""
    turn = Turn(exchange, pool)
    caught: BaseException | None = None
    try:
        await turn.outcome
        if not turn.begun:
            await turn.begin()
        arrived = turn.wire.take()
        if arrived is not None and exchange.take_whole(arrived):
            return
    except BaseException as error:
        if not turn.begun:
            turn.give_up()
            raise
        caught = error
    try:
        await _go_on(exchange, pool, turn.wire, caught)
    finally:
        caught = None


async def _go_on(
    exchange: Exchange, pool: LoopPool[ClientWire], wire: ClientWire, caught: BaseException | None
) -> None:
    runner = LoopRunner(exchange, pool)
    runner.go_on(wire)
    try:
        await runner.advance(caught)
    finally:
        caught = None


class Turn:
    """A plain exchange that waits for a connection, and begins on it in the very call that grants it.

    So its task is woken once, by the answer. Where many wait for few connections, this, without a flow and
    a runner, saves half of what a request costs (bench/bench_concurrency.py).

    Attributes:
        outcome: done once there is an answer, an error, or a connection that has to be begun on.
        wire: of the connection that was granted.
        begun: True once the request was handed to it: from then on only the flow ends the lease.
    """

    __slots__ = ("_entry", "_exchange", "_lease", "_pool", "begun", "outcome", "wire")

    wire: ClientWire

    def __init__(self, exchange: Exchange, pool: LoopPool[ClientWire]) -> None:
        asked = exchange.asked
        self._exchange = exchange
        self._pool = pool
        self._entry: Entry[ClientWire] | None = None
        self.begun = False
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lease = pool.lease(
            asked.location.origin, asked.repeatable, self._granted, self._refused, False, asked.timeout
        )

    def begin(self, told: asyncio.Future[None] | None = None) -> asyncio.Future[None]:
        """Hand the request over; something to await until anything changes, `told` if given."""
        entry = self._entry
        assert entry is not None, "granted and refused are the only two answers"
        exchange, wire = self._exchange, self.wire
        wire.write_timeout = exchange.asked.write_timeout
        self.begun = True
        wire.hand_over(exchange.begin_whole(entry))
        return wire.wait(exchange.patience, told)

    def give_up(self) -> None:
        """Leave nothing behind, where nothing was begun."""
        if self._lease is not None:
            self._pool.cancel(self._lease)
        if self._entry is not None:
            self._pool.discard(self._entry, Reason.CANCELLED)

    def _granted(self, entry: Entry[ClientWire]) -> None:
        self._entry = entry
        self.wire = wire = entry.handle
        outcome = self.outcome
        if outcome.done():  # cancelled: `give_up` comes
            return
        if (
            entry.reused and entry is not self._pool.looked_at and wire.readable()
        ):  # after a turn of the loop it will be known what that is
            outcome.set_result(None)
            return
        try:
            self.begin(outcome)
        except BaseException as error:
            outcome.set_exception(error)

    def _refused(self, error: ExchangeError) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


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
            asked.location.origin, asked.repeatable, self._granted, self._refused, fresh, asked.timeout
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
