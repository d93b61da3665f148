"""How a command ends: an exit status, at most one line of error, and the story on standard error.

0  yes, agreed      1  no, differed      2  could not be done: bad arguments, no such host, busy port
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TextIO

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


class StoryHandler(logging.StreamHandler[TextIO]):
    """Writes the story, each message on lines of its own."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.begin_lines("")

    def begin_lines(self, words: str) -> None:
        """Put words before every message from now on; they hold no "%"."""
        self.setFormatter(logging.Formatter(f"{words}%(message)s"))


def name_worker() -> None:
    """In a process that is one of several, let each line of the story say which one tells it."""
    for handler in logging.getLogger("perdure").handlers:
        if isinstance(handler, StoryHandler):
            handler.begin_lines(f"worker {os.getpid()}: ")


@contextlib.contextmanager
def tell_story(manner: Manner) -> Iterator[None]:
    """Let the log of perdure go to standard error: warnings; -v: ends of connections; -vv: all."""
    library, commands = logging.getLogger("perdure"), logging.getLogger("perdure.commands")
    handler = StoryHandler()
    before = library.level, commands.level
    library.addHandler(handler)
    # The rooms below tell of connections in DEBUG; of what a command tells, -vv is the longer half.
    library.setLevel(logging.DEBUG if manner.verbosity else logging.WARNING)
    commands.setLevel(logging.INFO if manner.verbosity == 1 else logging.NOTSET)
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.setLevel(before[0])
        commands.setLevel(before[1])


def say(line: str) -> None:
    """Tell a person, on standard error."""
    print(line, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print one line of JSON for a machine."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def one_line(text: str) -> str:
    """A message without line ends."""
    return " ".join(text.split())
