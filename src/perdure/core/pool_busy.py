"""What a busy pool does most: hand out the connection that was laid idle last, and lay it idle again.

Each method is one of the ledger's for the case that nobody waits and nothing ends; it does all of it, or
says that it did nothing. A lease and its release cost 4.5 µs by the general way and 2 by this one
(bench/bench_forward.py). That they come to the same is what tests/core/test_pool_busy.py shows.

RFC 9112 §9.3, §9.5.
"""

from __future__ import annotations

from collections.abc import Hashable

from perdure.core.pool_entries import IDLE, LEASED, Entry, Handle, PoolSettings
from perdure.core.pool_upkeep import Upkeep
from perdure.core.reason import Reason

_PERSISTS_11 = Reason.PERSISTS_11  # a member of an Enum costs 0.16 µs to look up, every release


class Busy(Upkeep[Handle]):
    """The short ways of a ledger."""

    def __init__(self, settings: PoolSettings) -> None:
        super().__init__(settings)
        self._latest_first = settings.order == "lifo"

    def lease_latest(self, origin: Hashable, now: float) -> Entry[Handle] | None:
        """Reserve the connection that was laid idle last, for a request that may be repeated.

        Returns:
            None where there is more to do than that, by `Ledger.lease_idle`: nothing was done.

        RFC 9112 §9.3.
        """
        home = self._origins.get(origin)
        if home is None or not home.idle or self._closed or not self._latest_first:
            return None
        if now < home.held_until:  # which one is held back is a question of the general way
            return None
        entry, _ = home.idle.popitem()
        if now >= entry.idle_deadline:
            home.idle[entry] = None
            return None
        del self._idle[entry]
        entry.state = LEASED
        entry.idle_seconds = now - entry.idle_since
        entry.uses += 1
        self._requests += 1
        self._reused += entry.reused
        return entry

    def lay_latest(
        self, entry: Entry[Handle], now: float, reason: Reason, hint_timeout: int | None, hint_max: int | None
    ) -> bool:
        """Lay a leased connection idle, its response being received to its end: `release` in one step.

        Args:
            reason, hint_timeout, hint_max: as of `Ledger.release`.

        Returns:
            False where there is more to do than that, by `Ledger.release`: nothing was done. True leaves
            neither an action nor an earlier deadline behind.

        RFC 9112 §9.3, §9.5.
        """
        most = self.settings.max_requests
        if (
            entry.state is not LEASED
            or reason is not _PERSISTS_11
            or self._closed
            or entry.doom is not None
            or not (hint_max is None is entry.hint_max)
            or not (hint_timeout is None or hint_timeout == entry.hint_timeout)
            or (most is not None and entry.uses >= most)
            or self._line
            or self._hungry
        ):
            return False
        home = self._origins[entry.origin]
        if home.disowned or home.seekers or home.waiting.count:
            return False
        since, entry.idle_since = entry.idle_since, now
        if not home.limit_idle_time(entry, now) or not now < entry.idle_deadline >= entry.scheduled:
            entry.idle_since = since
            return False
        if entry.uses > 1:
            home.learning.saw_survival(entry.idle_seconds, now)
        home.saw_exchange(now - since - entry.idle_seconds)
        entry.state = IDLE
        entry.reused = True
        home.idle[entry] = None
        self._idle[entry] = None
        return True
