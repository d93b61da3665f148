"""The rules of the house: who may import whom, how large things may grow, where things are said.

A rule that is only written down wears away; each of these is a test, with its reason beside it.
An exception is a row in a table here, never silence.
"""

from __future__ import annotations

import ast
import gc
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "src" / "perdure"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_FUNCTION_LINES = 9
MAX_README_LINES = 120

# What each room may import of ours. "trace" and "config" are files that any room but core may ask.
LEAVES = frozenset({"core", "trace"})
ROOMS: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "trace": frozenset({"core"}),
    "config": LEAVES,
    "wire": LEAVES,
    "server": LEAVES | {"wire", "config"},
    "client": LEAVES | {"wire", "config"},  # never the server, nor the server it
    "intermediary": LEAVES | {"wire", "config", "server", "client"},
    "monitor": LEAVES,
    "probe": LEAVES | {"wire"},  # its own lenient reader, so that a bug in core cannot hide itself
    "lab": frozenset(
        {"core", "trace", "config", "wire", "server", "client", "intermediary", "monitor", "probe"}
    ),
    "__init__": LEAVES | {"config", "server", "client", "intermediary"},
}
ROOMS["commands"] = frozenset(ROOMS)
ROOMS["cli"] = frozenset(ROOMS)
ROOMS["__main__"] = frozenset({"cli"})
COMMAND_LINE = frozenset({"__main__", "cli", "commands"})
ONLY_FOR_CLI = ("perdure.probe", "perdure.lab", "perdure.monitor.app")

# Octets and time: one room touches them, so that everything else runs on a virtual wire and clock.
ONLY_FOR_WIRE = frozenset({"socket", "ssl", "select", "selectors", "time"})
# core is a function of its arguments.
NEVER_IN_CORE = ONLY_FOR_WIRE | {
    "asyncio", "concurrent", "contextvars", "datetime", "io", "logging", "multiprocessing", "os",
    "pathlib", "random", "secrets", "signal", "subprocess", "threading",
}  # fmt: skip

# Persistence is decided in core alone: elsewhere these names and these versions are not looked at.
PERSISTENCE_FIELDS = frozenset({"connection", "keep-alive", "proxy-connection"})
VERSIONS = frozenset({"HTTP/1.0", "HTTP/1.1", "1.0", "1.1"})
LOOKS_AT_PERSISTENCE: dict[str, str] = {  # path below src/perdure: why it must
    "lab/exports.py": "HAR has a key of that name, for the number of a connection",
}

# Files without a test file of their own name, and what shows them instead.
TESTED_ELSEWHERE: dict[str, str] = {
    "core/errors.py": "an error tree without a decision; every test that expects a violation shows it",
    "core/reason.py": "a table; tests/core/test_persistence.py shows each row that a decision can give",
    "client/effects.py": "names and protocols; tests/client/test_exchange.py shows each effect",
    "wire/streams.py": "protocols; tests/wire/test_blocking.py and test_scripted.py show what keeps to them",
    "client/errors.py": "an error tree; tests/client/test_exchange.py and test_limits.py show each of them",
    "client/failures.py": "tests/client/test_exchange.py shows what each failure becomes, on four stages",
    "client/exchange_steps.py": "tests/client/test_exchange.py shows each step in its order",
    "client/blocking_runner.py": "tests/client/test_sync.py and test_exchange.py run on it",
    "client/loop_dials.py": "tests/client/test_loop_pool.py and test_cancellation_storm.py dial with it",
    "client/loop_dialling.py": "tests/client/test_through_proxies.py and test_aio.py dial with it",
    "client/loop_preamble.py": "tests/intermediary/test_belongings.py dials with it",
    "client/loop_tunnel.py": "tests/client/test_through_proxies.py shows it on three stages",
    "client/blocking_dialling.py": "tests/client/test_through_proxies.py and test_sync.py dial with it",
    "client/lease.py": "tests/client/test_loop_pool.py and test_aio.py show how waiting ends",
    "client/loop_wire.py": "tests/client/test_exchange.py, test_aio.py and test_streams.py run on it",
    "client/pooled_wire.py": "tests/client/test_loop_pool.py shows it with a wire of its own",
    "client/loop_response.py": "tests/client/test_streams.py reads it in every way",
    "client/blocking_response.py": "tests/client/test_streams.py reads it in every way",
    "client/blocking_handle.py": "tests/client/test_exchange.py and test_sync.py show it",
    "commands/command.py": "what makes the command line; tests/test_cli.py shows it",
    "commands/outcome.py": "statuses and one-line errors; tests/test_cli.py shows them",
    "commands/get_options.py": "tests/commands/test_get.py shows each of them over real sockets",
    "lab/backend.py": "a protocol and an error; tests/lab/test_backend_*.py show what keeps to it",
    "lab/objects.py": "tests/lab/test_stage.py and every scenario serve them",
    "commands/demo_origin.py": "tests/commands/test_demo.py shows it",
}

MACHINE_PATH = re.compile(r"(?<![\w.:~-])/(work|root|home)/")
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
SECTION = re.compile(r"(RFC )?\d{4} (§|appendix|C\.)")


class Module(NamedTuple):
    """One Python file under the rules."""

    name: str
    """Its path below src/perdure, such as "core/fields.py"; tests keep their "tests/" in front."""
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """ "core" for core/fields.py, "cli" for cli.py."""
        return self.name.partition("/")[0].removesuffix(".py")


Rule = Callable[[Module], Iterator[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_from(name: str, text: str) -> Module:
    return Module(name, text, ast.parse(text, filename=name))


@cache
def modules(folder: Path, start: Path) -> tuple[Module, ...]:
    """Every Python file below a folder, named from `start` on."""
    paths = sorted(folder.rglob("*.py"))
    gc.disable()  # looking for cycles in trees that stay takes two thirds of the time
    found = tuple(module_from(path.relative_to(start).as_posix(), path.read_text("utf-8")) for path in paths)
    gc.freeze()
    gc.enable()
    return found


def sources() -> tuple[Module, ...]:
    return modules(PACKAGE, PACKAGE)


def modules_of_tests() -> tuple[Module, ...]:
    return modules(TOP / "tests", TOP)


@cache
def functions_of(tree: ast.AST) -> tuple[Function, ...]:
    return tuple(node for node in ast.walk(tree) if isinstance(node, Function))


def length_of(function: Function) -> int:
    """Lines from `def` to the end, docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


@cache
def imports_of(tree: ast.AST) -> tuple[tuple[int, str], ...]:
    """The line and dotted name of every import, down to what is imported: "perdure.core.fields.Facts"."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return tuple((node.lineno, stem_of(node) + alias.name) for node in statements for alias in node.names)


def stem_of(node: ast.Import | ast.ImportFrom) -> str:
    return "" if isinstance(node, ast.Import) else "." * node.level + (node.module or "") + "."


def room_imported(name: str) -> str | None:
    """The room that an import reaches into, or None where it is not ours."""
    package, _, rest = name.partition(".")
    if package != "perdure":
        return None
    room = rest.partition(".")[0]
    return room if room in ROOMS else "__init__"


# --- the rules: each yields the faults of one module ---------------------------------------


def imports_only_the_rooms_it_may(module: Module) -> Iterator[str]:
    allowed = ROOMS.get(module.room)
    if allowed is None:
        yield f"{module.room} is a new room: say in ROOMS what it may import"
        return
    for line, name in imports_of(module.tree):
        target = room_imported(name)
        if target is not None and target not in allowed | {module.room}:
            yield f"line {line}: {name}; {module.room} may import {sorted(allowed)}"


def leaves_octets_and_time_to_wire(module: Module) -> Iterator[str]:
    forbidden = {"core": NEVER_IN_CORE, "wire": frozenset[str]()}.get(module.room, ONLY_FOR_WIRE)
    for line, name in imports_of(module.tree):
        if name.partition(".")[0] in forbidden:
            yield f"line {line}: {name}"


def leaves_probe_lab_and_page_to_the_command_line(module: Module) -> Iterator[str]:
    if module.room in COMMAND_LINE | {"lab"}:
        return
    for line, name in imports_of(module.tree):
        for target in ONLY_FOR_CLI:
            if name.startswith(target) and not target.startswith(f"perdure.{module.room}"):
                yield f"line {line}: {name}"


def keeps_core_to_the_standard_library(module: Module) -> Iterator[str]:
    own = sys.stdlib_module_names | {"perdure"}
    for line, name in imports_of(module.tree):
        if module.room == "core" and name.partition(".")[0] not in own:
            yield f"line {line}: {name}"


def imports_absolutely_without_star(module: Module) -> Iterator[str]:
    for line, name in imports_of(module.tree):
        if name.startswith(".") or name.endswith(".*"):
            yield f"line {line}: {name}"


def imports_at_the_top(module: Module) -> Iterator[str]:
    if module.room in COMMAND_LINE:  # which imports lazily, so that `perdure --help` is quick
        return
    for function in functions_of(module.tree):
        for line, name in imports_of(function):
            yield f"line {line}: {name}, inside {function.name}"


def literals_outside_docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every bytes and str literal but docstrings and the names of slots."""
    slots = (node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and names_slots(node))
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    apart.update(id(name) for value in slots for name in ast.walk(value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes | str) and id(node) not in apart:
            yield node


def names_slots(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets)


def text_of(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def is_version(node: ast.expr) -> bool:
    """Whether an expression is a version of HTTP: b"HTTP/1.0", "1.1", (1, 1)."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes | str):
        return text_of(node.value) in VERSIONS
    return isinstance(node, ast.Tuple) and len(node.elts) == 2 and ast.unparse(node) in {"(1, 0)", "(1, 1)"}


def leaves_persistence_to_core(module: Module) -> Iterator[str]:
    if module.room == "core" or module.name in LOOKS_AT_PERSISTENCE:
        return
    for literal in literals_outside_docstrings(module.tree):
        if text_of(literal.value).lower() in PERSISTENCE_FIELDS:
            yield f"line {literal.lineno}: {literal.value!r}; ask perdure.core instead"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Compare) and any(map(is_version, [node.left, *node.comparators])):
            yield f"line {node.lineno}: {ast.unparse(node)}; ask perdure.core instead"


def prints_only_in_the_command_line(module: Module) -> Iterator[str]:
    if module.room in COMMAND_LINE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno}"


def cites_the_section_in_public_functions_of_core(module: Module) -> Iterator[str]:
    if module.room != "core":
        return
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if SECTION.search(ast.get_docstring(node) or "") is None:
            yield f"line {node.lineno}: {node.name}: end the docstring with its section: RFC 9112 §9.3."


def stays_small(module: Module) -> Iterator[str]:
    lines = module.text.count("\n")
    if lines >= MAX_FILE_LINES:
        yield f"{lines} lines; fewer than {MAX_FILE_LINES} are allowed"
    for function in functions_of(module.tree):
        if length_of(function) > MAX_FUNCTION_LINES:
            yield f"{function.name} has {length_of(function)} lines; {MAX_FUNCTION_LINES} are allowed"


def is_finished(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"line {number}: {line.strip()}"


RULES: tuple[Rule, ...] = (
    imports_only_the_rooms_it_may,
    leaves_octets_and_time_to_wire,
    leaves_probe_lab_and_page_to_the_command_line,
    keeps_core_to_the_standard_library,
    imports_absolutely_without_star,
    imports_at_the_top,
    leaves_persistence_to_core,
    prints_only_in_the_command_line,
    cites_the_section_in_public_functions_of_core,
    stays_small,
    is_finished,
)
RULES_FOR_TESTS: tuple[Rule, ...] = (imports_absolutely_without_star, stays_small, is_finished)

BROKEN: tuple[tuple[Rule, str, str], ...] = (
    (imports_only_the_rooms_it_may, "server/serve.py", "from perdure.client import sync"),
    (imports_only_the_rooms_it_may, "client/sync.py", "import perdure.server.serve"),
    (imports_only_the_rooms_it_may, "core/fields.py", "from perdure import trace"),
    (imports_only_the_rooms_it_may, "wire/loop.py", "import perdure"),
    (imports_only_the_rooms_it_may, "shed/tools.py", ""),
    (leaves_octets_and_time_to_wire, "core/pool.py", "import asyncio"),
    (leaves_octets_and_time_to_wire, "server/serve.py", "from time import monotonic"),
    (leaves_probe_lab_and_page_to_the_command_line, "server/serve.py", "from perdure.lab import relay"),
    (leaves_probe_lab_and_page_to_the_command_line, "client/sync.py", "import perdure.monitor.app"),
    (keeps_core_to_the_standard_library, "core/fields.py", "import h11"),
    (imports_absolutely_without_star, "server/serve.py", "from . import files"),
    (imports_absolutely_without_star, "server/serve.py", "from perdure.core import *"),
    (imports_at_the_top, "server/serve.py", "def serve():\n    import json"),
    (leaves_persistence_to_core, "server/serve.py", "name == b'Keep-Alive'"),
    (leaves_persistence_to_core, "client/sync.py", "headers['connection']"),
    (leaves_persistence_to_core, "client/sync.py", "version >= (1, 1)"),
    (leaves_persistence_to_core, "client/sync.py", "b'HTTP/1.0' == version"),
    (prints_only_in_the_command_line, "lab/plot.py", "print(1)"),
    (cites_the_section_in_public_functions_of_core, "core/fields.py", "def split():\n    'Split it.'"),
    (stays_small, "core/fields.py", "\n" * MAX_FILE_LINES),
    (stays_small, "core/fields.py", "def f():\n" + "    f()\n" * MAX_FUNCTION_LINES),
    (is_finished, "core/fields.py", "x = 1  # TO" + "DO"),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_source(rule: Rule) -> None:
    assert not [f"{module.name}: {fault}" for module in sources() for fault in rule(module)]


@pytest.mark.parametrize("rule", RULES_FOR_TESTS, ids=lambda rule: str(rule.__name__))
def test_tests(rule: Rule) -> None:
    assert not [f"{module.name}: {fault}" for module in modules_of_tests() for fault in rule(module)]


@pytest.mark.parametrize(("rule", "name", "text"), BROKEN)
def test_rule_finds_what_breaks_it(rule: Rule, name: str, text: str) -> None:
    assert list(rule(module_from(name, text)))


def test_every_rule_is_shown_to_find_something() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_functions_are_short_by_their_median() -> None:
    lengths = [length_of(function) for module in sources() for function in functions_of(module.tree)]
    assert statistics.median(lengths or [0]) <= MAX_MEDIAN_FUNCTION_LINES


def test_tests_mirror_the_source() -> None:
    with_code = {module.name for module in sources() if functions_of(module.tree)}
    wanted = {name for name in with_code if not name.endswith("__init__.py") and name not in TESTED_ELSEWHERE}
    present = {module.name.removeprefix("tests/") for module in modules_of_tests()}
    # Each scenario claims what is to be seen itself; tests/lab/test_scenario.py plays every one of them.
    wanted = {name for name in wanted if not name.startswith("lab/scenarios/")}
    absent = {name for name in wanted if re.sub(r"([^/]+)$", r"test_\1", name) not in present}
    assert not sorted(absent), "write the test file, or say in TESTED_ELSEWHERE what shows it"


@pytest.mark.parametrize("name", [*LOOKS_AT_PERSISTENCE, *TESTED_ELSEWHERE])
def test_exceptions_name_files_that_exist(name: str) -> None:
    assert (PACKAGE / name).is_file()


def tracked_files() -> list[Path]:
    """The files that git tracks; none where this is no clone."""
    command = ["git", "-C", str(TOP), "ls-files", "-z"]
    result = subprocess.run(command, capture_output=True, check=False)
    names = result.stdout.decode().split("\0") if result.returncode == 0 else []
    return [TOP / name for name in names if name and (TOP / name).is_file()]


def test_no_tracked_file_names_a_path_of_somebodys_machine() -> None:
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in tracked_files()}
    found = {path: MACHINE_PATH.search(text) for path, text in texts.items()}
    assert not {path.name: match.group() for path, match in found.items() if match is not None}


def test_readme_is_short_and_the_licence_is_mit() -> None:
    assert (TOP / "README.md").read_text(encoding="utf-8").count("\n") <= MAX_README_LINES
    assert (TOP / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")


def test_documents_link_to_files_that_exist() -> None:
    pages = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
    dead = [
        f"{page.relative_to(TOP)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not dead
