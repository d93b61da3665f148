"""Commands run in this process: what they print is the same, and no interpreter is started for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from perdure import cli
from tests.programs import ECHO, TOP, Serving, serving

Perdure = Callable[..., CompletedProcess[str]]
"""`perdure("get", url, folder=...)` runs a command to its end."""


@pytest.fixture
def perdure(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Perdure:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, folder: Path | None = None) -> CompletedProcess[str]:
        if folder is not None:
            monkeypatch.chdir(folder)
        status = cli.run(list(arguments))
        return CompletedProcess(arguments, status, *capfd.readouterr())

    return run


@pytest.fixture(scope="package")
def echo() -> Iterator[Serving]:
    """An origin that says what it was asked; one for all tests of the commands."""
    with serving("serve", ECHO, folder=TOP) as program:
        yield program
