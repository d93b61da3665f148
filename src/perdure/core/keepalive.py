"""The Keep-Alive field: reading the peer's hints and stating ours.

The field is a hint, never a promise: `timeout` says how long the sender means to keep an idle
connection (seconds), `max` how many more requests it means to take. It counts only beside the
`keep-alive` connection option (R173, R174); whoever calls `parse` with `Facts.keep_alive` has
that for free. Parameters we do not know are kept, for diagnosis.

RFC 9112 appendix C.2.2, RFC 2068 §19.7.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

REMEMBERED_OCTETS: Final = 128
"""A longer field is parsed anew each time: nobody but an attacker sends one."""
LONGEST_HINT_SECONDS: Final = 600
"""A longer timeout is honoured as this much (undici caps there too): servers overstate."""

_PARAMETER: Final = re.compile(rb'[^,"]*(?:"(?:[^"\\]|\\.)*"?[^,"]*)*')
_NUMBER: Final = re.compile(rb"[0-9]{1,9}")  # int() refuses huge digit strings; so do we


class Hints(NamedTuple):
    """What a Keep-Alive field said.

    Attributes:
        timeout: seconds, None where absent or malformed.
        maximum: requests left on this connection, None where absent or malformed.
        others: the parameters that are neither, as (lower-case name, value without quotes).
    """

    timeout: int | None = None
    maximum: int | None = None
    others: tuple[tuple[bytes, bytes], ...] = ()


NO_HINTS: Final = Hints()


def parse(values: Iterable[bytes]) -> Hints:
    """Read the hints of the Keep-Alive lines of one head.

    Args:
        values: field values without line ends, such as [b"timeout=5, max=100"].

    Returns:
        Hints; the first well-formed value of a repeated parameter counts. Never raises: the
        field is a hint, and rubbish is no hint.

    RFC 9112 appendix C.2.2.
    """
    joined = b",".join(values)
    if not joined:
        return NO_HINTS
    return _remembered_parse(joined) if len(joined) <= REMEMBERED_OCTETS else _parse(joined)


def _parse(joined: bytes) -> Hints:
    known: dict[bytes, int] = {}
    others: list[tuple[bytes, bytes]] = []
    for parameter in _PARAMETER.findall(joined):
        name, _, value = parameter.strip(b" \t").partition(b"=")
        name, value = name.strip(b" \t").lower(), _unquoted(value.strip(b" \t"))
        if name in (b"timeout", b"max"):
            if _NUMBER.fullmatch(value):
                known.setdefault(name, int(value))
        elif name:
            others.append((name, value))
    return Hints(known.get(b"timeout"), known.get(b"max"), tuple(others))


_remembered_parse = lru_cache(512)(_parse)


def parse_keep_alive(value: bytes) -> tuple[int | None, int | None]:
    """Read the two hints of one Keep-Alive field value: (timeout in seconds, max in requests).

    None where absent or malformed; never raises. RFC 9112 appendix C.2.2.
    """
    hints = parse([value])
    return hints.timeout, hints.maximum


def _unquoted(value: bytes) -> bytes:
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':
        return re.sub(rb"\\(.)", rb"\1", value[1:-1])
    return value


@lru_cache(4096)
def format_hints(timeout: int | None, maximum: int | None) -> bytes:
    """The value of our own Keep-Alive field, such as b"timeout=75, max=999"; b"" for no hint.

    RFC 9112 appendix C.2.2.
    """
    parts = []
    if timeout is not None:
        parts.append(b"timeout=%d" % timeout)
    if maximum is not None:
        parts.append(b"max=%d" % maximum)
    return b", ".join(parts)


def usable_seconds(timeout: int, round_trip_seconds: float) -> float:
    """How long a connection may be idle and still be reused, given the peer's timeout hint.

    A request must arrive before the peer's clock runs out, so the time of a round trip, at
    least one second, is taken off. At most LONGEST_HINT_SECONDS; 0 or less means: do not reuse.

    RFC 9112 appendix C.2.2; the margin is that of .NET and Node.
    """
    return min(timeout, LONGEST_HINT_SECONDS) - max(1.0, round_trip_seconds)
