"""Where the content of responses goes: to standard output, into files, or nowhere.

Nothing that was not asked for is printed: with `--json`, and of several requests, content is counted and
dropped unless -o or -O says where to put it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast
from urllib.parse import urlsplit

from perdure.client.models import Response
from perdure.commands.get_options import GetOptions
from perdure.commands.outcome import CouldNot
from perdure.commands.progress import Bar
from perdure.commands.story import head_of
from perdure.core.errors import Error

Deliver = Callable[[bytes], None]
STANDARD_OUTPUT: Final = "-"
FIRST_BAD_STATUS: Final = 400
PARTIAL: Final = 206
RANGE_NOT_SATISFIABLE: Final = 416


class DoesNotGoOn(Error):
    """The server was asked to go on with a download, and answered with something else."""


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
        self._dumped = False

    @contextlib.contextmanager
    def open(self, response: Response) -> Iterator[Deliver]:
        """Give what takes the content of one response; its head is delivered at once.

        Raises:
            CouldNot: the file cannot be written, or the content is not for a terminal.
            DoesNotGoOn: it is not what --continue-at asked for; the file stays as it is.
        """
        self._dump_head(response)
        if is_complete(self._options, response):
            yield _drop
            return
        if self._options.fail and response.status >= FIRST_BAD_STATUS:
            yield _drop
            return
        path = path_of(self._options, response.url)
        if path is None and not self._printed and self._options.output != STANDARD_OUTPUT:
            yield _drop
            return
        with contextlib.ExitStack() as stack:
            out = sys.stdout.buffer if path is None else stack.enter_context(self._out(path, response))
            if self._options.include or self._options.head:
                out.write(head_of(response))
            self._bar.begin(path.name if path is not None else "content", _length_of(response))
            stack.callback(self._bar.end)
            yield self._deliverer(out, on_terminal=path is None and sys.stdout.isatty())
            out.flush()

    def _dump_head(self, response: Response) -> None:
        """Write its head where --dump-header says: the first one begins the file, others follow."""
        where = self._options.dump_header
        if where == STANDARD_OUTPUT:
            sys.stdout.buffer.write(head_of(response))
            sys.stdout.buffer.flush()
        elif where is not None:
            with _opened(Path(where), "ab" if self._dumped else "wb", "--dump-header") as file:
                file.write(head_of(response))
            self._dumped = True

    def _out(self, path: Path, response: Response) -> IO[bytes]:
        """The file that takes the content: anew, or where --continue-at goes on.

        Raises:
            CouldNot: it cannot be written.
            DoesNotGoOn: the server does not go on there.
        """
        start = beginning(self._options, response.url)
        if not start:
            return _opened(path, "wb", "--output")
        if response.status != PARTIAL or not _goes_on(response, start):
            got = f"{response.status} {response.reason_phrase}".strip()
            raise DoesNotGoOn(f"--continue-at: 206 from octet {start} on expected of the server, got {got}")
        file = _opened(path, "r+b" if path.exists() else "wb", "--output")
        file.seek(start)
        file.truncate()
        return file

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


def path_of(options: GetOptions, url: str) -> Path | None:
    """The file that takes the content of a URL; None for standard output.

    Raises:
        CouldNot: -O, and the URL names no file.
    """
    if options.remote_name:
        name = urlsplit(url).path.rpartition("/")[2]
        if name in ("", ".", ".."):
            raise CouldNot(f"--remote-name: the name of a file expected at the end of {url}, got none")
        return (options.output_dir or Path()) / name
    if options.output is None or options.output == STANDARD_OUTPUT:
        return None
    return (options.output_dir or Path()) / options.output


def beginning(options: GetOptions, url: str) -> int:
    """The octet from which on --continue-at wants the content of a URL; 0: all of it."""
    if options.continue_at is None:
        return 0
    if options.continue_at != "-":
        return int(options.continue_at)
    path = path_of(options, url)
    return path.stat().st_size if path is not None and path.exists() else 0


def is_complete(options: GetOptions, response: Response) -> bool:
    """Whether --continue-at was told that nothing follows: 416, of as many octets as the file has.

    RFC 9110 §15.5.17 (Content-Range of a 416).
    """
    start = beginning(options, response.url)
    if not start or response.status != RANGE_NOT_SATISFIABLE:
        return False
    path = path_of(options, response.url)
    if path is None or not path.exists() or path.stat().st_size != start:
        return False
    return response.headers.get("content-range", "").strip().lower() == f"bytes */{start}"


def _goes_on(response: Response, start: int) -> bool:
    """Whether the content begins where it was asked to. RFC 9110 §14.4."""
    return response.headers.get("content-range", "").lower().startswith(f"bytes {start}-")


def _opened(path: Path, mode: str, option: str) -> IO[bytes]:
    try:
        return cast("IO[bytes]", path.open(mode))
    except OSError as error:
        raise CouldNot(f"{option}: {path}: {error.strerror}") from error


def _length_of(response: Response) -> int | None:
    """What the head says the content is long; None where it does not."""
    said = response.headers.get("content-length", "")
    return int(said) if said.isdecimal() else None
