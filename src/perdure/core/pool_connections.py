"""The connections of a pool, whoever wants them: how each is found, laid idle, timed and ended.

    entered ──▶ idle ◀──▶ handed out          any ──▶ ended, once, with one `Close` and its Reason
                 └──its deadline──▶ ended

Every idle connection has a deadline, the earliest of its limits; the deadlines lie in one heap,
whose stale rows are dropped when they are met. Who gets a connection, or the place of one that
ended, is decided in `pool_assignment`.

RFC 9112 §9.5.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final, Generic

from perdure.core.pool_entries import (
    CLOSED,
    IDLE,
    LEASED,
    PROVEN,
    Action,
    Close,
    Entry,
    Handle,
    Need,
    PoolSettings,
    Private,
    Ticket,
)
from perdure.core.pool_origin import Origin
from perdure.core.reason import Reason

REMEMBERED_ORIGINS: Final = 1024
"""Origins without connections whose learning is kept; the longest unused is forgotten first."""
PROMPT_SECONDS: Final = 1.0
"""A driver that expires later than this was held up, and may have missed a close meanwhile."""
SPARE_TIMERS: Final = 64
_PERSISTS_11: Final = Reason.PERSISTS_11
_PERSISTS_10: Final = Reason.PERSISTS_10


class Connections(ABC, Generic[Handle]):
    """The state of a ledger, and what happens to its connections."""

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self._origins: dict[Hashable, Origin[Handle]] = {}
        self._resting: OrderedDict[Hashable, None] = OrderedDict()  # origins without connections
        self._idle: dict[Entry[Handle], None] = {}  # of all origins, longest first
        self._timers: list[tuple[float, int, Entry[Handle]]] = []  # heap; may hold rows that no longer hold
        self._actions: list[Action[Handle]] = []
        self._closes: Counter[Reason] = Counter()
        self._connections = 0
        self._dialling = 0
        self._dialled = 0
        self._requests = 0
        self._reused = 0
        self._closed = False

    def _pick(self, home: Origin[Handle], need: Need, now: float) -> Entry[Handle] | None:
        """Find an idle connection that suits; those met past their deadline are closed."""
        while home.idle:
            entry = home.candidate(need)
            if now < entry.idle_deadline:
                if not home.suits(entry, need, now):
                    return None
                if need is PROVEN:
                    home.spared_until = math.inf  # what was waited for has come: the next wait is a first one
                return entry
            self._end_idle(home, entry, now)
        return None

    def _lay_idle(self, home: Origin[Handle], entry: Entry[Handle], now: float) -> None:
        """Put a connection that has just become, or still is, idle among the idle ones."""
        if not home.limit_idle_time(entry, now) or now >= entry.idle_deadline:
            self._close(home, entry, entry.deadline_reason)
            return
        entry.state = IDLE
        entry.reused = True  # by its next request: the peer may close it from now on
        home.idle[entry] = None
        self._idle[entry] = None
        if entry.idle_deadline < entry.scheduled:
            self._schedule(entry, entry.idle_deadline)

    def _end_idle(self, home: Origin[Handle], entry: Entry[Handle], now: float) -> None:
        """Close an idle connection at its deadline: it proved that it lives so long."""
        if entry.uses and now - entry.idle_deadline <= PROMPT_SECONDS:
            home.learning.saw_survival(now - entry.idle_since, now)
        self._close(home, entry, entry.deadline_reason)

    def _close(self, home: Origin[Handle], entry: Entry[Handle], reason: Reason) -> None:
        """Take a connection out of the ledger. A ticket it was granted to waits again."""
        if entry.state is IDLE:
            del home.idle[entry]
            del self._idle[entry]
        ticket, entry.ticket = entry.ticket, None
        entry.state = CLOSED
        entry.ended = reason
        home.entries.remove(entry)
        if home.head is not None:
            home.head.claimed -= 1
        self._connections -= 1
        self._closes[reason] += 1
        self._actions.append(Close(entry, reason))
        self._place_freed(home, ticket)
        if home.is_empty:
            self._rest(home)

    @abstractmethod
    def _place_freed(self, home: Origin[Handle], ticket: Ticket | None) -> None:
        """A connection ended; `ticket` is the one that it was granted to, which waits again."""

    def _learn(self, home: Origin[Handle], idle_seconds: float, now: float, witnessed: bool) -> None:
        """Note a close by the peer; the deadlines of the idle siblings follow."""
        home.learning.saw_close(idle_seconds, now, witnessed)
        for relative in self._family(home):
            for sibling in relative.idle:
                relative.limit_idle_time(sibling, now)
                self._schedule(sibling, sibling.idle_deadline)

    @abstractmethod
    def _family(self, home: Origin[Handle]) -> Iterable[Origin[Handle]]:
        """All that leads to the same peer, where connections have owners; else the origin alone."""

    def _schedule(self, entry: Entry[Handle], at: float) -> None:
        """See to it that `expire` looks at an idle connection at this time, or before."""
        if at >= entry.scheduled:
            return
        entry.scheduled = at
        heapq.heappush(self._timers, (at, entry.number, entry))
        if len(self._timers) > 2 * self._connections + SPARE_TIMERS:
            self._timers = [
                timer
                for timer in self._timers
                if timer[0] == timer[2].scheduled and timer[2].state is not CLOSED
            ]
            heapq.heapify(self._timers)

    def _hand_out(self, entry: Entry[Handle], now: float) -> None:
        entry.state = LEASED
        entry.idle_seconds = now - entry.idle_since
        entry.uses += 1
        self._requests += 1
        if entry.reused:
            self._reused += 1

    def _ending(self, entry: Entry[Handle], reason: Reason) -> Reason | None:
        """Why a connection ends with its exchange; None if it may lie idle."""
        if reason is not _PERSISTS_11 and reason is not _PERSISTS_10:
            return reason
        if self._closed:
            return Reason.POOL_CLOSED
        if entry.doom is not None:
            return entry.doom
        if self.settings.max_requests is not None and entry.uses >= self.settings.max_requests:
            return Reason.MAX_REQUESTS
        if entry.hint_max is not None and entry.hint_max <= 0:
            return Reason.HINT_MAX
        return None

    def _rest(self, home: Origin[Handle]) -> None:
        """Keep what was learned of an origin that has nothing left, but not of ever so many."""
        head = home.head
        if head is not None:
            if self._origins.pop(home.key, None) is not None:
                head.members.discard(home)
                head.pace = home.pace
                if head.is_empty:
                    self._rest(head)
            return
        self._resting[home.key] = None
        self._resting.move_to_end(home.key)
        if len(self._resting) > REMEMBERED_ORIGINS:
            key, _ = self._resting.popitem(last=False)
            del self._origins[key]

    def _keep(self, member: Origin[Handle], head: Origin[Handle]) -> None:
        """Let a member be there, whose last connection may just have made room for its next."""
        self._origins[member.key] = member
        self._origins[head.key] = head
        self._resting.pop(head.key, None)
        head.members.add(member)

    def _open(self, key: Hashable) -> Origin[Handle]:
        """The origin, about to get a ticket or a dial: it must not be forgotten now."""
        home = self._origins.get(key)
        if home is None:
            head = self._open(key.origin) if isinstance(key, Private) else None
            home = self._origins[key] = Origin(key, self.settings, head)
            if head is not None:
                self._keep(home, head)
        self._resting.pop(key, None)
        return home
