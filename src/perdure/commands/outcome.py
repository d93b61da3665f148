"""How a command ends: an exit status, at most one line of error, and the story on standard error.

0  yes, agreed      1  no, differed      2  could not be done: bad arguments, no such host, busy port
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from perdure.core.errors import Error

YES: Final = 0
NO: Final = 1
COULD_NOT: Final = 2
INTERRUPTED: Final = 130
"""What shells say of a program that was ended from the keyboard."""


class CouldNot(Error):
    """What was asked for cannot be done; the message is one line: what, where, expected, got."""


class Manner(NamedTuple):
    """In which manner a command tells what it does."""

    json: bool = False
    verbosity: int = 0


@contextlib.contextmanager
def tell_story(manner: Manner) -> Iterator[None]:
    """Let the log of perdure go to standard error: warnings, with -v events, with -vv all."""
    logger = logging.getLogger("perdure")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(manner.verbosity, logging.DEBUG))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def say(line: str) -> None:
    """Tell a person, on standard error."""
    print(line, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print one line of JSON for a machine."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def one_line(text: str) -> str:
    """A message without line ends."""
    return " ".join(text.split())
