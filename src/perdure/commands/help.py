"""The help of a command: its options under headlines, none of them cut off at any width.

Typer's own panels are tables whose columns lose the ends of long names in 80 columns. Here an option that
is too long for its column has a line of its own, with its text below it.
"""

from __future__ import annotations

from typing import Any, Final

import typer
import typer.core

GENERAL: Final = "Options"
"""The headline of what every command has; it comes last."""
WIDTH_MAXIMUM: Final = 110
"""Columns; longer lines are hard to read."""


class HelpfulCommand(typer.core.TyperCommand):
    """A command whose help is laid out as above."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, text, options and example. Typer would write its panels instead."""
        formatter.width = min(ctx.terminal_width or _terminal_columns(), WIDTH_MAXIMUM)
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a list for each headline, in the order in which they first occur, the general one last."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None) or GENERAL
                panels.setdefault(panel, []).append(record)
        if GENERAL in panels:
            panels[GENERAL] = panels.pop(GENERAL)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records, col_max=26)


def _terminal_columns() -> int:
    """The width of the terminal, or what COLUMNS says; 80 where there is neither."""
    import shutil

    return shutil.get_terminal_size().columns
