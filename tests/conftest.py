"""What every test may rely on: rows that exist, peers that are really there, quick tests first."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable

import hypothesis
import pytest

from tests import peers

# A deadline per example measures the machine, not the code.
hypothesis.settings.register_profile("perdure", deadline=None)
hypothesis.settings.load_profile("perdure")

# What collecting makes stays to the end. Looking for garbage in it would cost a quarter of collecting, and
# every collection that a test asks for would look again.
gc.disable()

ROW = re.compile(r"R(?P<requirement>[1-9][0-9]*)|S(?P<system>[1-9][0-9]*)")
LAST = {"requirement": 183, "system": 16}
SHOWN = pytest.StashKey[dict[str, set[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", action="store_true", help="list the rows and the tests that show them")


def rows_of(item: pytest.Item) -> list[str]:
    """The names in the `row` markers of a test. Raises UsageError where one is no row."""
    names: list[str] = []
    for mark in item.iter_markers("row"):
        if not mark.args or mark.kwargs:
            raise pytest.UsageError(f"{item.nodeid}: row() takes names, such as row('R92')")
        names.extend(checked_row(name, item.nodeid) for name in mark.args)
    return names


def checked_row(name: object, where: str) -> str:
    """The name again, if it is R1 to R183 or S1 to S16."""
    if isinstance(name, str) and (match := ROW.fullmatch(name)) is not None:
        kind = match.lastgroup or ""
        if int(match[kind]) <= LAST[kind]:
            return name
    raise pytest.UsageError(f"{where}: {name!r} is no row; expected R1 to R183 or S1 to S16")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shown: dict[str, set[str]] = {}
    for item in items:
        for name in rows_of(item):
            shown.setdefault(name, set()).add(item.nodeid.partition("[")[0])
    config.stash[SHOWN] = shown
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)  # stable: quick ones first


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--rows"):
        return
    shown = config.stash.get(SHOWN, {})
    terminalreporter.section("rows")
    for name in sorted(shown, key=lambda name: (name[0], int(name[1:]))):
        terminalreporter.write_line(f"{name:5} {', '.join(sorted(shown[name]))}")
    absent = [f"R{number}" for number in range(1, LAST["requirement"] + 1) if f"R{number}" not in shown]
    terminalreporter.write_line(f"without a test: {len(absent)}: {' '.join(absent)}")


@pytest.fixture(scope="session")
def peer() -> Callable[[str], str]:
    """`peer("curl")` is the path of that program; the test is skipped where it is absent.

    With PERDURE_REQUIRE_PEERS=1 it fails instead, so that a machine which can have every peer
    cannot pass by having none.
    """
    return peers.require
