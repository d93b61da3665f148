"""`perdure lab`: lists, runs, reports, and says by its status whether everything holds."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from pathlib import Path
from threading import Event

import pytest

from perdure.commands import lab
from perdure.commands.lab import choose_backend, counted, tell_all
from perdure.commands.outcome import CouldNot, Manner
from perdure.lab.perform import Outcome, perform
from perdure.lab.scenario import load, scenario_names
from perdure.lab.stage import Stage
from perdure.lab.verdict import Claim, Holds
from perdure.wire.clock import now
from tests.lab.machine import needs_namespaces
from tests.lab.playing import scenario_of
from tests.programs import COMMAND, ENVIRONMENT, document, perdure


@pytest.mark.slow
def test_list_names_every_scenario_with_its_title() -> None:
    result = perdure("lab", "list")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == scenario_names()
    assert "Slow start: the same object on a new connection and on a warm one" in result.stdout
    listed = json.loads(perdure("lab", "list", "--json").stdout)
    assert [row["name"] for row in listed] == scenario_names()


@pytest.mark.slow
@pytest.mark.row("S1")
def test_run_draws_measures_and_reports(tmp_path: Path) -> None:
    result = perdure("lab", "run", "serial-http10", "--backend", "memory", "--report", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "client → server   4" in result.stdout
    assert "holds      connections, persistent: 1" in result.stdout
    assert "virtual time" in result.stdout
    assert "holds: serial-http10, 5 holds, 2 not shown" in result.stdout
    figures = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert figures["scenarios"][0]["acts"][0]["seconds"] == pytest.approx(0.4)
    assert (tmp_path / "serial-http10-2.svg").is_file()


@pytest.mark.slow
def test_json_is_the_report_on_one_line_and_verbose_tells_what_was_sent() -> None:
    figures = document(perdure("lab", "run", "slow-start", "--backend", "memory", "--json"))
    assert figures["verdict"] == "holds"
    verbose = perdure("lab", "run", "slow-start", "--backend", "memory", "-v")
    assert "GET /0 HTTP/1.1, " in verbose.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "list or run expected, got nothing"),
        (["look"], "list or run expected, got look"),
        (["run"], "names of scenarios or --all expected, got neither"),
        (["run", "slow-start", "--all"], "names of scenarios or --all expected, got both"),
        (["run", "fast-end"], "no scenario 'fast-end'"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_status_2(words: list[str], error: str) -> None:
    result = perdure("lab", *words)
    assert result.returncode == 2
    assert error in result.stderr
    assert result.stderr.count("\n") == 1


def test_claim_that_fails_gives_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(stage: Stage) -> None:
        stage.expect("connections", 1, 2)

    outcomes = lab.perform_all([scenario_of(play)], "memory", Manner(), skip=False)
    assert tell_all(outcomes, None, Manner()) == 1
    printed = capsys.readouterr().out
    assert "fails      connections: 2 (expected 1)" in printed
    assert "fails: test, 0 holds, 1 fails" in printed


def test_scenario_that_raises_gives_status_1_and_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(stage: Stage) -> None:
        raise RuntimeError("on fire")

    outcomes = lab.perform_all([scenario_of(play)], "memory", Manner(verbosity=1), skip=False)
    assert tell_all(outcomes, None, Manner()) == 1
    printed = capsys.readouterr().out
    assert "fails      RuntimeError: on fire" in printed
    assert "Traceback" in printed


def test_scenario_for_another_backend_is_left_out_of_all_and_refused_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenario = load("slow-start")._replace(backends=("namespaces",))
    assert lab.perform_all([scenario], "memory", Manner(), skip=True) == []
    assert "slow-start left out: it runs on namespaces only" in capsys.readouterr().err
    with pytest.raises(CouldNot, match="namespaces only"):
        lab.perform_all([scenario], "memory", Manner(), skip=False)
    with pytest.raises(CouldNot, match="none of the scenarios"):
        tell_all([], None, Manner())


def test_without_namespaces_auto_is_loopback_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("perdure.lab.perform.why_no_namespaces", lambda: "Operation not permitted")
    assert choose_backend("auto") == "loopback"
    assert (
        "on loopback, since there are no network namespaces: Operation not permitted"
        in capsys.readouterr().err
    )
    monkeypatch.setattr("perdure.lab.perform.why_no_namespaces", lambda: "")
    assert choose_backend("auto") == "namespaces"
    assert choose_backend("memory") == "memory"


def test_claims_are_counted_by_what_became_of_them() -> None:
    outcome = Outcome(load("slow-start"), "memory")
    outcome.claims = [Claim("a", "", "", Holds.NOT_SHOWN)]
    assert counted(outcome) == "0 holds, 1 not shown"
    assert perform(load("slow-start"), "memory").holds is Holds.YES


@pytest.mark.slow
def test_whoever_may_make_a_user_namespace_needs_no_root() -> None:
    prefix = ["unshare", "--user", "--map-root-user", "--net"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no user namespaces: {error}")
    command = [*prefix, *COMMAND, "lab", "run", "serial-http10", "--backend", "namespaces", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert result.returncode in (0, 1), result.stderr  # a claim about seconds may fail on a busy machine
    [scenario] = json.loads(result.stdout)["scenarios"]
    assert scenario["error"] is None
    assert all(act["packets"] for act in scenario["acts"])


@pytest.mark.slow
@needs_namespaces
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_it_nothing_stays_behind(number: signal.Signals) -> None:
    command = [*COMMAND, "lab", "run", "stale-reuse", "--backend", "namespaces"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    try:
        carrier = os.pidfd_open(_carrier_of(process.pid))
        process.send_signal(number)
        process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode in (130, -number)
    ended, _, _ = select.select([carrier], [], [], 10.0)
    os.close(carrier)
    assert ended


def _carrier_of(pid: int) -> int:
    """Wait for the process that carries frames; its id."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    until = now() + 30.0
    while now() < until:
        for child in children.read_text("ascii").split():
            with contextlib.suppress(OSError):  # it was a short one, and is gone
                if b"perdure.lab.carrier" in Path("/proc", child, "cmdline").read_bytes():
                    return int(child)
        Event().wait(0.02)
    raise TimeoutError("no process carries frames")
