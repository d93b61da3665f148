"""`perdure demo`: its figures are what was counted, and nothing stays behind."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from perdure.commands.demo import Child, Measured, running, table
from perdure.commands.demo_origin import CONTENT, application
from perdure.commands.outcome import CouldNot
from tests.programs import COMMAND, ENVIRONMENT, document, perdure


@pytest.mark.slow
@pytest.mark.row("S6", "S8")
def test_figures_show_what_persistence_saves() -> None:
    result = perdure("demo", "--seconds", "0.3", "--connections", "4", "--json")
    assert result.returncode == 0, result.stderr
    persistent, closing = document(result)["persistent"], document(result)["closing"]
    assert persistent["requests"] == closing["requests"] > 4
    assert persistent["failed"] == closing["failed"] == 0
    assert persistent["client_connections"] == 4
    assert 1 <= persistent["origin_connections"] <= 4
    assert closing["client_connections"] == closing["origin_connections"] == closing["requests"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_leaves_no_process_behind(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--seconds", "0.1", "--keep", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    gateway, origin = re.findall(r"http://127\.0\.0\.1:\d+", lines[1])
    assert perdure("get", "-o", "/dev/null", gateway).returncode == 0
    process.send_signal(number)
    process.communicate(timeout=30)
    assert perdure("get", gateway).returncode == 2, "nobody listens there any more"
    assert perdure("get", origin).returncode == 2
    assert process.returncode == 0


def test_table_is_aligned_and_counts_handshakes_of_both_hops() -> None:
    persistent = Measured(100, 0, 1.0, 8, 8, 0.1, 0.1, 0.1)
    closing = Measured(100, 0, 2.0, 100, 100, 0.2, 0.2, 0.2)
    lines = table(persistent, closing)
    assert "handshakes                                    16         200         184" in lines
    assert "requests on a reused connection            92.0%        0.0%" in lines
    assert "time                                      1.00 s      2.00 s      1.00 s" in lines
    assert not any(line.startswith("failed") for line in lines)
    assert any(line.startswith("failed") for line in table(persistent._replace(failed=1), closing))


def test_origin_of_the_demo_answers_a_kilobyte() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    asyncio.run(application({"type": "http"}, receive, send))
    assert sent[0]["status"] == 200
    assert sent[1]["body"] == CONTENT
    assert len(CONTENT) == 1024


def test_readme_and_makefile_start_the_demo_by_its_name() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text("utf-8")
    assert "bin/perdure demo" in makefile


CHATTERER = """#!{python}
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('{{"urls": ["http://127.0.0.1:1"]}}', flush=True)
sys.stderr.write("warning " * 32768)
sys.stderr.flush()
signal.sigwait([signal.SIGTERM])
print('{{"connections": 3}}', flush=True)
"""
SULKER = """#!{python}
import sys
sys.exit("no such address")
"""


def script(path: Path, text: str) -> str:
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o700)
    return str(path)


def test_child_that_warns_a_lot_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", script(tmp_path / "chatterer", CHATTERER))
    with running("serve") as child:
        assert child.stop() == {"connections": 3}


def test_child_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", script(tmp_path / "sulker", SULKER))
    with pytest.raises(CouldNot, match="serve did not start: no such address"):
        Child("serve")
