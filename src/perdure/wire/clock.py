"""Time, in seconds. Every other room is handed `now` as an argument or asks here.

Deadlines are points of monotonic time (`now()`; an event loop's `time()` is the same clock, so
the two may be compared); `math.inf` means none. Only the Date field is wall-clock time.

RFC 9110 §5.6.7 (IMF-fixdate).
"""

from __future__ import annotations

import time

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

now = time.monotonic
"""Monotonic seconds; only differences mean anything."""

wall_clock = time.time
"""Seconds since 1970-01-01 UTC; may jump when somebody sets the clock."""

cpu_seconds = time.process_time
"""CPU seconds, user and system, that this process has used."""


class _LatestDate:
    """The last date written, kept because a busy server asks thousands of times per second."""

    __slots__ = ("octets", "second")

    def __init__(self) -> None:
        self.second = -1
        self.octets = b""


_latest = _LatestDate()


def http_date(seconds: float) -> bytes:
    """Write a point of wall-clock time as an IMF-fixdate.

    Args:
        seconds: as `wall_clock()` gives them; fractions are cut off.

    Returns:
        29 octets such as b"Sun, 06 Nov 1994 08:49:37 GMT". The last second asked for is
        remembered, so asking again within it costs a comparison.

    RFC 9110 §5.6.7.
    """
    second = int(seconds)
    if second == _latest.second:
        return _latest.octets
    octets = _format_date(second)
    # Octets first: a thread that sees the new second must not read the old octets.
    _latest.octets = octets
    _latest.second = second
    return octets


def _format_date(second: int) -> bytes:
    moment = time.gmtime(second)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[moment.tm_wday],
        moment.tm_mday,
        _MONTHS[moment.tm_mon - 1],
        moment.tm_year,
        moment.tm_hour,
        moment.tm_min,
        moment.tm_sec,
    )


def local_time(seconds: float) -> str:
    """Write a point of wall-clock time as access logs do: "22/Nov/2026:00:31:00 +0000"."""
    moment = time.localtime(int(seconds))
    month = _MONTHS[moment.tm_mon - 1].decode()  # strftime's depends on the locale
    return time.strftime(f"%d/{month}/%Y:%H:%M:%S %z", moment)
