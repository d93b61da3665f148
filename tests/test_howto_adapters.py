"""docs/howto/adapters.md: every example in it runs, and what it asserts holds."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.adapters.local_origin import Handler, serving

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "adapters.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
PATIENCE_SECONDS = 20.0


class Catalogue(Handler):
    """The origin of the examples, which also has a list of models: an empty one."""


Catalogue.routes = {**Handler.routes, "v1": lambda asked: asked.answer_json({"object": "list", "data": []})}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The origin's."""
    with serving(Catalogue) as origin:
        yield origin.url


def run(example: str, url: str) -> None:
    """Run an example; one that awaits, on an event loop."""
    code = compile(example, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(code, {"url": url})
    if inspect.iscoroutine(made):
        asyncio.run(asyncio.wait_for(made, PATIENCE_SECONDS))


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_example(example: str, url: str) -> None:
    run(example, url)


def test_an_example_that_does_not_hold_is_noticed(url: str) -> None:
    assert len(EXAMPLES) == 8
    with pytest.raises(AssertionError):
        run("assert url == ''", url)
