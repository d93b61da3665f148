"""What `perdure get --write-out` prints after each request: a text with the values of variables in it.

The variables are those of curl where it has them; the others are the words of `--json`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from perdure.commands.outcome import CouldNot
from perdure.commands.report import Row

VARIABLES: Final[Mapping[str, Callable[[Row], object]]] = {
    "http_code": lambda row: f"{row.status or 0:03d}",
    "response_code": lambda row: f"{row.status or 0:03d}",
    "size_download": lambda row: row.octets,
    "time_total": lambda row: f"{row.seconds:.6f}",
    "num_connects": lambda row: int(row.connection is not None and not row.reused),
    "url_effective": lambda row: row.url,
    "errormsg": lambda row: row.error,
    "number": lambda row: row.number,
    "connection_number": lambda row: "" if row.connection is None else row.connection,
    "reused": lambda row: str(row.reused).lower(),
    "idle_seconds": lambda row: f"{row.idle_seconds:.6f}",
    "ends": lambda row: "" if row.ends is None else row.ends.word,
}
_PIECE: Final = re.compile(r"%%|%\{([^}]*)\}|\\([nrt\\])")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def check(template: str) -> None:
    r"""Refuse variables that nobody knows.

    Raises:
        CouldNot: it names the first of them.
    """
    for name in _PIECE.findall(template):
        if name[0] and name[0] not in VARIABLES:
            known = ", ".join(VARIABLES)
            raise CouldNot(f"--write-out: one of {known} expected in %{{...}}, got {name[0]!r}")


def filled(template: str, row: Row) -> str:
    r"""The text for one request: `%{name}` is a value, `%%` a percent sign; \n, \r and \t are as in C."""

    def value(found: re.Match[str]) -> str:
        name, escaped = found.groups()
        if name:
            return str(VARIABLES[name](row))
        return _ESCAPED[escaped] if escaped else "%"

    return _PIECE.sub(value, template)
