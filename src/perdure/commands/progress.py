"""A progress bar on a terminal: of a long download, or of many requests. Never in a pipe.

It appears on standard error once something takes longer than `PATIENCE`, and is gone afterwards.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from perdure.wire.clock import now

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

PATIENCE: Final = 0.5
"""Seconds after which one wants to know."""


class Bar:
    """How something goes on. Where nobody watches, it does nothing."""

    def __init__(self, *, watched: bool, counts_octets: bool) -> None:
        """Show nothing yet.

        Args:
            watched: whether to show anything at all.
            counts_octets: True of a download, False of requests.
        """
        self._watched = watched
        self._counts_octets = counts_octets
        self._shown: Progress | None = None
        self._began = 0.0
        self._text = ""
        self._total: int | None = None
        self._done = 0

    def begin(self, text: str, total: int | None) -> None:
        """Something begins; `total` is None where nobody knows."""
        self._began = now()
        self._text, self._total, self._done = text, total, 0

    def advance(self, number: int) -> None:
        """So much more is done."""
        if not self._watched:
            return
        self._done += number
        if self._shown is None and now() - self._began >= PATIENCE:
            self._shown = _progress(self._counts_octets)
            self._shown.add_task(self._text, total=self._total)
            self._shown.start()
        if self._shown is not None:
            self._shown.update(self._shown.task_ids[0], completed=self._done)

    def say(self, text: str) -> None:
        """What is being done has another name now."""
        self._text = text
        if self._shown is not None:
            self._shown.update(self._shown.task_ids[0], description=text)
        else:
            self.advance(0)

    def end(self) -> None:
        """It is over, and the line is empty again."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None


def is_watched(stream: object = None) -> bool:
    """True if a person sees standard error, and its terminal can move its cursor."""
    from rich.console import Console

    console = Console(file=stream or sys.stderr)  # type: ignore[arg-type]  # a stream of text
    return console.is_terminal and not console.is_dumb_terminal


def _progress(counts_octets: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    text = TextColumn("{task.description}", markup=False)
    octets: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()]
    amount = octets if counts_octets else [MofNCompleteColumn()]
    columns = [text, BarColumn(), *amount, TimeRemainingColumn()]
    return Progress(*columns, console=Console(stderr=True), transient=True)
