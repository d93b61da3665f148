"""Who gets which connection, and which one ends to make room: the decisions behind the ledger.

    lease ──▶ idle connection that suits ─────────────────────────────▶ Use
       └────▶ room below both caps, or an idle one to close for it ───▶ Dial ──▶ seekers
       └────▶ neither ──▶ waiting, and the line if only the total cap is in the way

Order of service: within an origin the seekers (a dial under way will serve them), then the
waiting tickets, each first in, first out; but one that can use nothing of what there is holds up
nobody (`pool_queue`). Across origins a place that comes free goes to the ticket that waits longest
among those whose origin is below its own cap: these stand in the *line*. A connection that is
released stays with its origin, unless the first in line belongs to an origin that has none at all:
nobody starves, and a full pool does not redial for every request. An origin that cannot be dialled
is left in peace (`pool_outage`).

Nothing here makes a pass over all connections: places, idle order and the line are indexed.

RFC 9112 §9.4 (a client limits its connections), §9.5.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable

from perdure.core.pool_entries import (
    ANY,
    GRANTED,
    IDLE,
    PROVEN,
    Dial,
    Entry,
    Grant,
    Handle,
    Need,
    PoolSettings,
    Refuse,
    Ticket,
    TicketState,
    Wait,
)
from perdure.core.pool_families import Families
from perdure.core.pool_origin import Origin, misuse
from perdure.core.pool_queue import insert
from perdure.core.reason import Reason


class Assignment(Families[Handle]):
    """Tickets, places and the line."""

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        self._granted: dict[Ticket, Entry[Handle]] = {}
        self._line: list[tuple[int, Origin[Handle]]] = []  # heap; may hold rows that no longer hold
        self._pauses: list[tuple[float, int, Origin[Handle]]] = []  # heap; the same
        self._tickets = 0

    # --- tickets ---------------------------------------------------------------------------

    def _new_ticket(self, key: Hashable, need: Need) -> Ticket:
        self._tickets += 1
        return Ticket(self._tickets, key, need)

    def _grant(self, home: Origin[Handle], ticket: Ticket, entry: Entry[Handle]) -> None:
        """Reserve a connection, idle or just dialled, for a ticket."""
        home.seekers.pop(ticket, None)
        home.waiting.remove(ticket)
        if entry.state is IDLE:
            del home.idle[entry]
            del self._idle[entry]
        self._reserve(ticket, entry)

    def _reserve(self, ticket: Ticket, entry: Entry[Handle]) -> None:
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
            home.waiting.add(youngest)

    def _refuse(self, home: Origin[Handle], ticket: Ticket, reason: Reason, error: object = None) -> None:
        home.seekers.pop(ticket, None)
        home.waiting.remove(ticket)
        ticket.state = TicketState.REFUSED
        ticket.reason = reason
        ticket.error = error
        self._actions.append(Refuse(ticket))

    def _refuse_all(self, home: Origin[Handle], reason: Reason, error: object = None) -> None:
        for ticket in [*home.seekers, *home.waiting]:
            self._refuse(home, ticket, reason, error)

    # --- places ----------------------------------------------------------------------------

    def _place_freed(self, home: Origin[Handle], ticket: Ticket | None) -> None:
        if ticket is not None:
            self._put_back(home, ticket)
        self._line_up(home)
        if self._hungry and (home.head or home) in self._hungry:
            self._feed(home.head or home)

    def _begin_dial(self, home: Origin[Handle], ticket: Ticket) -> None:
        self._resting.pop(home.key, None)
        ticket.dials += 1
        home.dials += 1
        if home.head is not None:
            self._keep(home, home.head)
            home.head.claimed += 1
        self._dialling += 1

    def _end_dial(self, ticket: Ticket) -> Origin[Handle]:
        if not ticket.dials:
            raise misuse(f"{ticket!r} has no dial under way")
        home = self._origins[ticket.origin]
        ticket.dials -= 1
        home.dials -= 1
        if home.head is not None:
            home.head.claimed -= 1
        self._dialling -= 1
        return home

    def _queue(self, key: Hashable, need: Need, now: float) -> Dial | Wait:
        """Find a place for a request that no idle connection serves."""
        home = self._open(key)
        home.disowned = False
        ticket = self._new_ticket(key, need)
        outage = home.outage
        if not home.waiting:
            if home.dials > len(home.seekers):
                home.seekers[ticket] = None
                return Wait(ticket)
            if outage.admits(home.dials, now) and self._has_place(home, ticket, now):
                self._begin_dial(home, ticket)
                home.seekers[ticket] = None
                return Dial(ticket)
            if now < outage.rests_until and not home.count:
                self._refuse(home, ticket, outage.reason, outage.error)
                self._rest(home)
                return Wait(ticket)
        if self._is_queue_full(home):
            self._refuse(home, ticket, Reason.QUEUE_FULL)
            if home.is_empty:
                self._rest(home)
            return Wait(ticket)
        home.waiting.join(ticket)
        if outage.failures:
            self._pause(home, now)
        self._line_up(home)
        return Wait(ticket)

    def _is_queue_full(self, home: Origin[Handle]) -> bool:
        most = self.settings.max_waiting
        return most is not None and sum(len(other.waiting) for other in self._family(home)) >= most

    def _has_place(self, home: Origin[Handle], ticket: Ticket, now: float) -> bool:
        """Say whether a dial may begin for a ticket; an idle connection is closed for it if needed."""
        if home.crowd >= self.settings.max_per_origin:
            victim = home.victim(ticket.need, now) or self._idle_of_others(home)
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
                self._schedule(canary, home.spare(canary, now))
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
            if home.lined_up == number and not self._is_full(home):
                first = home.waiting.first()
                if first is not None and first.number == number:
                    return home
            self._leave_line()
        return None

    def _leave_line(self) -> None:
        number, home = heapq.heappop(self._line)
        if home.lined_up == number:
            home.lined_up = 0
            self._starve(home)

    def _line_up(self, home: Origin[Handle]) -> None:
        """Let the first waiting ticket stand in line, if its origin's own cap is not in its way."""
        if self._is_full(home):
            self._starve(home)
            return
        if home.outage.failures and (home.dials or home.resumes_at < math.inf):
            return  # it would hold up the line
        first = home.waiting.first()
        if first is None or home.lined_up == first.number:
            return
        home.lined_up = first.number
        heapq.heappush(self._line, (first.number, home))

    # --- handing on ------------------------------------------------------------------------

    def _settle(self, home: Origin[Handle], now: float) -> None:
        """Hand on what a change in one origin left: to its tickets, then to the line."""
        if self._hungry and (home.head or home) in self._hungry:
            self._feed(home.head or home)
        if home.idle and home.seekers:
            for ticket in list(home.seekers):
                entry = self._pick(home, ticket.need, now)
                if entry is not None:
                    self._grant(home, ticket, entry)
        first = home.waiting.first()
        if first is not None:
            if self._line and self._is_older_in_line(first) and self._line[0][1].count == 0:
                self._fill(now)
            self._serve(home, now)
        if self._line:
            self._fill(now)
        if home.is_empty:
            self._rest(home)

    def _hand_on(self, home: Origin[Handle], entry: Entry[Handle], now: float) -> bool:
        """Grant a connection that was just released to who waits longest; False: more has to be weighed.

        What `_lay_idle` and `_settle` come to in a pool that is busy, at half of their cost.
        """
        others = home.idle or home.seekers or self._line or self._hungry or home.head or home.members
        if others or home.outage.failures or home.count < self.settings.max_per_origin:
            return False
        ticket = home.waiting.first()
        if ticket is None or ticket.need is not ANY:
            return False
        if not home.limit_idle_time(entry, now) or now >= entry.idle_deadline:
            return False
        home.waiting.remove(ticket)
        entry.reused = True  # as if it had lain idle
        self._reserve(ticket, entry)
        return True

    def _serve(self, home: Origin[Handle], now: float) -> None:
        """Give the waiting tickets of an origin, in order, what there is for them."""
        while (ticket := home.waiting.first()) is not None:
            full = home.crowd >= self.settings.max_per_origin and not (home.head or home).members
            if full and not home.idle and home.dials == len(home.seekers):
                break  # as a rule, in a pool that is busy: found out below too, at thrice the cost
            entry = self._pick(home, ticket.need, now)
            if entry is not None:
                self._grant(home, ticket, entry)
                continue
            if home.dials == len(home.seekers):
                if not home.outage.admits_waiter(home.dials, len(home.entries), now):
                    break
                if not self._has_place(home, ticket, now):
                    break
                self._begin_dial(home, ticket)
                self._actions.append(Dial(ticket))
            home.waiting.remove(ticket)
            home.seekers[ticket] = None
        while home.idle and self._hand_past(home, now):
            pass
        self._pause(home, now)
        self._line_up(home)

    def _hand_past(self, home: Origin[Handle], now: float) -> bool:
        """Give an idle connection to the first who can use it; False: nobody can."""
        for ticket in sorted(home.waiting.heads(), key=lambda head: head.number):
            entry = self._pick(home, ticket.need, now)
            if entry is not None:
                self._grant(home, ticket, entry)
                return True
        return False

    def _pause(self, home: Origin[Handle], now: float) -> None:
        """See to it that those who wait during an outage are looked at again when it allows."""
        if not home.outage.failures or home.dials or not home.waiting:
            return
        # Without connections there is nothing to wait for but the end of a rest.
        at = home.outage.looks_again_at() if home.entries else home.outage.rests_until
        if now < at < home.resumes_at:
            home.resumes_at = at
            heapq.heappush(self._pauses, (at, self._tickets, home))

    def _resume(self, now: float) -> None:
        """Look again at those whose pause is over."""
        while self._pauses and self._pauses[0][0] <= now:
            at, _, home = heapq.heappop(self._pauses)
            if at == home.resumes_at:
                home.resumes_at = math.inf
                if home.waiting:
                    self._settle(home, now)

    def _fill(self, now: float) -> None:
        """Give free places, or those of the least recently used idle connections, to the line."""
        while (home := self._first_in_line()) is not None:
            number = self._line[0][0]
            if self._connections + self._dialling >= self.settings.max_total and not self._idle:
                return
            self._leave_line()
            self._serve(home, now)
            if self._hungry:
                self._feed(home.head or home)
            if home.lined_up == number:
                return
