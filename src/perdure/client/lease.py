"""A request that waits for a connection of an event loop's pool. RFC 9112 §9.4."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from perdure.client.errors import ConnectTimeout, ExchangeError, PoolTimeout
from perdure.core.pool import Entry, Ticket

LOOK_AGAIN_SECONDS: Final = 1.0
"""How long a dial that outlasts the deadline is trusted: its connection may become another's."""


class Refuses(Protocol):
    """The pool, as a lease sees it."""

    def refuse(self, lease: Lease, error: ExchangeError) -> None:
        """Give up waiting."""


class Granted(Protocol):
    """What is called with a leased connection: exactly one release or discard follows."""

    def __call__(self, entry: Entry[Any]) -> None: ...


class Lease:
    """A request that waits for a connection."""

    __slots__ = ("deadline", "error", "granted", "pool", "refused", "strict", "ticket")

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
        self.error: ExchangeError | None = None

    def deadline_reached(self, now: float) -> None:
        """Give up; a dial of its own has a time limit of its own, unless the caller set this one."""
        self.deadline = now + LOOK_AGAIN_SECONDS if self.ticket.dials else math.inf
        where = self.ticket.origin
        if not self.ticket.dials:
            self.pool.refuse(self, PoolTimeout(f"{where}: no connection became free in time"))
        elif self.strict:
            self.pool.refuse(self, ConnectTimeout(f"{where}: no connection in time"))
