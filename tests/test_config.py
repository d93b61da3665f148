"""A file and flags become one tree: what is wrong is said with file, key, expected and got."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from perdure.client.settings import ClientSettings
from perdure.config import (
    ConfigError,
    Count,
    Octets,
    OctetsPerSecond,
    Part,
    Seconds,
    Section,
    check_settings,
    read_file,
    settings_of,
)
from perdure.intermediary.settings import GATEWAY
from perdure.server.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Settings that others are made from."""

    shelf: str = "low"
    """Where it lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Furniture(Base):
    """One setting of each kind."""

    rest: Seconds = 2.5
    """How long to rest,
    in all."""
    longest: Seconds | None = None
    """The longest. none: any."""
    size: Octets = 10
    """How large."""
    rate: OctetsPerSecond = 1.0
    legs: Count = 4
    """How many."""
    colour: Literal["red", "green"] = "red"
    """Which."""
    folds: bool = False
    """Whether."""
    rooms: list[str] = field(default_factory=lambda: ["hall"])
    """Where to."""
    plan: Path | None = None
    """A drawing."""

    def __post_init__(self) -> None:
        if self.folds and self.legs > 4:
            raise ValueError(f"legs: at most 4 expected of what folds, got {self.legs}")


TABLE = Section("table", (Part(Furniture),))
PAIR = Section("pair", (Part(Furniture), Part(Furniture, "other_", "The other one", {"legs": 3})))


def written(folder: Path, text: str) -> Path:
    path = folder / "perdure.toml"
    path.write_text(text, encoding="utf-8")
    return path


def build(*layers: dict[str, Any]) -> Furniture:
    (furniture,) = TABLE.build(*layers)
    assert isinstance(furniture, Furniture)
    return furniture


def test_setting_takes_name_default_and_help_from_its_field() -> None:
    settings = TABLE.settings()
    assert list(settings) == [
        "shelf", "rest", "longest", "size", "rate", "legs", "colour", "folds", "rooms", "plan",
    ]  # fmt: skip
    rest = settings["rest"]
    assert (rest.flag, rest.metavar, rest.default_text) == ("--rest", "SECONDS", "2.5")
    assert rest.help == "How long to rest, in all."
    assert settings["shelf"].help == "Where it lies."
    assert settings["rate"].help == ""
    assert settings["longest"].default_text == "none"
    assert settings["plan"].default_text == ""
    assert settings["colour"].metavar == "red|green"


def test_every_setting_of_server_client_and_gateway_has_a_help_text_and_a_default() -> None:
    parts = (Part(ServerSettings), Part(ClientSettings), *GATEWAY.parts)
    settings = [setting for part in parts for setting in settings_of(part)]
    assert not [setting.name for setting in settings if not setting.help]
    assert {setting.flag for setting in settings} >= {"--idle-timeout", "--origin-idle-timeout"}


def test_defaults_of_settings_are_what_their_types_expect() -> None:
    for part in (Part(ServerSettings), Part(ClientSettings), *GATEWAY.parts):
        for setting in settings_of(part):
            if setting.default is not None:
                setting.convert(setting.default, setting.name)


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = read_file(written(tmp_path, "[table]\nlegs = 3\nsize = 20\n"), [TABLE])
    furniture = build(file["table"], TABLE.parse({"legs": "6", "rest": None}))
    assert (furniture.legs, furniture.size, furniture.rest) == (6, 20, 2.5)


def test_file_is_read_into_every_kind_of_setting(tmp_path: Path) -> None:
    text = """
        [table]
        rest = 3
        longest = "none"
        folds = true
        rooms = ["attic", "cellar"]
        plan = "plan.pdf"
        colour = "green"
    """
    furniture = build(read_file(written(tmp_path, text), [TABLE])["table"])
    assert furniture == Furniture(
        rest=3.0, longest=None, folds=True, rooms=["attic", "cellar"], plan=Path("plan.pdf"), colour="green"
    )


def test_flags_are_read_from_text() -> None:
    flags = {"rest": "3.5", "longest": "1e3", "size": "7", "folds": True, "rooms": ["attic"], "plan": "p"}
    furniture = build(TABLE.parse(flags))
    assert furniture == Furniture(
        rest=3.5, longest=1000.0, size=7, folds=True, rooms=["attic"], plan=Path("p")
    )


def test_prefixed_part_has_its_own_names_and_defaults() -> None:
    mine, other = PAIR.build(PAIR.parse({"legs": "5", "other_rest": "9"}))
    assert (mine.legs, mine.rest) == (5, 2.5)
    assert (other.legs, other.rest) == (3, 9.0)
    assert PAIR.settings()["other_legs"].default_text == "3"
    assert PAIR.names((mine, other))["other_rest"] == 9.0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('rest = "fast"', 'table.rest: a number of seconds expected, got "fast"'),
        ("rest = -1", "table.rest: a number of seconds expected, got -1"),
        ("rest = inf", "table.rest: a number of seconds expected, got Infinity"),
        ("rest = nan", "table.rest: a number of seconds expected, got NaN"),
        ("rest = true", "table.rest: a number of seconds expected, got true"),
        ('rest = "none"', 'table.rest: a number of seconds expected, got "none"'),
        ("longest = []", 'table.longest: a number of seconds or "none" expected, got []'),
        ("size = 1.5", "table.size: a number of octets expected, got 1.5"),
        ("legs = 0", "table.legs: a number, at least 1, expected, got 0"),
        ("rate = 0", "table.rate: a number of octets a second, above 0, expected, got 0"),
        ('colour = "blue"', 'table.colour: one of "red", "green" expected, got "blue"'),
        ("folds = 1", "table.folds: true or false expected, got 1"),
        ("rooms = [1]", "table.rooms: a list, each a text, expected, got [1]"),
        ("shelf = 1979-05-27", 'table.shelf: a text expected, got "1979-05-27"'),
        ("legz = 3", "table.legz: no such setting; did you mean legs?"),
        ("quux = 3", "table.quux: no such setting"),
    ],
)
def test_error_names_file_key_expected_and_got(tmp_path: Path, value: str, message: str) -> None:
    path = written(tmp_path, f"[table]\n{value}\n")
    with pytest.raises(ConfigError) as caught:
        read_file(path, [TABLE])
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tabel]\n", "tabel: no such table; did you mean table?"),
        ("table = 1\n", "table: a table [table] expected, got 1"),
        ("[table\n", "TOML expected: expected ']' at the end of a table declaration (at line 1, column 7)"),
    ],
)
def test_file_of_another_shape_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_file(path, [TABLE])
    assert str(caught.value) == f"{path}: {message}"


def test_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        read_file(tmp_path / "absent.toml", [TABLE])
    (tmp_path / "octets.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"octets\.toml: UTF-8 text expected"):
        read_file(tmp_path / "octets.toml", [TABLE])


def test_table_that_nobody_asked_for_is_checked_too(tmp_path: Path) -> None:
    path = written(tmp_path, "[pair]\nother_legs = 0\n")
    with pytest.raises(ConfigError, match=r"pair\.other_legs: a number, at least 1, expected, got 0"):
        read_file(path, [TABLE, PAIR])


def test_error_of_a_flag_names_the_flag() -> None:
    with pytest.raises(ConfigError) as caught:
        TABLE.parse({"rest": "fast"})
    assert str(caught.value) == '--rest: a number of seconds expected, got "fast"'


def test_values_that_do_not_go_together_are_an_error_of_the_section() -> None:
    with pytest.raises(ConfigError, match="table: legs: at most 4 expected of what folds, got 5"):
        build({"folds": True}, {"legs": 5})


def test_long_value_is_shortened_in_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        TABLE.parse({"rest": "x" * 1000})
    assert len(str(caught.value)) < 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Settings that a program may make itself."""

    rest: Seconds | None = 1.0
    paths: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)


def test_settings_made_by_a_program_are_checked_and_get_their_types() -> None:
    given: dict[str, Any] = {"rest": 2, "paths": ["a", Path("b")]}
    made = Checked(**given)
    assert (made.rest, type(made.rest), made.paths) == (2.0, float, (Path("a"), Path("b")))
    assert Checked(rest=None).rest is None
    with pytest.raises(ValueError, match=r'^rest: a number of seconds or "none" expected, got -1$'):
        Checked(rest=-1)
    with pytest.raises(ValueError, match=r"^paths: a list, each a path, expected, got \[3\]$"):
        Checked(paths=(3,))  # type: ignore[arg-type]  # wrong on purpose


def test_settings_are_about_something_from_a_field_on() -> None:
    part = Part(Furniture, title="Chairs", subjects={"longest": "lengths", "size": "sizes"})
    titles = {setting.name: setting.title for setting in settings_of(part)}
    assert [titles[name] for name in ("shelf", "rest")] == ["Chairs", "Chairs"]
    assert (titles["longest"], titles["size"]) == ("Chairs: lengths", "Chairs: sizes")
