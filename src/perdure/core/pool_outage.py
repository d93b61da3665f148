"""What the last dials to an origin came to, and when the next one may begin.

    well ──a dial fails──▶ failing ──a dial succeeds──▶ well

An origin that cannot be dialled is dialled by one request at a time: whoever asks meanwhile waits
for what that dial says, and if it fails and no connection is left to wait for, all of them are told
at once. So a refusal is reported as soon as it is known, and a thousand requests to a dead origin
are one dial, not a thousand. While the origin still has connections, those who wait are served by
them, and dialled for ever more seldom.

`dial_rest` goes further, for an intermediary that may ask another origin instead: for so long after
a failure nobody dials at all, and who asks is refused at once; it doubles with each failure.

RFC 9112 §9.4.
"""

from __future__ import annotations

import math
from typing import Final

from perdure.core.reason import Reason

FIRST_PAUSE_SECONDS: Final = 0.1
"""After the second failure in a row; the first may be chance."""
LONGEST_PAUSE_SECONDS: Final = 5.0
LONGEST_REST: Final = 16.0
"""Times `dial_rest`."""
_DOUBLINGS: Final = 10


class Outage:
    """Of one origin.

    Attributes:
        failures: failed dials since the last that succeeded.
        reason, error: of the last of them; the error is the driver's own.
        rests_until: before it nobody dials; minus infinity where there is no rest.
        pauses_until: before it nobody is dialled for who waits already.
    """

    __slots__ = ("error", "failures", "pauses_until", "reason", "rests_until")

    def __init__(self) -> None:
        self.succeeded()

    def succeeded(self) -> None:
        """Forget it all: a dial came about."""
        self.failures = 0
        self.reason = Reason.CONNECT_FAILED
        self.error: object = None
        self.rests_until = self.pauses_until = -math.inf

    def failed(self, reason: Reason, error: object, now: float, dial_rest: float) -> None:
        """Note a dial that failed. `dial_rest` is the setting, in seconds."""
        self.failures += 1
        self.reason = reason
        self.error = error
        doublings = min(self.failures - 1, _DOUBLINGS)
        if dial_rest > 0:
            self.rests_until = now + dial_rest * min(2.0**doublings, LONGEST_REST)
        if doublings:
            pause = min(FIRST_PAUSE_SECONDS * 2.0 ** (doublings - 1), LONGEST_PAUSE_SECONDS)
            self.pauses_until = now + pause

    def admits(self, dials: int, now: float) -> bool:
        """Say whether a request that has just come may be dialled for, with so many dials under way."""
        return not self.failures or (dials == 0 and now >= self.rests_until)

    def admits_waiter(self, dials: int, connections: int, now: float) -> bool:
        """The same for one that waits already; without connections there is nothing to wait for."""
        if not self.failures:
            return True
        return self.admits(dials, now) and (connections == 0 or now >= self.pauses_until)

    def looks_again_at(self) -> float:
        """When who waits may be dialled for, if no dial is under way."""
        return max(self.rests_until, self.pauses_until)
