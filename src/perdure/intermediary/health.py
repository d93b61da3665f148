"""Whether an origin is asked: what its failures, its rests and its checks say.

                   a failed dial, or `fail_count` failures within `fail_window`
    IN ───────────────────────────────────────────────────────────────────────────▶ RESTING
     │◀──────────── `fail_rest` is over, or `healthy_checks` checks passed in a row ────┘ │
     │                                                                                    │ the same
     │  `unhealthy_checks` checks failed in a row                                         ▼
     └──────────────────────────────────────────────────────────────────────────────▶ FAILED
     ▲──────────────── `healthy_checks` checks passed in a row ──────────────────────────┘

A rest doubles each time, up to LONGEST_REST times, until the origin answers a request. Whoever comes back
from anywhere gets its share of the requests little by little (`slow_start`). There is no clock in here, and
nothing is asked here on behalf of a request: what changes is told to who balances, once.

That an origin is out means that others are asked first. Where all are out, all are asked (`balance`).

RFC 9110 §15.6.3 to §15.6.5 (what a client would get otherwise).
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from perdure.config import Count, Seconds, check_settings

LONGEST_REST: Final = 16.0
"""Times `fail_rest`."""
LEAST_SHARE: Final = 0.1
"""Of its requests, which an origin that has come back gets at once; the rest grows in as many steps."""


@dataclass(slots=True, frozen=True, kw_only=True)
class HealthSettings:
    """When an origin is left alone, and how it comes back.

    Raises:
        ValueError: one of them is not what its type says; the message names it.
    """

    fail_count: Count = 3
    """Failures of an origin within `fail_window` after which others are asked. One that cannot be connected
    to needs one."""
    fail_window: Seconds = 10.0
    """See `fail_count` (nginx, fail_timeout)."""
    fail_rest: Seconds = 1.0
    """How long an origin that failed is then left alone, doubling up to 16 times until it answers. 0: not at
    all."""
    fail_on_5xx: bool = False
    """Whether a status of 500 and above is a failure, too."""
    slow_start: Seconds = 0.0
    """Over how long an origin that has come back gets its share of requests little by little (HAProxy)."""
    health_path: str | None = None
    """Path that an origin is asked for from time to time: below 400 it is well. none: no checks."""
    health_host: str | None = None
    """What Host says in a check. none: the origin's own."""
    health_interval: Seconds = 5.0
    """From check to check, ± 10 %."""
    health_timeout: Seconds = 2.0
    """How long a check may take altogether."""
    healthy_checks: Count = 2
    """Checks in a row that bring an origin back (HAProxy, rise)."""
    unhealthy_checks: Count = 3
    """Failed checks in a row after which others are asked (HAProxy, fall)."""

    def __post_init__(self) -> None:
        check_settings(self)
        path = self.health_path
        if path is not None and not (path.startswith("/") and path.isascii() and path.isprintable()):
            raise ValueError(f'health_path: a path expected, as in "/health", got {path!r}')
        if path is not None and " " in path:
            raise ValueError(f"health_path: a path without blanks expected, got {path!r}")
        if path is not None and not self.health_interval:
            raise ValueError("health_interval: a number of seconds above 0 expected, got 0")


@enum.unique
class Condition(enum.Enum):
    """Where an origin is; see the module."""

    IN = "in"
    RESTING = "resting"
    FAILED = "failed"


IN: Final = Condition.IN
RESTING: Final = Condition.RESTING
FAILED: Final = Condition.FAILED


class Health:
    """Of one origin.

    Attributes:
        condition: `Condition`.
        share: the part of its requests that it gets while it is in, in (0, 1].
        failures: of requests and dials, since the start; `checks_failed` those of checks.
        checked: None until a check was over; then whether the last one passed.
        deadline: when `deadline_reached` has something to do; infinite while there is nothing.
        changed: called without arguments when `condition` or `share` is another.
        attentive: True while `answered` wants to hear of responses: few do.
    """

    __slots__ = (
        "_back_at", "_failed_at", "_in_a_row", "_rests",
        "attentive", "changed", "checked", "checks_failed", "condition", "deadline", "failures",
        "settings", "share",
    )  # fmt: skip

    def __init__(self, settings: HealthSettings, changed: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self.changed = changed
        self.condition = IN
        self.share = 1.0
        self.failures = self.checks_failed = 0
        self.checked: bool | None = None
        self.deadline = math.inf
        self.attentive = settings.fail_on_5xx
        self._failed_at: deque[float] = deque(maxlen=settings.fail_count)
        self._rests = 0
        self._in_a_row = 0  # checks that said the same as the last one
        self._back_at = -math.inf

    def failed(self, now: float, *, unreachable: bool = False) -> None:
        """Note that a request failed for a fault of the origin's.

        Args:
            unreachable: there was no connection to be had.
        """
        self.failures += 1
        self._failed_at.append(now)
        settings = self.settings
        often = len(self._failed_at) == settings.fail_count
        if not unreachable and not (often and now - self._failed_at[0] <= settings.fail_window):
            return
        if self.condition is IN and settings.fail_rest > 0:
            self._rest(now)

    def answered(self, status: int, now: float) -> None:
        """Note a response to a request; only while `attentive`."""
        if self.settings.fail_on_5xx and status >= 500:
            self.failed(now)
        elif self._rests and self.condition is IN:
            self._rests = 0
            self.attentive = self.settings.fail_on_5xx

    def check_passed(self, now: float) -> None:
        """Note a check that the origin passed."""
        self._in_a_row = self._in_a_row + 1 if self.checked else 1
        self.checked = True
        if self.condition is not IN and self._in_a_row >= self.settings.healthy_checks:
            self._come_back(now)

    def check_failed(self) -> None:
        """Note a check that it did not pass."""
        self.checks_failed += 1
        self._in_a_row = self._in_a_row + 1 if self.checked is False else 1
        self.checked = False
        if self.condition is not FAILED and self._in_a_row >= self.settings.unhealthy_checks:
            self.condition = FAILED
            self.deadline = math.inf
            self.changed()

    def deadline_reached(self, now: float) -> None:
        """Let a rest end, or the share grow."""
        if self.condition is RESTING:
            self._come_back(now)
        else:
            self._grow(now)
            self.changed()

    def _rest(self, now: float) -> None:
        doublings = min(2.0 ** min(self._rests, 10), LONGEST_REST)
        self._rests += 1
        self._failed_at.clear()
        self.condition = RESTING
        self.attentive = True
        self.deadline = now + self.settings.fail_rest * doublings
        self.changed()

    def _come_back(self, now: float) -> None:
        self.condition = IN
        self._back_at = now
        self._grow(now)
        self.changed()

    def _grow(self, now: float) -> None:
        """Set the share for this moment."""
        seconds = self.settings.slow_start
        grown = (now - self._back_at) / seconds if seconds > 0 else 1.0
        if grown >= 1.0:
            self.share, self.deadline = 1.0, math.inf
        else:
            self.share, self.deadline = max(grown, LEAST_SHARE), now + seconds * LEAST_SHARE
