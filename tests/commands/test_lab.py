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

from perdure import cli
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
        (["list", "x"], "list: nothing more expected, got x"),
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

    played = lab.perform_all([scenario_of(play)], "memory", Manner())
    assert tell_all(played, None, Manner()) == 1
    printed = capsys.readouterr().out
    assert "fails      connections: 2 (expected 1)" in printed
    assert "fails: test, 0 holds, 1 fails" in printed


def test_scenario_that_raises_gives_status_1_and_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(stage: Stage) -> None:
        raise RuntimeError("on fire")

    played = lab.perform_all([scenario_of(play)], "memory", Manner(verbosity=1))
    assert tell_all(played, None, Manner()) == 1
    printed = capsys.readouterr().out
    assert "fails      RuntimeError: on fire" in printed
    assert "Traceback" in printed


def test_scenario_for_another_backend_is_left_out_and_the_others_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenarios = [load("nagle"), load("serial-http10")]
    played = lab.perform_all(scenarios, "memory", Manner())
    assert tell_all(played, tmp_path, Manner()) == 0
    told = capsys.readouterr()
    assert told.err == (
        "perdure: lab: nagle left out: it runs on namespaces only, got memory: "
        "be root, or put unshare --user --map-root-user --net before the command\n"
    )
    assert told.out.endswith("holds      serial-http10\nleft out   nagle\n")
    figures = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [row["name"] for row in figures["left_out"]] == ["nagle"]
    assert "<li>nagle: left out: it runs on namespaces only" in (tmp_path / "index.html").read_text("utf-8")


def test_nothing_that_could_run_is_status_2() -> None:
    played = lab.perform_all([load("nagle")], "memory", Manner())
    with pytest.raises(CouldNot, match="none of the scenarios could run"):
        tell_all(played, None, Manner())


def test_interrupted_run_tells_and_reports_what_was_finished(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async def play(stage: Stage) -> None:
        raise KeyboardInterrupt

    played = lab.perform_all([load("serial-http10"), scenario_of(play)], "memory", Manner(json=True))
    assert capsys.readouterr().err == "perdure: lab: interrupted: 1 of 2 scenarios were finished\n"
    assert tell_all(played, tmp_path, Manner(json=True)) == 130
    figures = json.loads(capsys.readouterr().out)
    assert figures["interrupted"] is True
    assert [scenario["name"] for scenario in figures["scenarios"]] == ["serial-http10"]
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == figures
    assert "It was interrupted" in (tmp_path / "index.html").read_text("utf-8")


def test_report_that_cannot_be_made_is_told_before_anything_is_played(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    where = str(tmp_path / "file")
    assert cli.run(["lab", "run", "serial-http10", "--backend", "memory", "--report", where]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"perdure: --report: {where}: File exists\n")


def test_scenario_that_is_named_twice_runs_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lab", "run", "serial-http10", "serial_http10", "--backend", "memory", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["scenarios"]) == 1


@pytest.mark.slow
def test_list_whose_reader_has_gone_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*COMMAND, "lab", "list"]
        result = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, env=ENVIRONMENT, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert (result.stderr, result.returncode) == (b"", 1)


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
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        # What a shell starts in the background inherits that it ignores an interruption.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
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
