"""Who gets which connection, and which one ends to make room: the decisions behind the ledger.

    lease ──▶ idle connection that suits ─────────────────────────────▶ Use
       └────▶ room below both caps, or an idle one to close for it ───▶ Dial ──▶ seekers
       └────▶ neither ──▶ waiting, and the line if only the total cap is in the way

Order of service: within an origin the seekers (a dial under way will serve them), then the
waiting tickets, each first in, first out. Across origins a place that comes free goes to the
ticket that waits longest among those whose origin is below its own cap: these stand in the
*line*. A connection that is released stays with its origin, unless the first in line belongs
to an origin that has none at all: nobody starves, and a full pool does not redial for every
request.

Nothing here makes a pass over all connections: places, idle order and the line are indexed.

RFC 9112 §9.4 (a client limits its connections), §9.5.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, OrderedDict
from collections.abc import Hashable
from types import MappingProxyType
from typing import Final, Generic

from perdure.core.pool_entries import (
    CLOSED,
    GRANTED,
    IDLE,
    LEASED,
    PROVEN,
    Action,
    Close,
    Dial,
    Entry,
    Grant,
    Handle,
    Need,
    PoolSettings,
    Refuse,
    Statistics,
    Ticket,
    TicketState,
    Wait,
)
from perdure.core.pool_origin import Origin, insert, misuse
from perdure.core.reason import Reason

REMEMBERED_ORIGINS: Final = 1024
"""Origins without connections whose learning is kept; the longest unused is forgotten first."""
PROMPT_SECONDS: Final = 1.0
"""A driver that expires later than this was held up, and may have missed a close meanwhile."""
SPARE_TIMERS: Final = 64
_PERSISTS_11: Final = Reason.PERSISTS_11
_PERSISTS_10: Final = Reason.PERSISTS_10


class Assignment(Generic[Handle]):
    """The state of a ledger and the steps its methods are made of."""

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self._origins: dict[Hashable, Origin[Handle]] = {}
        self._resting: OrderedDict[Hashable, None] = OrderedDict()  # origins without connections
        self._idle: OrderedDict[Entry[Handle], None] = OrderedDict()  # of all origins, longest first
        self._granted: dict[Ticket, Entry[Handle]] = {}
        self._line: list[tuple[int, Origin[Handle]]] = []  # heap; may hold entries that no longer hold
        self._timers: list[tuple[float, int, Entry[Handle]]] = []  # heap; the same
        self._actions: list[Action[Handle]] = []
        self._closes: Counter[Reason] = Counter()
        self._connections = 0
        self._dialling = 0
        self._tickets = 0
        self._dialled = 0
        self._requests = 0
        self._reused = 0
        self._closed = False

    # --- connections -----------------------------------------------------------------------

    def _pick(self, home: Origin[Handle], need: Need, now: float) -> Entry[Handle] | None:
        """Find an idle connection that suits; those met past their deadline are closed."""
        while home.idle:
            entry = home.candidate(need)
            if now < entry.idle_deadline:
                return entry if home.suits(entry, need, now) else None
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
        self._connections -= 1
        self._closes[reason] += 1
        self._actions.append(Close(entry, reason))
        if ticket is not None:
            self._put_back(home, ticket)
        self._line_up(home)
        if home.is_empty:
            self._rest(home)

    def _learn(self, home: Origin[Handle], idle_seconds: float, now: float) -> None:
        """Note a close by the peer; the deadlines of the idle siblings follow."""
        home.learning.saw_close(idle_seconds, now)
        for sibling in home.idle:
            home.limit_idle_time(sibling, now)
            self._schedule(sibling, sibling.idle_deadline)

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

    def lay_back(self, entry: Entry[Handle], now: float) -> None:
        """Undo a lease of which nothing was sent: its connection is as idle as it was.

        Raises as `release` does.
        """
        if entry.state is CLOSED:
            return
        if entry.state is not LEASED:
            raise misuse(f"{entry!r} is laid back, but not leased")
        home = self._origins[entry.origin]
        entry.uses -= 1
        self._requests -= 1
        self._reused -= entry.reused
        ending = self._ending(entry, _PERSISTS_11)
        if ending is None:
            self._lay_idle(home, entry, now)
        else:
            self._close(home, entry, ending)
        self._settle(home, now)

    # --- tickets ---------------------------------------------------------------------------

    def _new_ticket(self, key: Hashable, need: Need) -> Ticket:
        self._tickets += 1
        return Ticket(self._tickets, key, need)

    def _grant(self, home: Origin[Handle], ticket: Ticket, entry: Entry[Handle]) -> None:
        """Reserve a connection, idle or just dialled, for a ticket."""
        home.seekers.pop(ticket, None)
        home.waiting.pop(ticket, None)
        if entry.state is IDLE:
            del home.idle[entry]
            del self._idle[entry]
        entry.state = GRANTED
        entry.ticket = ticket
        ticket.state = TicketState.GRANTED
        self._granted[ticket] = entry
        self._actions.append(Grant(ticket))

    def _lay_back(self, home: Origin[Handle], entry: Entry[Handle], now: float) -> None:
        """Take back a connection that was granted but not used: as idle as it was."""
        entry.ticket = None
        self._lay_idle(home, entry, now)

    def _put_back(self, home: Origin[Handle], ticket: Ticket) -> None:
        """Let a ticket that lost its connection wait again, at its old place in the order."""
        self._granted.pop(ticket, None)
        ticket.state = TicketState.WAITING
        insert(home.seekers, ticket)
        self._part_seekers(home)

    def _part_seekers(self, home: Origin[Handle]) -> None:
        """Let the youngest seeker wait if there is one more than dials under way."""
        if len(home.seekers) > home.dials:
            youngest, _ = home.seekers.popitem()
            insert(home.waiting, youngest)

    def _refuse(self, home: Origin[Handle], ticket: Ticket, reason: Reason) -> None:
        home.seekers.pop(ticket, None)
        home.waiting.pop(ticket, None)
        ticket.state = TicketState.REFUSED
        ticket.reason = reason
        self._actions.append(Refuse(ticket))

    # --- places ----------------------------------------------------------------------------

    def _begin_dial(self, home: Origin[Handle], ticket: Ticket) -> None:
        self._resting.pop(home.key, None)
        ticket.dials += 1
        home.dials += 1
        self._dialling += 1

    def _end_dial(self, ticket: Ticket) -> Origin[Handle]:
        if not ticket.dials:
            raise misuse(f"{ticket!r} has no dial under way")
        home = self._origins[ticket.origin]
        ticket.dials -= 1
        home.dials -= 1
        self._dialling -= 1
        return home

    def _queue(self, key: Hashable, need: Need, now: float) -> Dial | Wait:
        """Find a place for a request that no idle connection serves."""
        home = self._open(key)
        ticket = self._new_ticket(key, need)
        if not home.waiting:
            if home.dials > len(home.seekers):
                home.seekers[ticket] = None
                return Wait(ticket)
            if self._has_place(home, ticket, now):
                self._begin_dial(home, ticket)
                home.seekers[ticket] = None
                return Dial(ticket)
        home.waiting[ticket] = None
        self._line_up(home)
        return Wait(ticket)

    def _has_place(self, home: Origin[Handle], ticket: Ticket, now: float) -> bool:
        """Say whether a dial may begin for a ticket; an idle connection is closed for it if needed."""
        if home.count >= self.settings.max_per_origin:
            victim = home.victim(ticket.need, now)
        elif self._is_older_in_line(ticket):
            return False
        elif self._connections + self._dialling < self.settings.max_total:
            return True
        else:
            victim = next(iter(self._idle), None)
            if victim is not None and victim.origin == home.key:
                victim = home.victim(ticket.need, now) or self._idle_elsewhere(home)
        if victim is None:
            for canary in home.idle:  # spared, and the only one: look again once it has ripened
                self._schedule(canary, home.ripens_at(canary, now))
            return False
        if ticket.need is PROVEN and victim.uses and victim.origin == home.key:
            home.learning.saw_survival(now - victim.idle_since, now)
        self._close(self._origins[victim.origin], victim, Reason.PRESSURE)
        return True

    def _idle_elsewhere(self, home: Origin[Handle]) -> Entry[Handle] | None:
        """The least recently used idle connection of another origin; `home` has one idle itself."""
        return next((entry for entry in self._idle if entry.origin != home.key), None)

    def _is_older_in_line(self, ticket: Ticket) -> bool:
        first = self._first_in_line()
        return first is not None and self._line[0][0] < ticket.number

    def _first_in_line(self) -> Origin[Handle] | None:
        """The origin of the ticket that waits longest for a place; what no longer holds is dropped."""
        while self._line:
            number, home = self._line[0]
            if home.lined_up == number and home.count < self.settings.max_per_origin:
                first = next(iter(home.waiting), None)
                if first is not None and first.number == number:
                    return home
            self._leave_line()
        return None

    def _leave_line(self) -> None:
        number, home = heapq.heappop(self._line)
        if home.lined_up == number:
            home.lined_up = 0

    def _line_up(self, home: Origin[Handle]) -> None:
        """Let the first waiting ticket stand in line, if its origin's own cap is not in its way."""
        first = next(iter(home.waiting), None)
        if first is None or home.lined_up == first.number or home.count >= self.settings.max_per_origin:
            return
        home.lined_up = first.number
        heapq.heappush(self._line, (first.number, home))

    # --- handing on ------------------------------------------------------------------------

    def _settle(self, home: Origin[Handle], now: float) -> None:
        """Hand on what a change in one origin left: to its tickets, then to the line."""
        if home.idle and home.seekers:
            for ticket in list(home.seekers):
                entry = self._pick(home, ticket.need, now)
                if entry is not None:
                    self._grant(home, ticket, entry)
        if home.waiting:
            if self._is_older_in_line(next(iter(home.waiting))) and self._line[0][1].count == 0:
                self._fill(now)
            self._serve(home, now)
        if self._line:
            self._fill(now)
        if home.is_empty:
            self._rest(home)

    def _serve(self, home: Origin[Handle], now: float) -> None:
        """Give the waiting tickets of an origin, in order, what there is for them."""
        while home.waiting:
            ticket = next(iter(home.waiting))
            entry = self._pick(home, ticket.need, now)
            if entry is not None:
                self._grant(home, ticket, entry)
                continue
            if home.dials == len(home.seekers):
                if not self._has_place(home, ticket, now):
                    break
                self._begin_dial(home, ticket)
                self._actions.append(Dial(ticket))
            del home.waiting[ticket]
            home.seekers[ticket] = None
        self._line_up(home)

    def _fill(self, now: float) -> None:
        """Give free places, or those of the least recently used idle connections, to the line."""
        while (home := self._first_in_line()) is not None:
            number = self._line[0][0]
            if self._connections + self._dialling >= self.settings.max_total and not self._idle:
                return
            self._leave_line()
            self._serve(home, now)
            if home.lined_up == number:
                return

    def _rest(self, home: Origin[Handle]) -> None:
        """Keep what was learned of an origin that has nothing left, but not of ever so many."""
        self._resting[home.key] = None
        self._resting.move_to_end(home.key)
        if len(self._resting) > REMEMBERED_ORIGINS:
            key, _ = self._resting.popitem(last=False)
            del self._origins[key]

    def _open(self, key: Hashable) -> Origin[Handle]:
        """The origin, about to get a ticket or a dial: it must not be forgotten now."""
        home = self._origins.get(key)
        if home is None:
            home = self._origins[key] = Origin(key, self.settings)
        self._resting.pop(key, None)
        return home

    def _count(self, now: float) -> Statistics:
        homes = self._origins.values()
        limits = ((home.key, home.learning.limit(now)) for home in homes)
        ages = ((home.key, home.proven(now)) for home in homes)
        return Statistics(
            connections=self._connections,
            idle=len(self._idle),
            leased=self._connections - len(self._idle),
            dialling=self._dialling,
            waiting=sum(len(home.seekers) + len(home.waiting) for home in homes),
            requests=self._requests,
            reused=self._reused,
            dialled=self._dialled,
            closes=MappingProxyType(dict(self._closes)),
            learned=MappingProxyType({key: limit for key, limit in limits if limit < math.inf}),
            proven=MappingProxyType({key: age for key, age in ages if age > 0}),
        )
