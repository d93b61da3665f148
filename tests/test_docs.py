"""docs/persistence.md says what the tables of the core say: whoever changes one renders the other."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from perdure.core import FramingKind, Reason, State
from perdure.core.persistence import DECISION

TOP = Path(__file__).resolve().parent.parent
SCRIPT = TOP / "scripts" / "render"
PAGE = (TOP / "docs" / "persistence.md").read_text(encoding="utf-8")
Main = Callable[[list[str]], int]


@pytest.fixture(scope="module")
def renderer() -> dict[str, object]:
    """The names of scripts/render."""
    return runpy.run_path(str(SCRIPT))


def test_page_is_what_the_tables_say(renderer: dict[str, object]) -> None:
    page = cast(Callable[[], str], renderer["page"])
    assert page() == PAGE, "docs/persistence.md is stale: run scripts/render"


def test_every_reason_has_one_row() -> None:
    for reason in Reason:
        assert PAGE.count(f"\n| `{reason.word}` | {reason.value.sentence} | {reason.value.section} |") == 1


def test_decision_stands_in_its_order() -> None:
    places = [PAGE.index(f"\n| {number} | {row.condition} |") for number, row in enumerate(DECISION, 1)]
    assert places == sorted(places)


def test_diagram_and_every_state_are_there() -> None:
    assert "──EndOfMessage, .end──▶ DONE" in PAGE
    assert all(f"\n  {state.name} " in PAGE for state in State)


def test_renderer_says_whether_the_page_is_stale_and_mends_it(
    renderer: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = cast(Main, renderer["main"])
    stale = tmp_path / "persistence.md"
    main.__globals__["PAGE"] = stale
    assert main(["--check"]) == 1
    assert "is stale: run scripts/render" in capsys.readouterr().err
    assert not stale.exists()
    assert main([]) == 0
    assert stale.read_text(encoding="utf-8") == PAGE
    assert main(["--check"]) == 0


def test_words_that_users_see_are_plain() -> None:
    sentences = [reason.value.sentence for reason in Reason] + [kind.value for kind in FramingKind]
    assert not [sentence for sentence in sentences if sentence.isupper() or "_" in sentence]
