"""The command line: `perdure serve`, `gateway`, `proxy`, `get`, `lab` and `demo`.

Exit status 0 yes, 1 no or differed, 2 could not do it. An error is one line on standard error that says what,
where, expected, got; `--debug` shows its traceback. What the commands do is in `commands`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from perdure.commands import demo, gateway, get, lab, proxy, serve
from perdure.commands.command import add_command
from perdure.commands.outcome import COULD_NOT, INTERRUPTED, one_line, say
from perdure.core.errors import Error

COMMANDS = (serve.COMMAND, gateway.COMMAND, proxy.COMMAND, get.COMMAND, lab.COMMAND, demo.COMMAND)
UsageError = typer.BadParameter.__mro__[1]
"""The root of what Typer says of arguments; its module has changed its name more than once."""

application = typer.Typer(
    name="perdure",
    help="Keeps HTTP connections alive, correctly, and shows why each one lived or died.",
    epilog="Example: perdure get -v http://127.0.0.1:8000/",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"perdure {metadata.version('perdure')}")
        raise typer.Exit


@application.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


for command in COMMANDS:
    add_command(application, command, [each.section for each in COMMANDS])


def main() -> None:
    """Run the command line, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit status.
    """
    try:
        return application(args=arguments, prog_name="perdure", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if "--debug" in arguments:
            raise
        if words := _words(error):  # none where Typer has printed the help instead
            say(f"perdure: {words}")
        return COULD_NOT


def _words(error: Exception) -> str:
    """One line about an error."""
    if isinstance(error, UsageError):
        text = one_line(error.format_message())  # type: ignore[attr-defined]  # it is found at run time
        return text[:1].lower() + text[1:].rstrip(".")
    if isinstance(error, Error):
        return one_line(str(error))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"{type(error).__name__}: {one_line(str(error))} (unexpected; --debug shows where)"
