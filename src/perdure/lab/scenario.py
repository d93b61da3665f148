"""Scenarios: one file each in `scenarios/`, found by its name, with everything declared in it.

(docstring)                  the first line is the title, the rest what it is about and where it comes from
ROWS = ("S2", "S3")          the systems it shows
HOSTS = ("client", "server")
LINKS = (Link(a="client", b="server", rtt=0.05),)
CONGESTION = "cubic"         optional: of every host's kernel; this one unless said otherwise
BACKENDS = ("namespaces",)    optional: where it can run; everywhere unless said otherwise
async def play(stage): ...   its acts, and what it expects of them
"""

from __future__ import annotations

import ast
import difflib
import importlib
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from perdure.core.errors import Error
from perdure.lab.link import Link

FOLDER: Final = Path(__file__).parent / "scenarios"
ALL_BACKENDS: Final = ("memory", "namespaces", "loopback")
DEFAULT_CONGESTION: Final = "cubic"


class UnknownScenario(Error):
    """There is no such scenario; the message has the nearest name, or all of them."""


class Scenario(NamedTuple):
    """One scenario, read from its file."""

    name: str
    """Its file's name, with hyphens: "keep-alive-handshake"."""
    title: str
    about: str
    """The rest of its docstring."""
    rows: tuple[str, ...]
    hosts: tuple[str, ...]
    links: tuple[Link, ...]
    congestion: str
    backends: tuple[str, ...]
    play: Callable[[Any], Awaitable[None]]


def scenario_names() -> list[str]:
    """The names of all scenarios, in order."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if path.stem != "__init__")


def scenario_title(name: str) -> str:
    """The title of one, without importing it."""
    text = (FOLDER / f"{name.replace('-', '_')}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(text)) or name).partition("\n")[0]


def load(name: str) -> Scenario:
    """Read a scenario.

    Args:
        name: with hyphens or underscores.

    Raises:
        UnknownScenario: there is none of that name.
    """
    name = name.replace("_", "-")
    if name not in scenario_names():
        known = scenario_names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(known)}"
        raise UnknownScenario(f"no scenario {name!r}; {hint}")
    module: Any = importlib.import_module(f"perdure.lab.scenarios.{name.replace('-', '_')}")
    title, _, about = (module.__doc__ or name).partition("\n")
    return Scenario(
        name,
        title,
        textwrap.dedent(about).strip(),
        tuple(module.ROWS),
        tuple(module.HOSTS),
        tuple(module.LINKS),
        getattr(module, "CONGESTION", DEFAULT_CONGESTION),
        tuple(getattr(module, "BACKENDS", ALL_BACKENDS)),
        module.play,
    )
