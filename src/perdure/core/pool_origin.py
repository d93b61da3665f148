"""One origin of the pool: its connections, its tickets, and how long its connections may lie.

The idle limit of a connection is the lowest of our own, the peer's hint and what was learned.

A request that may not be repeated asks for more: its connection must lie, with a margin for the
time the request travels, below that limit *and* below what connections of this origin are
proven to survive (or the peer's hint). The connection that has lain longest is the **canary**:
while the peer leaves it open, it proves its own age for all younger ones. So the first such
request dials a second connection, and from then on the first one lies there and proves.

Only connections that carried a request prove anything: before the first request another timer
of the server runs.

RFC 9112 §9.5, appendix C.2.2.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Final, Generic

from perdure.core.errors import LocalViolation
from perdure.core.keepalive import usable_seconds
from perdure.core.learning import Learning
from perdure.core.pool_entries import ANY, FRESH, PROVEN, Entry, Handle, Need, PoolSettings, Ticket
from perdure.core.pool_outage import Outage
from perdure.core.pool_queue import Waiting
from perdure.core.reason import Reason

LEAST_MARGIN_SECONDS: Final = 0.05
ROUND_TRIPS: Final = 2.0
"""The margin: one for the request and the news of a close to cross, one for jitter."""
SLOWEST_PACE_SECONDS: Final = 0.1
"""An exchange that takes longer tells how long the origin thinks; nobody waits for a canary that long."""
PACE_FORGOTTEN: Final = 0.125
"""The part of a slow exchange that each quicker one makes forgotten."""
_IDLE_LIMIT: Final = Reason.IDLE_LIMIT  # a member of an Enum costs 0.16 µs to look up, every release
RIPE_MARGINS: Final = 2.0
"""A first canary is left alone until it has proven this many margins."""
UNRIPE_MARGINS: Final = 1.5
"""With less than this proven, a canary is worth waiting for (below RIPE: floats round)."""
SPARED_RIPENINGS: Final = 2.0
"""So often a canary could have ripened before it is given up: others, who may, keep using it."""
SPARED_AGAIN_SECONDS: Final = 60.0
"""After such a failure the next attempt."""


class Origin(Generic[Handle]):
    """The connections and tickets of one origin.

    Attributes:
        key: as given to `lease`.
        entries: all connections; `idle`: those that lie idle, longest first.
        dials: dials under way.
        seekers: tickets that a dial under way will serve, at most `dials`; `waiting`: tickets
            without one, all younger. Both in order of service.
        learning: what is remembered of idle times, and `outage` of dials.
        pace: how long exchanges lately took, the slowest counting most. A dial may be answered by a
            proxy nearby, or by a kernel whose programs wait for a processor; an exchange is not.
        lined_up: number of the first waiting ticket as it stands in the ledger's line; else 0.
        spared_until: how long canaries are left to ripen at somebody's cost; infinite: no need so far.
        held_until: before it nobody may use the canary, since others are there; else minus infinity.
        resumes_at: when the ledger looks at who waits for the end of a pause; else infinite.
        looked_up_at: when the name was last resolved; minus infinity if there is none.
        head, members, claimed: where connections have owners (`pool_families`): the origin that this
            belongs to, or those that belong to it, and how many connections and dials these have.
        disowned: the owner has gone for good.
    """

    __slots__ = (
        "_settings", "claimed", "dials", "disowned", "entries", "head", "held_until", "idle", "key",
        "learning", "lined_up", "looked_up_at", "members", "outage", "pace", "resumes_at", "seekers",
        "spared_until", "waiting",
    )  # fmt: skip

    def __init__(self, key: Hashable, settings: PoolSettings, head: Origin[Handle] | None = None) -> None:
        self._settings = settings
        self.key = key
        self.entries: set[Entry[Handle]] = set()
        self.idle: dict[Entry[Handle], None] = {}  # in a busy pool, a third of an OrderedDict's cost
        self.dials = 0
        self.seekers: OrderedDict[Ticket, None] = OrderedDict()
        self.waiting = Waiting()
        self.learning: Learning = Learning() if head is None else head.learning
        self.pace: float = 0.0 if head is None else head.pace
        self.outage: Outage = Outage() if head is None else head.outage
        self.head = head
        self.members: set[Origin[Handle]] = set()
        self.claimed = 0
        self.disowned = False
        self.lined_up = 0
        self.spared_until = self.resumes_at = math.inf
        self.looked_up_at = self.held_until = -math.inf

    @property
    def count(self) -> int:
        """Its connections, idle ones included, and dials under way."""
        return len(self.entries) + self.dials

    @property
    def crowd(self) -> int:
        """What counts toward the cap: the same, of all owners."""
        head = self.head or self
        return len(head.entries) + head.dials + head.claimed

    @property
    def is_empty(self) -> bool:
        """True where nothing but memory is left."""
        return not (self.entries or self.dials or self.seekers or self.waiting or self.members)

    def limit_idle_time(self, entry: Entry[Handle], now: float) -> bool:
        """Set `idle_deadline` and `deadline_reason` of a connection from its `idle_since`.

        Returns:
            False where it may not lie idle at all.
        """
        settings, hint, learning = self._settings, entry.hint_timeout, self.learning
        learned = learning.latest_limit if now < learning.valid_until else learning.limit(now)
        limit, reason = settings.idle_timeout, _IDLE_LIMIT
        if hint is not None:
            usable = usable_seconds(hint, entry.rtt)
            if usable < limit:
                limit, reason = usable, Reason.IDLE_HINT
        elif learned == math.inf and settings.unlearned_idle_timeout is not None:
            limit = settings.unlearned_idle_timeout
        if learned - entry.rtt < limit:  # the request must arrive before the peer's clock runs out
            limit, reason = learned - entry.rtt, Reason.IDLE_LEARNED
        entry.idle_deadline = deadline = entry.idle_since + limit
        entry.deadline_reason = reason
        if entry.age_deadline < deadline:
            entry.idle_deadline = entry.age_deadline
            entry.deadline_reason = Reason.MAX_AGE
        return limit > 0

    def candidate(self, need: Need) -> Entry[Handle]:
        """The idle connection to look at first; there is one.

        The one that lay shortest is the surest, so "spread" leaves requests that may not be
        repeated alone.
        """
        if need is ANY and self._settings.order == "spread":
            return next(iter(self.idle))
        return next(reversed(self.idle))

    def suits(self, entry: Entry[Handle], need: Need, now: float) -> bool:
        """Say whether an idle connection, not past its deadline, serves a request with this need."""
        if need is ANY:
            return now >= self.held_until or entry is not self.canary()
        if need is FRESH or not entry.uses:
            return False
        margin = self.margin(entry)
        reach = now - entry.idle_since + margin
        if now + margin >= entry.idle_deadline:
            return False
        if entry.hint_timeout is not None and reach < self.learning.caution(now):
            return True
        return reach < min(self.learning.proof_limit(now), self.proven(now))

    def margin(self, entry: Entry[Handle]) -> float:
        """Seconds to stay below a limit, so that a request arrives before a close leaves."""
        return max(LEAST_MARGIN_SECONDS, ROUND_TRIPS * max(entry.rtt, self.pace))

    def saw_exchange(self, seconds: float) -> None:
        """Note how long an exchange took from its lease to its release."""
        if seconds > SLOWEST_PACE_SECONDS:
            seconds = SLOWEST_PACE_SECONDS
        pace = self.pace
        self.pace = seconds if seconds > pace else pace + (seconds - pace) * PACE_FORGOTTEN

    def still_suits(self, entry: Entry[Handle], need: Need, now: float) -> bool:
        """Say whether a connection granted a while ago may be taken now."""
        self.limit_idle_time(entry, now)  # something may have been learned since
        return now < entry.idle_deadline and self.suits(entry, need, now)

    def proven(self, now: float) -> float:
        """The idle age that a connection survives: from memory, or as the canary shows right now."""
        canary = self.canary()
        known = self.learning.proven(now)
        return known if canary is None else max(now - canary.idle_since, known)

    def canary(self) -> Entry[Handle] | None:
        """The longest idle connection that carried a request."""
        for entry in self.idle:
            if entry.uses:
                return entry
        return None

    def witnesses(self) -> Sequence[Entry[Handle]]:
        """As of `Ledger.witnesses`; there is an idle connection."""
        candidate, canary = self.candidate(PROVEN), self.canary()
        return (candidate,) if canary is None or canary is candidate else (canary, candidate)

    def victim(self, need: Need, now: float) -> Entry[Handle] | None:
        """The idle connection to close where a cap leaves no room for a dial; None: close none.

        The longest idle one; but a canary that will soon prove something is spared.
        """
        oldest = next(iter(self.idle), None)
        if now >= self.held_until:
            if oldest is None or need is not PROVEN or now >= self.ripens_at(oldest, now):
                return oldest
            if self.spared_until <= now < self.spared_until + SPARED_AGAIN_SECONDS:
                return oldest
        youngest = next(reversed(self.idle), None)
        return None if youngest is oldest else youngest

    def spare(self, canary: Entry[Handle], now: float) -> float:
        """Leave the only idle connection to ripen though somebody wants its place.

        Where there are other connections, requests that may be repeated leave it alone, too: in a pool that
        they keep busy nothing would ever be proven. If some of them wait already, the pool is so busy that it
        shall prove what any margin may ask for. A sole connection they use, and make young again; so there
        is an end to it: nobody who waits for a proof waits for ever.

        Returns:
            When to look again.
        """
        if now >= self.spared_until or self.spared_until == math.inf:
            self.spared_until = now + SPARED_RIPENINGS * RIPE_MARGINS * self.margin(canary)
        until = min(self.ripens_at(canary, now), self.spared_until)
        if len(self.entries) == 1 or self._settings.order == "spread":
            return until
        if self.waiting.repeatable_ones:
            longest = max(self.margin(canary), ROUND_TRIPS * SLOWEST_PACE_SECONDS)
            until = canary.idle_since + RIPE_MARGINS * longest
            self.spared_until = max(self.spared_until, until)
        self.held_until = until
        return until

    def ripens_at(self, canary: Entry[Handle], now: float) -> float:
        """When the canary will have proven that connections may follow each other closely.

        Without this, a pool whose connections are all busy with requests that may not be
        repeated would never have one idle long enough to prove anything, and dial for each.

        Returns:
            The time; or minus infinity where that is proven already, or cannot be.
        """
        margin = self.margin(canary)
        age = RIPE_MARGINS * margin
        if not canary.uses or self.learning.proven(now) >= UNRIPE_MARGINS * margin:
            return -math.inf
        if self.learning.proof_limit(now) <= age or canary.idle_since + age >= canary.idle_deadline:
            return -math.inf
        return canary.idle_since + age


def age_deadline(settings: PoolSettings, number: int, now: float) -> float:
    """When a connection dialled now is too old; infinite without `max_age`.

    The n-th connection gets the n-th term of the golden-ratio sequence, which spreads any run of
    connections more evenly than chance would. RFC 9112 §9.5.
    """
    if settings.max_age is None:
        return math.inf
    spread = 2 * ((number * 0.6180339887498949 + settings.age_phase) % 1.0) - 1
    return now + settings.max_age * (1 + settings.age_jitter * spread)


def misuse(message: str, reason: Reason = Reason.LOCAL_FAULT) -> LocalViolation:
    """The error of a driver that breaks the contract of the ledger. RFC 9112 §9.3."""
    return LocalViolation(message, reason)
