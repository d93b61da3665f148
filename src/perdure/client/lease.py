"""A request that waits for a connection, and what it is told if it gets none. RFC 9112 §9.4."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from perdure.client.errors import ClientClosed, ConnectError, ConnectTimeout, ExchangeError, PoolTimeout
from perdure.client.timeouts import Timeout
from perdure.core.pool import Entry, Ticket
from perdure.core.reason import Reason

LOOK_AGAIN_SECONDS: Final = 1.0
"""How long a dial that outlasts the deadline is trusted: its connection may become another's."""


def refusal(ticket: Ticket) -> ExchangeError:
    """The error of a ticket that got no connection: its own, though one dial may fail for many."""
    reason = ticket.reason or Reason.CONNECT_FAILED
    if isinstance(ticket.error, ExchangeError):
        own = copy.copy(ticket.error)
        own.__cause__ = ticket.error.__cause__
        return own
    kind = ClientClosed if reason is Reason.POOL_CLOSED else ConnectError
    return kind(f"{ticket.origin}: {reason}", reason)


def closed(error: Exception) -> ExchangeError:
    """The error of who asks a pool that was closed."""
    failure = ClientClosed(str(error))
    failure.__cause__ = error
    return failure


def warmed(tickets: Sequence[Ticket], there: int) -> int:
    """What came of dials in advance: how many connections there are; else the error of a dial is raised."""
    failed = next((ticket for ticket in tickets if ticket.error is not None), None)
    if failed is not None and not there:
        raise refusal(failed)
    return there


def patience(pool_timeout: float, timeout: Timeout | None, dials: bool) -> tuple[float, bool]:
    """Seconds to wait, and whether a dial that is under way then is waited for no longer."""
    if timeout is None:
        return pool_timeout, False
    if dials and timeout.connect is not None:
        return timeout.connect, True
    return (pool_timeout if timeout.pool is None else timeout.pool), timeout.connect is not None


class Refuses(Protocol):
    """The pool, as a lease sees it."""

    def refuse(self, lease: Lease, error: ExchangeError) -> None:
        """Give up waiting."""


class Granted(Protocol):
    """What is called with a leased connection: exactly one release or discard follows."""

    def __call__(self, entry: Entry[Any]) -> None: ...


class Lease:
    """A request that waits for a connection."""

    __slots__ = ("deadline", "granted", "pool", "refused", "strict", "ticket")

    def __init__(
        self,
        pool: Refuses,
        ticket: Ticket,
        granted: Granted,
        refused: Callable[[ExchangeError], None],
        deadline: float,
        strict: bool,
    ) -> None:
        self.pool = pool
        self.ticket = ticket
        self.granted = granted
        self.refused = refused
        self.deadline = deadline
        self.strict = strict

    def deadline_reached(self, now: float) -> None:
        """Give up; a dial of its own has a time limit of its own, unless the caller set this one."""
        self.deadline = now + LOOK_AGAIN_SECONDS if self.ticket.dials else math.inf
        where = self.ticket.origin
        if not self.ticket.dials:
            self.pool.refuse(self, PoolTimeout(f"{where}: no connection became free in time"))
        elif self.strict:
            self.pool.refuse(self, ConnectTimeout(f"{where}: no connection in time"))
