"""A TOML file and command-line flags become one validated tree of settings.

Rule: **a setting is written once**, as a field of a dataclass in the room that uses it: name, type,
default, and the text below it as its help. The key in `perdure.toml`, the flag and the line of `--help` are
derived from it here, so they cannot disagree. The type says what is expected: a unit from this file
(`Seconds`, `Octets`, `Count`, `Number`), a Literal, or `... | None`, which is written "none".

    SERVE = Section("serve", (Part(ServerSettings),))
    file = read_file(Path("perdure.toml"), [SERVE])          # checked, whatever is used of it
    (settings,) = SERVE.build(file.get("serve", {}), SERVE.parse({"idle_timeout": "5"}))

Every error names where (file and key, or flag), what was expected and what was got. Unknown keys are errors.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import json
import math
import sys
import tomllib
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from perdure.core.errors import Error

Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, title="SECONDS", description="a number of seconds")]
Octets: TypeAlias = Annotated[int, msgspec.Meta(ge=0, title="OCTETS", description="a number of octets")]
OctetsPerSecond: TypeAlias = Annotated[
    float, msgspec.Meta(gt=0, title="OCTETS/S", description="a number of octets a second, above 0,")
]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, title="NUMBER", description="a number, 0 or more,")]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, title="NUMBER", description="a number, at least 1,")]

NONE: Final = "none"
"""How None is written in a file or a flag: TOML has no null."""
PLAIN: Final[Mapping[Any, tuple[str, str]]] = {
    bool: ("", "true or false"),
    int: ("NUMBER", "a whole number"),
    float: ("NUMBER", "a number"),
    str: ("TEXT", "a text"),
    Path: ("PATH", "a path"),
}
"""For types without a unit: the word in the help, and what is expected."""
LIMITS: Final = frozenset({"SECONDS", "OCTETS", "NUMBER"})
"""Of these kinds, None means that there is no limit, which is worth saying."""


class ConfigError(Error):
    """A file or a flag that cannot be understood. The message is one line: where, expected, got."""


class Setting(NamedTuple):
    """One setting, as its field says."""

    name: str
    """With the prefix of its part: "origin_idle_timeout"."""
    field: str
    """Without it."""
    type: Any
    default: Any
    help: str
    title: str
    """The headline over it in the help."""
    metadata: Mapping[str, Any]
    """Of its field: "argument" is True of an argument instead of a flag, "flag" is another name than the
    usual, "also" lists further ones such as "-n", "metavar" is another word for the value."""

    @property
    def flag(self) -> str:
        """Its name on the command line, such as "--idle-timeout"."""
        return str(self.metadata.get("flag", "--" + self.name.replace("_", "-")))

    @property
    def shown_name(self) -> str:
        """What an error calls it: its flag, or the word for an argument."""
        return self.metavar if self.metadata.get("argument") else self.flag

    @property
    def repeatable(self) -> bool:
        """True of a list, whose flag may be given more than once."""
        return get_origin(self.type) in (list, tuple)

    @property
    def switch(self) -> bool:
        """True of a bool, whose flag takes no value."""
        return self.type is bool

    @property
    def metavar(self) -> str:
        """The word for its value in the help: SECONDS, or the choices."""
        return str(self.metadata.get("metavar", _words(self.type)[0]))

    @property
    def expected(self) -> str:
        """What is expected, in words: 'a number of seconds or "none"'."""
        return _words(self.type)[1]

    @property
    def default_text(self) -> str:
        """The default as it would be written; "" where there is nothing to say."""
        if self.default is None:
            return NONE if _words(self.type)[0] in LIMITS else ""
        if isinstance(self.default, bool | list | tuple):
            return ", ".join(map(str, self.default)) if not isinstance(self.default, bool) else ""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def convert(self, value: Any, where: str, *, strict: bool = True) -> Any:
        """Check a value and give it its type.

        Args:
            value: from TOML; with `strict=False` the text of a flag, or a list of texts.
            where: the file and key, or the flag, for the error.

        Raises:
            ConfigError: it is of another type, below the least, or not finite.
        """
        if value == NONE and _optional(self.type):
            return None
        value = [value] if self.repeatable and isinstance(value, str) else value
        try:
            converted = msgspec.convert(value, self.type, strict=strict, dec_hook=_decode)
        except msgspec.ValidationError:
            raise ConfigError(f"{where}: {self.expected} expected, got {shown(value)}") from None
        if isinstance(converted, float) and not math.isfinite(converted):
            raise ConfigError(f"{where}: {self.expected} expected, got {shown(value)}")
        return converted


class Part(NamedTuple):
    """A dataclass of settings inside a section."""

    kind: type[Any]
    prefix: str = ""
    """Put before each name, as in "origin_"."""
    title: str = ""
    """The headline over its flags in the help, or what comes before each subject."""
    defaults: Mapping[str, Any] = types.MappingProxyType({})
    """Those that differ from the fields' own, by field."""
    subjects: Mapping[str, str] = types.MappingProxyType({})
    """What the fields are about, from the named one on: {"connect_timeout": "Timeouts"}."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file, and the flags of one command: all settings of its parts.

    Two parts may name the same setting only if they mean the same by it: the first one's help is shown.
    """

    name: str
    parts: tuple[Part, ...]

    def settings(self) -> dict[str, Setting]:
        """Every setting by name, in the order of the parts."""
        found: dict[str, Setting] = {}
        for part in self.parts:
            for setting in settings_of(part):
                found.setdefault(setting.name, setting)
        return found

    def check(self, values: Mapping[str, Any], source: str) -> dict[str, Any]:
        """Check the values of a table; `source` is the file. Raises ConfigError."""
        known = self.settings()
        checked = {}
        for key, value in values.items():
            where = f"{source}: {self.name}.{key}"
            if key not in known:
                raise ConfigError(f"{where}: no such setting{_nearest(key, known)}")
            checked[key] = known[key].convert(value, where)
        return checked

    def parse(self, flags: Mapping[str, Any]) -> dict[str, Any]:
        """Check the texts of flags; None stands for a flag that was not given. Raises ConfigError."""
        known = self.settings()
        given = {name: value for name, value in flags.items() if name in known and value is not None}
        return {
            name: known[name].convert(value, known[name].shown_name, strict=False)
            for name, value in given.items()
        }

    def build(self, *layers: Mapping[str, Any]) -> tuple[Any, ...]:
        """Make one instance for each part, later layers over earlier ones.

        Raises:
            ConfigError: the values are each as expected, but do not go together; begins with our name.
        """
        values = {name: value for layer in layers for name, value in layer.items()}
        return tuple(self._build(part, values) for part in self.parts)

    def names(self, parts: Sequence[Any]) -> dict[str, Any]:
        """The values of instances of the parts, by the names they have in the section."""
        return {
            setting.name: getattr(instance, setting.field)
            for part, instance in zip(self.parts, parts, strict=True)
            for setting in settings_of(part)
        }

    def _build(self, part: Part, values: Mapping[str, Any]) -> Any:
        mine = {s.field: values[s.name] for s in settings_of(part) if s.name in values}
        try:
            return part.kind(**{**part.defaults, **mine})
        except ValueError as error:
            prefix = part.prefix if str(error).partition(":")[0] in mine else ""
            raise ConfigError(f"{self.name}: {prefix}{error}") from error


def read_file(path: Path, sections: Sequence[Section]) -> dict[str, dict[str, Any]]:
    """Read a TOML file and check all of it, also the tables that nobody asked for.

    Returns:
        The checked values by section and key; only what the file says.

    Raises:
        ConfigError: no such file, no TOML, an unknown table or key, or a wrong value.
    """
    known = {section.name: section for section in sections}
    tables = {}
    for name, values in _load(path).items():
        if name not in known:
            raise ConfigError(f"{path}: {name}: no such table{_nearest(name, known)}")
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: {name}: a table [{name}] expected, got {shown(values)}")
        tables[name] = known[name].check(values, str(path))
    return tables


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: UTF-8 text expected, got other octets") from None
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        raise ConfigError(f"{path}: TOML expected: {text[0].lower()}{text[1:]}") from None


def settings_of(part: Part) -> list[Setting]:
    """List the settings of a dataclass, with their types, defaults and help."""
    helps = field_helps(part.kind)  # type: ignore[arg-type]  # mypy: a class of Any has no hash
    found, title = [], part.title
    for setting in _typed_fields(part.kind):  # type: ignore[arg-type]  # the same
        if setting.field in part.subjects:
            title = ": ".join(filter(None, (part.title, part.subjects[setting.field])))
        described = setting._replace(
            name=part.prefix + setting.field,
            default=part.defaults.get(setting.field, setting.default),
            help=helps.get(setting.field, ""),
            title=title,
        )
        found.append(described)
    return found


def check_settings(instance: Any, endless: Collection[str] = ()) -> None:
    """Check what a program gave a dataclass of settings, as a file or a flag is checked; for `__post_init__`.

    Afterwards each field has the type that it says: 5 has become 5.0, a list a tuple, a text a Path.

    Args:
        endless: the fields that a program may give math.inf.

    Raises:
        ValueError: names the field, what was expected and what was got.
    """
    for setting in _typed_fields(type(instance)):  # type: ignore[arg-type]  # the same
        value = getattr(instance, setting.field)
        if value is setting.default or (setting.field in endless and value == math.inf):
            continue
        try:
            checked = setting.convert(value, setting.name)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if checked is not value:
            object.__setattr__(instance, setting.field, checked)  # it may be frozen, and is not yet in use


@lru_cache
def _typed_fields(kind: type[Any]) -> tuple[Setting, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        Setting(field.name, field.name, hints[field.name], _default(field), "", "", field.metadata)
        for field in dataclasses.fields(kind)
        if field.init
    )


@lru_cache
def field_helps(kind: type[Any]) -> Mapping[str, str]:
    """Read the text that stands below each field of a class, and of the classes it is made from."""
    helps: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            helps |= _texts_below_fields(base)
    return helps


def _texts_below_fields(kind: type[Any]) -> dict[str, str]:
    module = sys.modules[kind.__module__]
    try:
        tree = ast.parse(inspect.getsource(module))
    except OSError:  # installed without source: the flags remain, their help is empty
        return {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            return dict(_pairs(node.body))
    return {}


def _pairs(body: Sequence[ast.stmt]) -> Iterable[tuple[str, str]]:
    for field, below in itertools.pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if (
            isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value).replace("\n", " ")


def shown(value: Any) -> str:
    """A value as the user wrote it, shortened: texts in quotes."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _optional(kind: Any) -> bool:
    return type(None) in _members(kind)


def _words(kind: Any) -> tuple[str, str]:
    """The word in the help, and what is expected, of a type."""
    members = [member for member in _members(kind) if member is not type(None)]
    words = [_words_of_one(member) for member in members]
    alternatives = [expected for _, expected in words]
    if _optional(kind):
        alternatives.append(f'"{NONE}"')
    return "|".join(word for word, _ in words), " or ".join(alternatives)


def _words_of_one(kind: Any) -> tuple[str, str]:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return "|".join(map(str, choices)), "one of " + ", ".join(map(shown, choices))
    if get_origin(kind) in (list, tuple):
        word, expected = _words(get_args(kind)[0])
        return word, f"a list, each {expected},"
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.title and meta.description:
            return meta.title, meta.description
    return PLAIN.get(kind, ("TEXT", "another value"))


def _decode(kind: type[Any], value: Any) -> Any:
    """Types that msgspec does not know."""
    if isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError(f"no {kind.__name__}")
