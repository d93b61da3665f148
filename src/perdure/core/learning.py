"""What is remembered of one origin: when it closed idle connections, and what they outlived.

Two kinds of evidence, each kept for `REMEMBERED_SECONDS`:

* a *close*: the peer ended a connection at some idle age. The lowest recent age × 0.9 is the
  `limit` of how long connections lie idle. The last `REMEMBERED_CLOSES` count.
* a *survival*: a connection was alive at some idle age. The longest is `proven`.

A proof is renewed by use. Otherwise a request that may not be repeated, every ten seconds, would
have to pay for a new canary whenever the last one is forgotten, because its own uses prove ten
seconds and no more. So each survival renews what was proven before, up to half as much again as
its own age; that a server's limit fell into just that gap without a word is the price, and it is
noticed by the close. A close that was seen on an idle connection proves, too, that it lived until then.

A server that restarts also closes idle connections, at any age, and must not end persistence
for ten minutes. So a close is not believed as a limit if a connection of the origin outlived
that age recently, or if others were closed at the same moment at other ages: a timer has one
age, a restart has one moment. What contradicts the close is forgotten, so a second one at that
age is believed. Below `USUAL_LIMIT_SECONDS` it takes two of an age.

Whoever may not fail asks `caution`, which believes every close: a promise is worth no more. But one at an
age that can be no limit was a *sudden* end. Where connections were seen to live on, for `proof_limit`, it
is heeded for a second, and for twice as long with every moment of its kind in memory. So a restart is
over soon, while a server that ends connections as it likes is asked less and less often what no server
may be asked twice.

RFC 9112 §9.5 (servers close idle connections whenever they like), §9.3.1.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

REMEMBERED_SECONDS: Final = 600.0
"""After this a limit is found out anew: at the price of one close, a server's change is noticed."""
REMEMBERED_CLOSES: Final = 8
FRACTION: Final = 0.9
"""Of the age seen: clocks, and the time a request travels."""
SAME_MOMENT_SECONDS: Final = 1.0
SAME_AGE_FACTOR: Final = 1.5
USUAL_LIMIT_SECONDS: Final = 1.0
"""Apache, lighttpd and gunicorn count in seconds; their least is one."""
SHORTEST_LIMIT_SECONDS: Final = 0.1
"""A close at a younger age is never an idle limit: a restart, or an end that was not announced."""
PATIENCE_SECONDS: Final = 1.0
"""How long the first sudden end is heeded."""
RENEWED_FACTOR: Final = 1.5
"""How far above its own age a survival renews an older proof: what jitter of users' timers needs."""
SURVIVAL_GRAIN_SECONDS: Final = REMEMBERED_SECONDS / 8
"""A shorter survival is not noted while a longer one is this recent: bounds the notes to 8 or 9."""


class _Close:
    __slots__ = ("at", "believed", "idle_seconds", "sudden")

    def __init__(self, at: float, idle_seconds: float, believed: bool, sudden: bool) -> None:
        self.at = at
        self.idle_seconds = idle_seconds
        self.believed = believed
        self.sudden = sudden


class Learning:
    """The evidence of one origin. Every `now` is monotonic seconds and never falls.

    Attributes:
        latest_limit: as `limit` says, until `valid_until`: each release asks, and a call costs 0.1 µs.
    """

    __slots__ = (
        "_caution", "_closes", "_moments", "_proof_limit", "_survivals", "latest_limit", "valid_until",
    )  # fmt: skip

    def __init__(self) -> None:
        self._closes: deque[_Close] = deque(maxlen=REMEMBERED_CLOSES)
        self._moments: deque[float] = deque(maxlen=REMEMBERED_CLOSES)  # of sudden ends
        self._survivals: deque[tuple[float, float]] = deque()  # (at, age): later ones are shorter
        self.latest_limit = math.inf
        self._caution = self._proof_limit = math.inf
        self.valid_until = math.inf

    def saw_close(self, idle_seconds: float, now: float, witnessed: bool = False) -> None:
        """Note that the peer ended a connection that had lain idle so long.

        Longer survivals are worth no more than `FRACTION` of it from now on.

        Args:
            witnessed: the end itself was seen, and at once: until shortly before it lived. Whether it was
                seen at once depends on the machine; so one short age is no proof, before it is seen again.
        """
        usual = self._may_be_a_limit(idle_seconds, now)
        believed = usual and idle_seconds >= self.proven(now)
        moment = [close for close in self._closes if now - close.at <= SAME_MOMENT_SECONDS]
        if any(_unlike(close.idle_seconds, idle_seconds) for close in moment):
            believed = False
            for close in moment:
                close.believed = False
        self._closes.append(_Close(now, idle_seconds, believed, sudden=not usual))
        if not usual and not (self._moments and now - self._moments[-1] <= SAME_MOMENT_SECONDS):
            self._moments.append(now)
        self._recall(now)
        lived = FRACTION * idle_seconds
        longer = [kept for kept in self._survivals if kept[1] > lived]
        if longer:
            self._survivals = deque(kept for kept in self._survivals if kept[1] <= lived)
        if longer or (witnessed and usual):
            self._note_survival(lived, now)

    def _may_be_a_limit(self, idle_seconds: float, now: float) -> bool:
        """No server's limit is as short as a restart is sudden; an unusual one has to be seen twice.

        Not in one moment: a restart ends many connections, and some of them are always of an age.
        """
        if idle_seconds >= USUAL_LIMIT_SECONDS:
            return True
        if idle_seconds < SHORTEST_LIMIT_SECONDS:
            return False
        earlier = [close for close in self._closes if now - close.at > SAME_MOMENT_SECONDS]
        alike = [close for close in earlier if not _unlike(close.idle_seconds, idle_seconds)]
        for close in alike:
            close.sudden = False
        return bool(alike)

    def saw_survival(self, idle_seconds: float, now: float) -> None:
        """Note that a connection was alive after it had lain idle so long."""
        survivals = self._survivals
        if survivals:  # as a rule it adds nothing to what was noted last
            at, age = survivals[-1]
            if RENEWED_FACTOR * idle_seconds < age and now - at < SURVIVAL_GRAIN_SECONDS:
                return
        known = self.proven(now)
        if idle_seconds < known:
            idle_seconds = min(known, RENEWED_FACTOR * idle_seconds)
        self._note_survival(idle_seconds, now)

    def _note_survival(self, idle_seconds: float, now: float) -> None:
        survivals = self._survivals
        while survivals and survivals[-1][1] <= idle_seconds:
            survivals.pop()
        if not survivals or now - survivals[-1][0] >= SURVIVAL_GRAIN_SECONDS:
            survivals.append((now, idle_seconds))

    def limit(self, now: float) -> float:
        """How long a connection of this origin may lie idle; infinite while nothing is known."""
        if now >= self.valid_until:
            self._recall(now)
        return self.latest_limit

    def caution(self, now: float) -> float:
        """The same for a request that may not fail: every close is believed."""
        if now >= self.valid_until:
            self._recall(now)
        return self._caution

    def proof_limit(self, now: float) -> float:
        """The same where it is proven that connections live longer: a sudden end is heeded for a while."""
        if now >= self.valid_until:
            self._recall(now)
        return self._proof_limit

    def proven(self, now: float) -> float:
        """The longest idle age that a connection recently survived; 0.0 while there is none."""
        survivals = self._survivals
        while survivals and now - survivals[0][0] >= REMEMBERED_SECONDS:
            survivals.popleft()
        return survivals[0][1] if survivals else 0.0

    def _recall(self, now: float) -> None:
        closes = self._closes
        while closes and now - closes[0].at >= REMEMBERED_SECONDS:
            closes.popleft()
        calm_at = self._calm_at(now)
        heeded = (close.idle_seconds for close in closes if not close.sudden or now < calm_at)
        self._proof_limit = FRACTION * min(heeded, default=math.inf)
        self._caution = FRACTION * min((close.idle_seconds for close in closes), default=math.inf)
        believed = (close.idle_seconds for close in closes if close.believed)
        self.latest_limit = FRACTION * min(believed, default=math.inf)
        self.valid_until = closes[0].at + REMEMBERED_SECONDS if closes else math.inf
        if now < calm_at < self.valid_until:
            self.valid_until = calm_at

    def _calm_at(self, now: float) -> float:
        """When the sudden ends in memory are no longer heeded."""
        moments = self._moments
        while moments and now - moments[0] >= REMEMBERED_SECONDS:
            moments.popleft()
        return moments[-1] + PATIENCE_SECONDS * 2 ** (len(moments) - 1) if moments else -math.inf


def _unlike(one: float, other: float) -> bool:
    return one > SAME_AGE_FACTOR * other or other > SAME_AGE_FACTOR * one
