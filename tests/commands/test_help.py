"""Help that is whole in 80 columns."""

from __future__ import annotations

import re

import pytest

from perdure import cli
from perdure.commands.command import Command
from tests.commands.conftest import Perdure

NAMES = [command.section.name for command in cli.COMMANDS]


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("command", cli.COMMANDS, ids=NAMES)
def test_no_name_is_cut_off_and_no_line_is_too_long(
    perdure: Perdure, monkeypatch: pytest.MonkeyPatch, command: Command, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = perdure(command.section.name, "--help").stdout
    settings = command.section.settings().values()
    flags = {setting.flag for setting in settings if not setting.metadata.get("argument")}
    others = {name for setting in settings for name in setting.metadata.get("also", ())}
    words = set(re.findall(r"(?<![\w-])--?[a-zA-Z0-9][a-z0-9.-]*", shown))
    assert flags | others | {"--json", "--verbose", "-v", "--debug", "--config", "--help"} <= words
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= min(columns, 110)
    assert f"Example: perdure {command.section.name} " in shown


def test_options_stand_under_what_they_are_about(perdure: Perdure) -> None:
    shown = perdure("gateway", "--help").stdout
    headlines = re.findall(r"(?m)^(\S.*):$", shown)
    assert headlines[-1] == "Options", "what every command has comes last"
    assert "Toward clients: slow peers" in headlines
    assert "Toward origins: timeouts" in headlines
    assert len(headlines) == len(set(headlines))
