"""The public names: what a type checker sees is what there is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import perdure


def names_for_type_checkers() -> dict[str, str]:
    """Each name imported under TYPE_CHECKING, and its module."""
    tree = ast.parse(Path(perdure.__file__).read_text("utf-8"))
    return {
        alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }


def test_type_checkers_and_programs_see_the_same_names() -> None:
    listed = {name: module for module, names in perdure.HOMES.items() for name in names.split()}
    assert names_for_type_checkers() == listed
    assert set(perdure.__all__) == set(listed)
    assert set(listed) <= set(dir(perdure))


@pytest.mark.parametrize("name", perdure.__all__)
def test_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(perdure, name).__doc__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clint'"):
        getattr(perdure, "Clint")  # noqa: B009 - a type checker would find it


@pytest.mark.slow
def test_importing_perdure_starts_nothing_that_was_not_asked_for() -> None:
    program = "import sys, perdure; print('asyncio' in sys.modules, 'perdure.core' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False False\n"
