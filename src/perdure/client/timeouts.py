"""How long one request may take, part by part: what callers write as `timeout=`.

    timeout=5                          every part: connecting, silence of the peer, waiting for a connection
    timeout=(3, 60)                    connect and read, as requests has it
    timeout=(3, 60, 60, 10)            connect, read, write, pool
    timeout={"connect": 3}             the parts named
    timeout=Timeout(connect=3, read=60)

A part that is not given, or None, keeps what the settings say; `math.inf` waits for ever. So a None that
comes through a wrapper never takes a limit away.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from perdure.client.settings import ClientSettings


@dataclass(slots=True, frozen=True)
class Timeout:
    """Limits in seconds; None for the settings' own, `math.inf` for none.

    Attributes:
        connect: resolving, connecting and shaking hands.
        read: silence of the peer while a response is awaited.
        write: how long the peer may take none of the request.
        pool: waiting for a connection while the caps are reached.

    Raises:
        ValueError: for a negative number, or what is no number.
    """

    connect: float | None = None
    read: float | None = None
    write: float | None = None
    pool: float | None = None

    def __post_init__(self) -> None:
        for name in PARTS:
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not value >= 0:
                raise ValueError(f"timeout: expected seconds for {name}, 0 or more, got {value!r}")


PARTS = ("connect", "read", "write", "pool")
TimeoutSource: TypeAlias = (
    float | Timeout | Mapping[str, float | None] | tuple[float | None, float | None]
    | tuple[float | None, float | None, float | None, float | None]
)  # fmt: skip


def timeout_of(source: TimeoutSource | None) -> Timeout | None:
    """Read what a caller gave; None for None.

    Raises:
        TypeError, ValueError: for a part that there is not, or a value that is no time.
    """
    if source is None or isinstance(source, Timeout):
        return source
    if isinstance(source, Mapping):
        unknown = set(source) - set(PARTS)
        if unknown:
            raise ValueError(f"timeout: expected some of {', '.join(PARTS)}, got {sorted(unknown)[0]!r}")
        return Timeout(**source)
    if isinstance(source, tuple):
        if len(source) not in (2, 4):
            raise ValueError(f"timeout: expected (connect, read) or ({', '.join(PARTS)}), got {source!r}")
        return Timeout(*source)
    if not isinstance(source, int | float):
        raise TypeError(f"timeout: expected seconds, a Timeout, a dict or a tuple, got {source!r}")
    return Timeout(source, source, source, source)


def with_timeouts(settings: ClientSettings, source: TimeoutSource | None) -> ClientSettings:
    """The settings with a client's own `timeout=` in place of theirs. Raises as `timeout_of`."""
    timeout = timeout_of(source)
    if timeout is None:
        return settings
    given = {f"{part}_timeout": value for part in PARTS if (value := getattr(timeout, part)) is not None}
    return dataclasses.replace(settings, **given)
