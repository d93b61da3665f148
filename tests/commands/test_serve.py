"""`perdure serve` as a process: what it serves, how it reads its settings, how it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from perdure.commands.outcome import CouldNot
from perdure.commands.serve import Latest, load_target
from perdure.config import ConfigError
from tests.commands.conftest import Perdure
from tests.programs import ECHO, PATIENCE_SECONDS, TOP, document, serving

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except ConnectionRefusedError:
        return False
    return True


def head_of(url: str) -> str:
    """The head of one response, by a client that we did not write."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return f"http/1.1 {response.status}\n{response.headers}".lower()
    finally:
        connection.close()


def hint_of(url: str) -> str | None:
    """Its Keep-Alive field."""
    found = re.search(r"(?m)^keep-alive: (.*)$", head_of(url))
    return None if found is None else found[1]


@pytest.mark.slow
@pytest.mark.row("S4")
def test_folder_is_served_and_the_settings_of_flags_are_announced(perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>here</p>", encoding="utf-8")
    with serving("serve", str(tmp_path), "--idle-timeout", "7", "--max-requests", "3") as program:
        result = perdure("get", "-i", program.url)
    assert result.stdout.endswith("<p>here</p>")
    assert "keep-alive: timeout=7, max=2" in result.stdout.lower()


@pytest.mark.slow
def test_what_it_did_is_told_at_the_end_and_the_status_is_0(perdure: Perdure) -> None:
    with serving("serve", ECHO, folder=TOP) as program:
        perdure("get", "-n", "3", program.url)
        assert program.end() == 0
    assert program.counted["event"] == "ended"
    assert (program.counted["connections"], program.counted["requests"]) == (1, 3)
    assert program.counted["closes"] == {"peer_closed": 1}


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_replaced_servers_did_counts_as_well(perdure: Perdure, workers: str) -> None:
    with serving("serve", ECHO, "--workers", workers, folder=TOP) as program:
        for _ in range(4):
            perdure("get", "-n", "3", program.url)
        program.process.send_signal(signal.SIGHUP)
        for _ in range(4):
            perdure("get", "-n", "3", program.url)
        assert program.end() == 0
    # A connection that was open when its server was told to end may have been followed by another one.
    assert program.counted["requests"] == 24
    assert sum(program.counted["closes"].values()) == program.counted["connections"] >= 8


@pytest.mark.slow
def test_flags_override_the_file(tmp_path: Path) -> None:
    (tmp_path / "perdure.toml").write_text(
        '[serve]\ntarget = "."\nidle_timeout = 9\nmax_requests = 8\n', encoding="utf-8"
    )
    with serving("serve", "--config", "perdure.toml", "--max-requests", "5", folder=tmp_path) as program:
        assert "keep-alive: timeout=9, max=4" in head_of(program.url)


@pytest.mark.slow
def test_second_signal_stops_at_once() -> None:
    with serving("serve", ECHO, folder=TOP) as program:
        host, port = program.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")  # and no content
            program.process.send_signal(signal.SIGTERM)
            while accepts(host, int(port)):  # until it drains, when nobody else may come
                pass
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(20) == 0
            program.process.communicate()


@pytest.mark.slow
def test_story_names_the_end_of_each_connection_and_the_totals(perdure: Perdure) -> None:
    with serving("serve", ECHO, "-v", folder=TOP) as program:
        perdure("get", "-n", "3", program.url)
        program.end()
    assert "connection 1: closed after 3 requests" in program.told
    assert "the peer closed it while idle (9112 §9.5)" in program.told


@pytest.mark.slow
def test_story_of_several_workers_says_which_one_tells(perdure: Perdure) -> None:
    with serving("serve", ECHO, "-v", "--workers", "2", folder=TOP) as program:
        perdure("get", "-n", "3", program.url)
        program.end()
    found = re.findall(r"(?m)^worker (\d+): connection 1: closed after 3 requests", program.told)
    assert len(found) == 1
    assert int(found[0]) != program.process.pid


@pytest.mark.slow
def test_hangup_reads_the_settings_again_and_loses_nothing(tmp_path: Path) -> None:
    config = tmp_path / "perdure.toml"
    config.write_text("[serve]\nidle_timeout = 9\nworkers = 2\n", encoding="utf-8")
    with serving("serve", str(tmp_path), "--config", str(config)) as program:
        assert "timeout=9" in head_of(program.url)
        config.write_text("[serve]\nidle_timeout = 11\nworkers = 2\n", encoding="utf-8")
        program.process.send_signal(signal.SIGHUP)
        found = [head_of(program.url)]
        while "timeout=11" not in found[-1]:  # until a successor answers, however long it takes to start
            found.append(head_of(program.url))
        assert all("http/1.1 200" in head for head in found), "every request was answered"


@pytest.mark.slow
def test_faulty_file_changes_nothing_in_the_workers_either(tmp_path: Path) -> None:
    config = tmp_path / "perdure.toml"
    config.write_text("[serve]\nidle_timeout = 9\nworkers = 2\n", encoding="utf-8")
    with serving("serve", str(tmp_path), "--config", str(config)) as program:
        config.write_text("[serve]\nidle_timeout = 11\nworkers = 2\n", encoding="utf-8")
        program.process.send_signal(signal.SIGHUP)
        while {hint_of(program.url) for _ in range(30)} != {"timeout=11, max=999"}:  # until all are replaced
            continue
        config.write_text("[serve]\nbroken", encoding="utf-8")
        program.process.send_signal(signal.SIGHUP)
        assert {hint_of(program.url) for _ in range(50)} == {"timeout=11, max=999"}


@pytest.mark.slow
def test_workers_do_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    config = tmp_path / "perdure.toml"
    config.write_text("[serve]\nworkers = 2\n", encoding="utf-8")
    with serving("serve", str(tmp_path), "--config", str(config)) as program:
        program.process.kill()
        program.process.communicate(timeout=30)  # until nobody holds its output any more
        with pytest.raises(ConnectionRefusedError):
            hint_of(program.url)


def test_faulty_file_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([1, 2])

    def read() -> int:
        for answer in answers:
            return answer
        raise ConfigError("perdure.toml: wrong")

    latest = Latest(read)
    assert (latest.renew(), latest.value) == (True, 2)
    assert (latest.renew(), latest.value) == (False, 2)
    assert "perdure.toml: wrong; the settings stay as they were" in caplog.text


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("raise RuntimeError('no database')", "importing it failed: RuntimeError: no database"),
        ("import absent_one", "importing it failed: No module named 'absent_one'"),
        ("def application(:", "importing it failed: SyntaxError: .*"),
    ],
)
def test_module_that_fails_is_not_taken_for_one_that_is_absent(
    module: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"faulty_{abs(hash(module))}"
    (tmp_path / f"{name}.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CouldNot, match=message):
        load_target(f"{name}:application")


def test_application_inside_an_object_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nested_site.py").write_text("class site:\n    application = print\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found: object = load_target("nested_site:site.application")
    assert found is print


def test_folder_with_a_colon_in_its_name_is_a_folder(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "a:b")
    assert callable(load_target(str(tmp_path / "a:b")))


@pytest.mark.slow
def test_person_is_told_where(perdure: Perdure, tmp_path: Path) -> None:
    with serving("serve", str(tmp_path)) as program:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", program.url)
        totals = document(perdure("get", "--json", program.url))["totals"]
    assert totals["answered"] == 1
