"""Functions of the user's own, named in a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.intermediary.hooks import HookSettings, load_hook

MODULE = """
LIMIT = 3

def allow(request):
    return None

class Rules:
    @staticmethod
    def allow(request):
        return None
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "hooks_of_a_test"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "broken_hooks_of_a_test.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_function_is_found_by_its_name(module: str) -> None:
    for name in (f"{module}:allow", f"{module}:Rules.allow"):
        hook = load_hook("on_request", name)
        assert hook is not None
        assert hook.__name__ == "allow"


def test_function_itself_will_do_and_so_will_none() -> None:
    assert load_hook("on_request", print) is print
    assert load_hook("on_request", None) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hooks_of_a_test", "on_response: MODULE:NAME expected, got 'hooks_of_a_test'"),
        ("hooks_of_a_test:", "on_response: MODULE:NAME expected"),
        ("hooks_of_a_test:deny", "on_response: hooks_of_a_test:deny: deny expected in it, found none"),
        ("hooks_of_a_test:Rules.deny", "Rules.deny: deny expected in it"),
        ("hooks_of_a_test:LIMIT", "a function expected, got an object of type int"),
        ("no_such_module_here:f", "importing it failed: ModuleNotFoundError"),
        ("broken_hooks_of_a_test:f", "importing it failed: ZeroDivisionError"),
    ],
)
def test_what_is_no_function_is_told_with_the_setting(module: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_hook("on_response", name)


def test_name_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="on_request: a text"):
        HookSettings(on_request=3)  # type: ignore[arg-type]  # on purpose
