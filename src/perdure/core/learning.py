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
age is believed. Below `USUAL_LIMIT_SECONDS` it takes two of an age, one after the other.

Whoever may not fail asks `caution`, which believes every close: a promise is worth no more. But an end
of a moment with many ages, or at an age at which no timer ends anything, was a *sudden* one. Where
connections were seen to live on, for `proof_limit`, it is heeded for a second, and for twice as long with
every moment of its kind, up to ten minutes, until none came for twenty. So a restart is over soon, while
a server that ends connections as it likes is hardly asked what no server may be asked twice.

RFC 9112 §9.5 (servers close idle connections whenever they like), §9.3.1.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
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
MOST_MOMENTS: Final = 11
"""Of sudden ends, after which patience no longer grows: it is longer than the memory."""
CALM_SECONDS: Final = 2 * REMEMBERED_SECONDS
"""After so long without a sudden end the next one is the first."""
RENEWED_FACTOR: Final = 1.5
"""How far above its own age a survival renews an older proof: what jitter of users' timers needs."""
SURVIVAL_GRAIN_SECONDS: Final = REMEMBERED_SECONDS / 8
"""A shorter survival is not noted while a longer one is this recent: bounds the notes to 8 or 9."""


class _Close:
    """The end of a connection that had lain idle.

    Attributes:
        at: when it came; `idle_seconds`: the age.
        usual: a timer may have that age; `mixed`: others ended in that moment at other ages.
        believed: as a limit.
    """

    __slots__ = ("at", "believed", "idle_seconds", "mixed", "usual")

    def __init__(self, at: float, idle_seconds: float, usual: bool) -> None:
        self.at = at
        self.idle_seconds = idle_seconds
        self.usual = usual
        self.mixed = self.believed = False

    @property
    def sudden(self) -> bool:
        """True if that was no timer."""
        return self.idle_seconds < SHORTEST_LIMIT_SECONDS or (self.mixed and not self.usual)

    def says_all_of(self, other: _Close) -> bool:
        """Whether another end of that moment adds nothing."""
        return (
            self.idle_seconds <= other.idle_seconds
            and not _unlike(self.idle_seconds, other.idle_seconds)
            and self.usual >= other.usual
            and self.believed >= other.believed
        )


class Learning:
    """The evidence of one origin. Every `now` is monotonic seconds and never falls.

    Attributes:
        latest_limit: as `limit` says, until `valid_until`: each release asks, and a call costs 0.1 µs.
    """

    __slots__ = (
        "_caution", "_closes", "_moment_at", "_moments", "_proof_limit", "_sudden_at", "_survivals",
        "latest_limit", "valid_until",
    )  # fmt: skip

    def __init__(self) -> None:
        self._closes: deque[_Close] = deque(maxlen=REMEMBERED_CLOSES)
        self._moments = 0  # of sudden ends; when the latest began, and when the last such end came
        self._moment_at = self._sudden_at = -math.inf
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
        close = _Close(now, idle_seconds, self._may_be_a_limit(idle_seconds, now))
        close.believed = close.usual and idle_seconds >= self.proven(now)
        self._note_close(close, [other for other in self._closes if now - other.at <= SAME_MOMENT_SECONDS])
        if close.sudden:
            self._note_sudden(now)
        self._recall(now)
        lived = FRACTION * idle_seconds
        longer = [kept for kept in self._survivals if kept[1] > lived]
        if longer:
            self._survivals = deque(kept for kept in self._survivals if kept[1] <= lived)
        if longer or (witnessed and close.usual):
            self._note_survival(lived, now)

    def _note_close(self, close: _Close, moment: Sequence[_Close]) -> None:
        """Keep an end, unless others of its moment say all that it says: a crowd would drive out the rest."""
        if any(_unlike(other.idle_seconds, close.idle_seconds) for other in moment):
            for one in (close, *moment):
                one.mixed, one.believed = True, False
        if not any(other.says_all_of(close) for other in moment):
            self._closes.append(close)

    def _may_be_a_limit(self, idle_seconds: float, now: float) -> bool:
        """No server's limit is as short as a restart is sudden; an unusual one has to be seen twice.

        Not at once: a restart ends many connections, and some of them are always of an age.
        """
        if idle_seconds >= USUAL_LIMIT_SECONDS:
            return True
        return idle_seconds >= SHORTEST_LIMIT_SECONDS and any(
            not close.mixed
            and now - close.at >= SHORTEST_LIMIT_SECONDS
            and not _unlike(close.idle_seconds, idle_seconds)
            for close in self._closes
        )

    def _note_sudden(self, now: float) -> None:
        if now - self._sudden_at >= CALM_SECONDS:
            self._moments = 0
        if now - self._moment_at > SAME_MOMENT_SECONDS:
            self._moments = min(self._moments + 1, MOST_MOMENTS)
            self._moment_at = now
        self._sudden_at = now

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
        calm_at = self._calm_at()
        heeded = (close.idle_seconds for close in closes if not close.sudden or now < calm_at)
        self._proof_limit = FRACTION * min(heeded, default=math.inf)
        self._caution = FRACTION * min((close.idle_seconds for close in closes), default=math.inf)
        believed = (close.idle_seconds for close in closes if close.believed)
        self.latest_limit = FRACTION * min(believed, default=math.inf)
        self.valid_until = closes[0].at + REMEMBERED_SECONDS if closes else math.inf
        if now < calm_at < self.valid_until:
            self.valid_until = calm_at

    def _calm_at(self) -> float:
        """When the last sudden end is no longer heeded."""
        return self._sudden_at + PATIENCE_SECONDS * 2.0 ** (self._moments - 1)


def _unlike(one: float, other: float) -> bool:
    if one < SHORTEST_LIMIT_SECONDS > other:
        return False
    return one > SAME_AGE_FACTOR * other or other > SAME_AGE_FACTOR * one
