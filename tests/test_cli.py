"""The command line as a person uses it: exit statuses, help, and one line for each error."""

from __future__ import annotations

import re
import resource
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
import typer

from perdure import cli
from perdure.commands.command import Command, parameters_of
from tests.programs import ENVIRONMENT, perdure

NAMES = [command.section.name for command in cli.COMMANDS]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of loopback on which nobody listens, and nobody will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield bound.getsockname()[1]


def assert_could_not(arguments: list[str], pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The command ends with status 2, one line on standard error, and nothing on standard output."""
    status = cli.run(arguments)
    out, err = capfd.readouterr()
    assert re.fullmatch(f"perdure: {pattern}\n", err), err
    assert out == ""
    assert status == 2


ANY = ("--bind", "127.0.0.1:0")
"""The port is looked at first: one that nobody has."""


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["sevre"], r"no such command 'sevre'.*serve.*"),
        (["serve", "--idel-timeout", "3"], r"no such option: --idel-timeout.*--idle-timeout.*"),
        (["serve", "--idle-timeout"], r"option '--idle-timeout' requires an argument"),
        (["serve", "--idle-timeout", "fast"], r'--idle-timeout: a number of seconds expected, got "fast"'),
        (["serve", "--announce", "x"], r'--announce: one of "always", "http10", "never" expected, got "x"'),
        (["serve", "--workers", "0"], r'--workers: a number, at least 1, expected, got "0"'),
        (["serve", "--bind", "8000"], r"--bind: expected HOST:PORT or unix:PATH, got '8000'"),
        (["serve", "--tls-key", "k"], r"--tls-key: its certificate expected in tls_cert, got none"),
        (
            ["serve", "--tls-cert", __file__],
            r"--tls-cert: certificate file .*: a PEM certificate expected, .*",
        ),
        (
            ["serve", "--tls-cert", certifi.where()],
            r"--tls-cert: .*: a PEM private key expected, found none, .*",
        ),
        (
            ["serve", "--tls-cert", certifi.where(), "--tls-key", "absent.pem"],
            r"--tls-key: key file absent\.pem: no .*",
        ),
        (
            ["serve", "--tls-cert", certifi.where(), "--tls-key", __file__],
            r"--tls-key: key file .*: a PEM private key .*",
        ),
        (["serve", "--tls-cert", "absent.pem"], r"--tls-cert: certificate file absent\.pem: no such file"),
        (["serve", "absent"], r"cannot serve 'absent': not a folder"),
        (
            ["serve", *ANY, "absent:application"],
            r"absent:application: no module named absent \(looked in .*\)",
        ),
        (["serve", *ANY, "json:absent"], r"json:absent: absent expected in it, found none of that name"),
        (
            ["serve", *ANY, "json:__name__"],
            r"json:__name__: an ASGI application expected, got an object of type str",
        ),
        (["serve", "--config", "absent.toml"], r"absent\.toml: cannot be read: No such file or directory"),
        (["gateway"], r"gateway: to: the URL of an origin expected, got none"),
        (
            ["gateway", *ANY, "--to", "ftp://a/"],
            r"--to: URL: expected the scheme http or https, got 'ftp' in 'ftp://a/'",
        ),
        (["gateway", "--origin-idle-timeout", "x"], r'--origin-idle-timeout: a number of seconds exp.* "x"'),
        (["get"], r"get: a URL expected, got none"),
        (
            ["get", "http+unix:/s"],
            r"URL: a unix socket is named by --unix-socket PATH .*, got 'http\+unix:/s'",
        ),
        (["get", ":80"], r"URL: expected HOST or HOST:PORT, got 'http://:80'"),
        (["serve", *ANY, "http://a/"], r"TARGET: an application or a folder expected, got 'http://a/'"),
        (
            ["serve", *ANY, "site.py"],
            r"site\.py: an application is named as MODULE:NAME, such as site:application",
        ),
        (["get", "http://a:99999/"], r"URL: expected a port from 1 to 65535, got 'http://a:99999/'"),
        (["get", "-n", "many", "http://a/"], r'--requests: a number, at least 1, expected, got "many"'),
        (["get", "-H", "X", "http://127.0.0.1:1/"], r"--header: NAME: VALUE expected, got 'X'"),
        (["get", "-d", "@absent", "http://127.0.0.1:1/"], r"--data: absent: No such file or directory"),
        (["get", "-o", "f", "-n", "2", "http://a/"], r"get: --output and --include take one request, got 2"),
        (
            ["get", "--pipeline", "2", "-X", "POST", "http://a/"],
            r"--pipeline: an idempotent method .*, got POST .*",
        ),
        (["get", "http://nobody.invalid/"], r"nobody\.invalid:80: the name has no address .*"),
        (
            ["get", "--pipeline", "2", "http://nobody.invalid/"],
            r"nobody\.invalid:80: the name has no address .*",
        ),
        (["demo", "--connections", "x"], r'--connections: a number, at least 1, expected, got "x"'),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    arguments: list[str],
    pattern: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_could_not(arguments, pattern, capfd)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["get", "--idle-timeout", "fast", "http://a/"], r"--idle-timeout: a number of seconds expected, .*"),
        (
            ["serve", *ANY, "absent:application", "--workers", "2"],
            r"absent:application: no module named absent .*",
        ),
        (["get", "http://nobody.invalid/"], r"nobody\.invalid:80: the name has no address .*"),
    ],
)
def test_program_ends_with_one_line_and_status_2(arguments: list[str], pattern: str, tmp_path: Path) -> None:
    result = perdure(*arguments, folder=tmp_path)
    assert re.fullmatch(f"perdure: {pattern}\n", result.stderr), result.stderr
    assert (result.stdout, result.returncode) == ("", 2)


@pytest.mark.parametrize(
    "command", [["serve"], ["serve", "--workers", "2"], ["gateway", "--to", "http://127.0.0.1:1"]]
)
def test_busy_port_is_one_line_and_status_2(
    command: list[str], busy_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    bind = f"127.0.0.1:{busy_port}"
    assert_could_not([*command, "--bind", bind], f"cannot listen on {bind}: .*", capfd)


@pytest.mark.parametrize("how", [[], ["-n", "3", "-c", "2"], ["--pipeline", "2"], ["--json"]])
def test_refused_connection_is_one_line_and_status_2(
    how: list[str], silent_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    pattern = f"127.0.0.1:{silent_port}: connecting failed: .*"
    assert_could_not(["get", *how, f"http://127.0.0.1:{silent_port}/"], pattern, capfd)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (
            '[gateway]\norigin_idle_timeout = "fast"\n',
            r'gateway\.origin_idle_timeout: a number of seconds expected, got "fast"',
        ),
        ("[serve]\nidle_timout = 3\n", r"serve\.idle_timout: no such setting; did you mean idle_timeout\?"),
        ("[server]\n", r"server: no such table; did you mean serve\?"),
        ("[serve\n", r"TOML expected: .*line 1.*"),
        ("[serve]\nworkers = 0\n", r"serve\.workers: a number, at least 1, expected, got 0"),
    ],
)
def test_error_in_the_file_is_one_line_and_status_2(
    text: str,
    pattern: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "perdure.toml").write_text(text, encoding="utf-8")
    assert_could_not(["serve", "--config", "perdure.toml"], rf"perdure\.toml: {pattern}", capfd)


@pytest.mark.slow
def test_debug_shows_the_traceback() -> None:
    result = perdure("serve", "absent", "--debug")
    assert "Traceback" in result.stderr
    assert result.returncode != 0


def test_version_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert re.fullmatch(r"perdure \d+\.\d+\.\d+\n", capfd.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("perdure ga", ["gateway"]),
        ("perdure get --no-k", ["--no-keep-alive"]),
        ("perdure gateway --origin-idle", ["--origin-idle-timeout"]),
    ],
)
def test_shell_completes_commands_and_options(words: str, offered: list[str]) -> None:
    count = len(words.split()) - 1
    completing = {"_PERDURE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    program = "import sys; sys.argv = ['perdure']; from perdure.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | completing,
        check=False,
    )
    assert (result.stdout.split(), result.stderr) == (offered, "")


@pytest.mark.parametrize("command", cli.COMMANDS, ids=NAMES)
def test_example_of_each_command_is_understood(command: Command) -> None:
    program, name, *arguments = shlex.split(command.example)
    assert (program, name) == ("perdure", command.section.name)
    group: Any = typer.main.get_command(cli.application)
    given = group.commands[name].make_context(name, arguments).params
    assert command.section.build(command.section.parse(given))


@pytest.mark.slow
def test_help_without_a_command_lists_the_commands() -> None:
    result = perdure()
    assert all(name in result.stdout for name in NAMES)
    assert "perdure:" not in result.stderr


def test_no_two_settings_of_a_command_share_a_name_with_another_meaning() -> None:
    for command in cli.COMMANDS:
        names = [parameter.name for parameter in parameters_of(command.section)]
        assert len(names) == len(set(names))
        assert not {"config", "json", "verbosity", "debug"} & set(names)


def processor_seconds(*arguments: str) -> float:
    """What an interpreter with these arguments took, start and all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_help_is_quick() -> None:
    """Beside what importing Typer and Rich takes: 3.5 times that, whatever the machine has to do."""
    typer_alone = ("-c", "import typer, rich.console, rich.table, rich.panel, rich.markdown")
    help_of_ours = ("-m", "perdure", "--help")
    assert any(processor_seconds(*help_of_ours) < 5 * processor_seconds(*typer_alone) for _ in range(5))


@pytest.mark.slow
def test_help_imports_no_event_loop() -> None:
    program = "import sys, perdure.cli; print('asyncio' in sys.modules, 'starlette' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False False\n"
