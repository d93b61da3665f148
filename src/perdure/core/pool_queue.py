"""The tickets of one origin that wait and for which nothing is under way yet.

Rule: first in, first out among those who can use what there is. Who can use nothing of it, such as
a request that may not be repeated where nothing is proven, keeps his place and holds up nobody. So
there is one row for each need, and the order over all is that of the numbers: looking for the next
ticket costs three comparisons, however many wait.

RFC 9112 §9.4.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from itertools import takewhile
from operator import attrgetter

from perdure.core.pool_entries import ANY, PROVEN, Need, Ticket

_number = attrgetter("number")


class Waiting:
    """The waiting tickets of one origin, by their numbers.

    Attributes:
        count: how many there are; kept, because every release of a connection asks.
    """

    __slots__ = ("_any", "_fresh", "_proven", "count")

    def __init__(self) -> None:
        self._any: OrderedDict[Ticket, None] = OrderedDict()
        self._proven: OrderedDict[Ticket, None] = OrderedDict()
        self._fresh: OrderedDict[Ticket, None] = OrderedDict()
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Ticket]:
        """All of them, the longest waiting first."""
        return heapq.merge(self._any, self._proven, self._fresh, key=_number)

    @property
    def repeatable_ones(self) -> int:
        """How many of them any connection serves."""
        return len(self._any)

    def first(self) -> Ticket | None:
        """The ticket that waits longest."""
        if not (self._proven or self._fresh):  # as a rule; a third of the cost of the minimum
            return next(iter(self._any), None)
        return min(self.heads(), key=_number, default=None)

    def heads(self) -> list[Ticket]:
        """Of each need the ticket that waits longest; in no order."""
        return [next(iter(row)) for row in (self._any, self._proven, self._fresh) if row]

    def add(self, ticket: Ticket) -> None:
        """Let a ticket wait: at its place, if it was served once and is not the youngest."""
        row = self._row(ticket.need)
        self.count += ticket not in row
        insert(row, ticket)

    def join(self, ticket: Ticket) -> None:
        """Let a ticket wait that is younger than all others."""
        self._row(ticket.need)[ticket] = None
        self.count += 1

    def remove(self, ticket: Ticket) -> None:
        """Take a ticket out; harmless if it is not there."""
        row = self._row(ticket.need)
        if ticket in row:
            del row[ticket]
            self.count -= 1

    def _row(self, need: Need) -> OrderedDict[Ticket, None]:
        if need is ANY:
            return self._any
        return self._proven if need is PROVEN else self._fresh


def insert(row: OrderedDict[Ticket, None], ticket: Ticket) -> None:
    """Put a ticket into a row by its number: at the end mostly, else near the front. RFC 9112 §9.4."""
    youngest = next(reversed(row), None)
    row[ticket] = None
    if youngest is None or youngest.number < ticket.number:
        return
    older = list(takewhile(lambda other: other.number < ticket.number, row))
    for first in (ticket, *reversed(older)):
        row.move_to_end(first, last=False)
