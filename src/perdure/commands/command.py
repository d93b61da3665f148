"""A command as data, and the command line made of it.

Its arguments, flags and help are those of its section's settings (`config`), so that each of them stands
in one place: the field of a dataclass. Beside them every command has --config, --json, -v and --debug (at
which `cli.run` looks).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from perdure.commands.help import HelpfulCommand
from perdure.commands.outcome import Manner, tell_story
from perdure.config import ConfigError, Section, Setting, read_file


class Read:
    """Reads the settings of a command: the file, anew each time, and the flags over it.

    Attributes:
        file: of --config; None where there is none.
    """

    def __init__(
        self, section: Section, sections: Sequence[Section], file: Path | None, flags: Mapping[str, Any]
    ) -> None:
        self._section = section
        self._sections = sections
        self.file = file
        self._flags = flags

    def __call__(self) -> tuple[Any, ...]:
        """Give an instance of each part of the section. Raises ConfigError."""
        section = self._section
        values = read_file(self.file, self._sections) if self.file is not None else {}
        written = values.get(section.name, {})
        try:
            return section.build(written, self._flags)
        except ConfigError as error:
            fault = str(error).removeprefix(f"{section.name}: ")
            if fault.partition(":")[0] in {**written, **self._flags}:
                raise ConfigError(self.located(fault)) from error
            raise

    def located(self, fault: str) -> str:
        """Say where a setting was given that is found to be wrong later: file and key, or the flag.

        Args:
            fault: begins with its key and a colon, such as "routes[2].origin_ca_file: ...".
        """
        key, colon, rest = fault.partition(":")
        if key in self._flags:
            return f"{self._section.settings()[key].shown_name}{colon}{rest}"
        source = "" if self.file is None else f"{self.file}: "
        return f"{source}{self._section.name}.{fault}"


class Command(NamedTuple):
    """One command of the command line."""

    section: Section
    """Its settings; its name is the command's, too."""
    help: str
    """One sentence, a blank line, and what else there is to say."""
    example: str
    run: Callable[[Manner, Read], int]
    """Returns the exit status."""


def add_command(application: typer.Typer, command: Command, sections: list[Section]) -> None:
    """Make a command of the command line; `sections` are all that a file may hold."""
    section = command.section

    def carry_out(**given: Any) -> int:
        manner = Manner(json=given["json"], verbosity=given["verbosity"])
        flags = section.parse(given)
        config: Path | None = given["config"]

        with tell_story(manner):
            return command.run(manner, Read(section, sections, config, flags))

    parameters = [*parameters_of(section), *common_parameters()]
    carry_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # for Typer
    carry_out.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    register = application.command(
        section.name, cls=HelpfulCommand, help=command.help, epilog=f"Example: {command.example}"
    )
    register(carry_out)


def parameters_of(section: Section) -> list[inspect.Parameter]:
    """The settings of a section as the parameters that Typer reads."""
    return [_parameter(setting) for setting in section.settings().values()]


def _parameter(setting: Setting) -> inspect.Parameter:
    panel = setting.title or None
    others = setting.metadata.get("also", ())
    kind: Any = list[str] | None if setting.repeatable else str | None
    if setting.metadata.get("argument"):
        argument = typer.Argument(
            metavar=setting.metavar, help=_help(setting), show_default=False, rich_help_panel=panel
        )
        return _keyword(setting.name, kind, argument, None)
    names = [setting.flag]
    metavar: str | None = setting.metavar
    if setting.switch:
        kind, metavar = bool | None, None
        names = [f"{setting.flag}/--no-{setting.flag[2:]}" if setting.default else setting.flag]
    option = typer.Option(
        *names, *others, metavar=metavar, help=_help(setting), show_default=False, rich_help_panel=panel
    )
    return _keyword(setting.name, kind, option, None)


def _help(setting: Setting) -> str:
    text = setting.help.replace("`", "")
    return f"{text} (default {setting.default_text})" if setting.default_text else text


def common_parameters() -> list[inspect.Parameter]:
    """What every command has."""
    option = typer.Option
    config = option("--config", metavar="FILE", help="Read settings from a TOML file; flags override it.")
    as_json = option("--json", help="Print one JSON document for machines.")
    verbose = option(
        "--verbose", "-v", count=True, show_default=False, help="Tell the story; -vv tells more of it."
    )
    debug = option("--debug", help="Show the traceback of an error.")
    return [
        _keyword("config", Path | None, config, None),
        _keyword("json", bool, as_json, False),
        _keyword("verbosity", int, verbose, 0),
        _keyword("debug", bool, debug, False),
    ]


def _keyword(name: str, kind: Any, info: Any, default: Any) -> inspect.Parameter:
    annotation = Annotated[kind, info]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
