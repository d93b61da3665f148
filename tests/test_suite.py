"""The rule of the suite: what starts a program is slow, so that the quick tests take less than two minutes.

An interpreter takes half a second to start, and a program of others may take seconds to end. Tests
that start none of them are slow only where they are marked so one by one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
STARTERS = (
    "subprocess",
    "tests.peers",
    "tests.programs.COMMAND",
    "tests.programs.perdure",
    "tests.programs.serving",
    "tests.real_programs.ours",
    "tests.server.programs",
)
"""What a module imports to start programs: a module, or a name in it."""
MODULES = ("subprocess", "tests.peers", "tests.programs", "tests.real_programs.ours", "tests.server.programs")
"""Where those come from."""
QUICK_PROGRAMS: dict[str, str] = {  # test or what it calls: why it is quick all the same
    "test_house.py::tracked_files": "git lists its files in a hundredth of a second",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def starters_of(tree: ast.Module) -> set[str]:
    """The names in a module that stand for what starts programs."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in STARTERS)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if node.module in STARTERS[1:] or f"{node.module}.{alias.name}" in STARTERS:
                    found.add(alias.asname or alias.name)
    return found


def mentioned_by(function: Function) -> set[str]:
    """The names in its body, and its arguments, which may be fixtures."""
    names = {node.id for line in function.body for node in ast.walk(line) if isinstance(node, ast.Name)}
    return names | {argument.arg for argument in function.args.args}


def is_slow(marks: list[ast.expr]) -> bool:
    return any("pytest.mark.slow" in ast.unparse(mark) for mark in marks)


def module_is_slow(tree: ast.Module) -> bool:
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return is_slow([node.value for node in assigned if ast.unparse(node.targets[0]) == "pytestmark"])


def quick_tests_that_start_programs(name: str, text: str) -> Iterator[str]:
    """The tests of a module, named by its path below tests/, that should be marked as slow."""
    if not any(module.rpartition(".")[2] in text for module in MODULES):
        return  # which spares the parsing of most files
    tree = ast.parse(text, filename=name)
    starters = starters_of(tree)
    if not starters or module_is_slow(tree):
        return
    functions = [node for node in tree.body if isinstance(node, Function | ast.ClassDef)]
    mentioned = {
        node.name: set().union(
            *map(mentioned_by, [part for part in ast.walk(node) if isinstance(part, Function)])
        )
        for node in functions
        if f"{name}::{node.name}" not in QUICK_PROGRAMS
    }
    while more := {each for each, names in mentioned.items() if names & starters} - starters:
        starters |= more
    for node in functions:
        if node.name.startswith("test_") and node.name in starters and not is_slow(node.decorator_list):
            yield node.name


BROKEN = (
    "import subprocess\ndef test_it():\n    subprocess.run(['true'])",
    "from tests import peers\ndef test_it():\n    peers.nginx()",
    "from tests.programs import serving\nasync def test_it():\n    with serving(): pass",
    "from tests.programs import perdure as ours\n@pytest.fixture\ndef run():\n    ours()\n"
    "def test_it(run): ...",
    "from tests.server.programs import program\nclass Run:\n    def go(self):\n        program()\n"
    "@pytest.mark.peer\ndef test_it():\n    Run()",
)
SOUND = (
    "import subprocess\n@pytest.mark.slow\ndef test_it():\n    subprocess.run(['true'])",
    "from tests import peers\npytestmark = [pytest.mark.peer, pytest.mark.slow]\n"
    "def test_it():\n    peers.nginx()",
    "from tests.programs import ECHO, raw_server\ndef test_it():\n    raw_server(ECHO)",
    "import subprocess\ndef run():\n    subprocess.run(['true'])\ndef test_it(): ...",
)


def test_what_starts_a_program_is_marked_as_slow() -> None:
    paths = sorted(FOLDER.rglob("test_*.py"))
    names = {path: path.relative_to(FOLDER).as_posix() for path in paths}
    assert not [
        f"{name}::{test}"
        for path, name in names.items()
        for test in quick_tests_that_start_programs(name, path.read_text("utf-8"))
    ]


@pytest.mark.parametrize("text", BROKEN)
def test_rule_finds_what_breaks_it(text: str) -> None:
    assert list(quick_tests_that_start_programs("test_it.py", text)) == ["test_it"]


@pytest.mark.parametrize("text", SOUND)
def test_rule_leaves_alone_what_keeps_to_it(text: str) -> None:
    assert not list(quick_tests_that_start_programs("test_it.py", text))


@pytest.mark.parametrize("exempted", QUICK_PROGRAMS)
def test_exceptions_name_what_exists(exempted: str) -> None:
    name, _, function = exempted.partition("::")
    assert f"def {function}(" in (FOLDER / name).read_text("utf-8")
