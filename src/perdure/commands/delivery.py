"""Where the content of responses goes: to standard output, into files, or nowhere.

Nothing that was not asked for is printed: with `--json`, and of several requests, content is counted and
dropped unless -o or -O says where to put it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from perdure.client.models import Response
from perdure.commands.get_options import GetOptions
from perdure.commands.outcome import CouldNot
from perdure.commands.progress import Bar
from perdure.commands.story import head_of

Deliver = Callable[[bytes], None]
STANDARD_OUTPUT: Final = "-"
FIRST_BAD_STATUS: Final = 400


class Delivery:
    """Delivers responses as the options say."""

    def __init__(self, options: GetOptions, bar: Bar, *, printed: bool) -> None:
        """Open nothing yet.

        Args:
            bar: shows how a download goes on.
            printed: whether content goes to standard output where no file is named.
        """
        self._options = options
        self._bar = bar
        self._printed = printed

    @contextlib.contextmanager
    def open(self, response: Response) -> Iterator[Deliver]:
        """Give what takes the content of one response; its head is delivered at once.

        Raises:
            CouldNot: the file cannot be written, or the content is not for a terminal.
        """
        if self._options.fail and response.status >= FIRST_BAD_STATUS:
            yield _drop
            return
        path = self.path_of(response.url)
        if path is None and not self._printed and self._options.output != STANDARD_OUTPUT:
            yield _drop
            return
        with contextlib.ExitStack() as stack:
            out = sys.stdout.buffer if path is None else stack.enter_context(_created(path))
            if self._options.include or self._options.head:
                out.write(head_of(response))
            self._bar.begin(path.name if path is not None else "content", _length_of(response))
            stack.callback(self._bar.end)
            yield self._deliverer(out, on_terminal=path is None and sys.stdout.isatty())
            out.flush()

    def path_of(self, url: str) -> Path | None:
        """The file that takes the content of a URL; None for standard output.

        Raises:
            CouldNot: -O, and the URL names no file.
        """
        options = self._options
        if options.remote_name:
            name = urlsplit(url).path.rpartition("/")[2]
            if name in ("", ".", ".."):
                raise CouldNot(f"--remote-name: the name of a file expected at the end of {url}, got none")
            return (options.output_dir or Path()) / name
        if options.output is None or options.output == STANDARD_OUTPUT:
            return None
        return (options.output_dir or Path()) / options.output

    def _deliverer(self, out: IO[bytes], *, on_terminal: bool) -> Deliver:
        guarded = on_terminal and self._options.output is None
        bar = self._bar

        def deliver(piece: bytes) -> None:
            if guarded and b"\0" in piece:
                raise CouldNot('the content is no text for a terminal: -o FILE keeps it, "-o -" prints it')
            out.write(piece)
            out.flush()  # who reads it wants it now
            bar.advance(len(piece))

        return deliver


def _drop(piece: bytes) -> None:
    """What nobody asked for."""


def _created(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise CouldNot(f"--output: {path}: {error.strerror}") from error


def _length_of(response: Response) -> int | None:
    """What the head says the content is long; None where it does not."""
    said = response.headers.get("content-length", "")
    return int(said) if said.isdecimal() else None
