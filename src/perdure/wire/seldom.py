"""A line for the log once a minute at most, however often something happens.

    seldom = Seldom()
    if times := seldom.note("accept", now):
        logger.warning("accepting failed%s", how_often(times))

The first time is told at once; after that the minute's count comes with the next one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

TELLING_SECONDS: Final = 60.0
MOST_KEYS: Final = 1024
"""More different things than this are told as if they were new; they may be a peer's invention."""


class Seldom:
    """Counts what repeats. The clock is the caller's."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[Hashable, tuple[float, int]] = {}

    def note(self, key: Hashable, now: float) -> int:
        """Note that something happened.

        Args:
            key: what; each has its own count.
            now: monotonic seconds.

        Returns:
            How often since the last line, this time included, if a line is due; else 0.
        """
        at, untold = self._told.get(key, (None, 0))
        if at is not None and now - at < TELLING_SECONDS:
            self._told[key] = at, untold + 1
            return 0
        if at is None and len(self._told) >= MOST_KEYS:
            self._told.clear()
        self._told[key] = now, 0
        return untold + 1


def how_often(times: int) -> str:
    """The words behind a line: none for what happened once."""
    return f" ({times} times since this was last said)" if times > 1 else ""
