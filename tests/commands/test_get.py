"""`perdure get` over real sockets: its figures, its output, its exit status."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.commands.conftest import Perdure
from tests.programs import (
    COMMAND,
    ENVIRONMENT,
    PATIENCE_SECONDS,
    Serving,
    document,
    raw_server,
    read_heads,
)

OLD_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer_as_http_10(connection: socket.socket) -> None:
    read_heads(connection, 1)
    connection.sendall(OLD_ANSWER)


def test_four_at_a_time_need_four_connections(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-n", "100", "-c", "4", "--json", echo.url)
    totals = document(result)["totals"]
    assert (totals["requests"], totals["connections"], totals["reused"]) == (100, 4, 96)
    assert totals["closes"] == {"pool_closed": 4}
    rows = document(result)["requests"]
    assert [row["number"] for row in rows] == list(range(1, 101))
    assert {row["connection"] for row in rows} == {1, 2, 3, 4}
    assert sum(not row["reused"] for row in rows) == 4
    assert result.returncode == 0


def test_table_has_a_line_for_each_request_and_the_totals(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-n", "3", echo.url)
    lines = result.stdout.splitlines()
    assert lines[0] == "request  status    octets   time ms  connection  used     idle s  ends"
    assert re.fullmatch(r" +1 +200 +\d+ +\d+\.\d\d +1  new +-  -", lines[1])
    assert re.fullmatch(r" +2 +200 +\d+ +\d+\.\d\d +1  reused +\d\.\d{3}  -", lines[2])
    assert re.fullmatch(r"3 requests in \d\.\d{3} s \(\d+/s\): 3 answered, 0 failed", lines[4])
    assert re.fullmatch(r"1 connection opened \(\d+\.\d\d ms\), 2 reuses \(saved about [\d.]+ ms\)", lines[5])
    assert lines[6].split(maxsplit=3)[:3] == ["1", "closed", "pool_closed"]
    assert (result.stderr, result.returncode) == ("", 0)


@pytest.mark.row("S1")
def test_http_10_server_without_keep_alive_costs_a_connection_for_each_request(perdure: Perdure) -> None:
    with raw_server(answer_as_http_10) as url:
        result = perdure("get", "-n", "100", "--json", url)
    totals = document(result)["totals"]
    assert (totals["connections"], totals["reused"]) == (100, 0)
    assert totals["closes"] == {"http_10": 100}
    assert {row["ends"] for row in document(result)["requests"]} == {"http_10"}


def test_http_10_server_without_keep_alive_is_named_as_the_reason(perdure: Perdure) -> None:
    with raw_server(answer_as_http_10) as url:
        result = perdure("get", "-n", "3", url)
    assert re.search(
        r"3 closed +http_10 +HTTP/1\.0 without the keep-alive option \(9112 §9\.3\)", result.stdout
    )


@pytest.mark.row("S2")
def test_http_10_asks_for_persistence(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-n", "3", "--http1.0", "--json", echo.url)
    assert document(result)["totals"]["connections"] == 1
    said = perdure("get", "--http1.0", echo.url).stdout
    assert said.startswith("GET / 1.0\n")
    assert "connection=keep-alive" in said.lower()


def test_no_keep_alive_announces_the_close_of_every_connection(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-n", "3", "--no-keep-alive", "--json", echo.url)
    assert document(result)["totals"]["connections"] == 3
    assert document(result)["totals"]["closes"] == {"close_sent": 3}, "we asked, the server agreed"
    assert "connection=close" in perdure("get", "--no-keep-alive", echo.url).stdout.lower()


def test_one_request_prints_its_content_and_nothing_else(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", f"{echo.url}/some/path")
    assert result.stdout.startswith("GET /some/path 1.1\n")
    assert (result.stderr, result.returncode) == ("", 0)


def test_story_goes_to_standard_error(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-v", echo.url)
    assert result.stdout.startswith("GET / 1.1\n")
    assert re.search(r"connection 1: request 1: GET http://.* \(just opened\)", result.stderr)
    assert re.search(r"connection 1: 200 OK, \d+ octets in \d+\.\d\d ms; persists", result.stderr)
    assert result.stderr.startswith(f"connection 1 to {echo.url}: opened\n")
    assert f"connection 1 to {echo.url}: closed after 1 request: the pool was closed" in result.stderr
    assert "connection 1: < HTTP/1.1 200 OK" not in result.stderr
    assert "connection 1: < HTTP/1.1 200 OK" in perdure("get", "-vv", echo.url).stderr


def test_method_content_and_fields_are_sent(perdure: Perdure, echo: Serving) -> None:
    posted = perdure("get", "-d", "a=1", "-H", "X-Colour: red", echo.url).stdout
    assert posted.startswith("POST / 1.1\n")
    assert posted.endswith("\na=1")
    assert "content-type=application/x-www-form-urlencoded" in posted
    assert "x-colour=red" in posted
    assert perdure("get", "-X", "DELETE", echo.url).stdout.startswith("DELETE / 1.1\n")


def test_json_is_one_document_without_the_content(perdure: Perdure, echo: Serving, tmp_path: Path) -> None:
    result = perdure("get", "--json", "-o", "out", echo.url, folder=tmp_path)
    (row,) = document(result)["requests"]
    assert row["octets"] == len((tmp_path / "out").read_bytes())
    assert document(perdure("get", "--json", echo.url))["totals"]["answered"] == 1


def test_content_comes_from_a_file_and_goes_to_one(perdure: Perdure, echo: Serving, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    result = perdure("get", "-d", "@in", "-o", "out", echo.url, folder=tmp_path)
    assert (result.stdout, result.returncode) == ("", 0)
    assert (tmp_path / "out").read_bytes().endswith(b"\nfrom a file")


def test_head_is_printed_before_the_content(perdure: Perdure, echo: Serving) -> None:
    head, _, content = perdure("get", "-i", echo.url).stdout.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n")
    assert content.startswith("GET / 1.1\n")


def test_head_request_has_no_content(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-X", "HEAD", echo.url)
    assert (result.stdout, result.returncode) == ("", 0)


def test_several_urls_are_asked_in_turn(perdure: Perdure, echo: Serving) -> None:
    rows = document(perdure("get", "-n", "2", "--json", f"{echo.url}/a", f"{echo.url}/b"))["requests"]
    assert [row["url"].rpartition("/")[2] for row in rows] == ["a", "b", "a", "b"]


def test_status_of_400_or_above_is_a_no(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", f"{echo.url}/status/404")
    assert result.stdout.startswith("GET /status/404")
    assert result.returncode == 1
    several = perdure("get", f"{echo.url}/status/204", f"{echo.url}/status/500")
    assert "2 answered, 0 failed, 1 with status 400 or above" in several.stdout
    assert several.returncode == 1


def test_request_that_fails_after_others_is_a_no_and_says_why(perdure: Perdure) -> None:
    answers = iter(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", b"HTTP/1.1 200 OK\r\nCont"]
    )

    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        connection.sendall(next(answers))

    with raw_server(converse) as url:
        result = perdure("get", "-n", "2", "-X", "POST", "--json", url)
    first, second = document(result)["requests"]
    assert (first["status"], first["error"]) == (200, None)
    assert (second["status"], second["ends"]) == (None, "incomplete")
    assert re.fullmatch(r"perdure: request 2: .*\n", result.stderr)
    assert result.returncode == 1


def test_answer_that_is_no_http_is_a_no(perdure: Perdure) -> None:
    with raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")) as url:
        result = perdure("get", url)
    assert result.stdout == ""
    assert re.fullmatch(r"perdure: request 1: .*\n", result.stderr)
    assert result.returncode == 1


def test_settings_of_a_file_and_of_flags_reach_the_client(
    perdure: Perdure, echo: Serving, tmp_path: Path
) -> None:
    (tmp_path / "perdure.toml").write_text("[get]\nmax_requests = 2\nrequests = 4\n", encoding="utf-8")
    arguments = ("get", "--config", "perdure.toml", "--json", echo.url)
    totals = document(perdure(*arguments, folder=tmp_path))["totals"]
    assert (totals["requests"], totals["connections"]) == (4, 2)
    totals = document(perdure(*arguments, "--max-requests", "1", folder=tmp_path))["totals"]
    assert totals["connections"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--pipeline", "2"], ["--json"], ["-n", "3"]])
def test_interrupted_request_ends_at_once_and_tells_what_was_so_far(how: list[str]) -> None:
    arrived = threading.Event()
    answered = "-n" in how

    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        if answered:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            read_heads(connection, 1)
        arrived.set()
        read_heads(connection, 9)  # says nothing until the client is gone

    with raw_server(converse) as url:
        process = subprocess.Popen(
            [*COMMAND, "get", *how, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            # What a shell starts in the background, these tests too, ignores it: so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert arrived.wait(PATIENCE_SECONDS)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (err, process.returncode) == (b"", 130)
    if answered:
        assert b"1 request in " in out
        assert b"1 answered, 0 failed; interrupted\n1 connection opened" in out
        assert b"1 closed  cancelled" in out
    elif "--json" in how:
        totals = json.loads(out)["totals"]
        assert (totals["requests"], totals["interrupted"], totals["closes"]) == (0, True, {"cancelled": 1})
    else:
        assert out == b""


@pytest.mark.slow
@pytest.mark.parametrize("how", [["-n", "500"], ["-n", "500", "--pipeline", "5"]])
def test_reader_that_has_seen_enough_ends_it_quietly(echo: Serving, how: list[str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, "get", *how, echo.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(PATIENCE_SECONDS) != 0


def test_credentials_in_a_url_are_sent_and_never_shown(perdure: Perdure, echo: Serving) -> None:
    url = echo.url.replace("http://", "http://user:p%40ss@")
    result = perdure("get", "-vv", url)
    assert "authorization=Basic dXNlcjpwQHNz" in result.stdout
    assert "p%40ss" not in result.stderr
    assert "dXNlcjpwQHNz" not in result.stderr
    assert "connection 1: > Authorization: (not shown)\n" in result.stderr
    assert document(perdure("get", "--json", url))["requests"][0]["url"] == echo.url


def test_one_server_that_is_not_there_does_not_keep_the_others_waiting(
    perdure: Perdure, echo: Serving
) -> None:
    result = perdure("get", "-n", "3", "http://127.0.0.1:1/", echo.url)
    assert result.stdout.count("connect_failed") == 1, "it is tried once"
    assert "4 requests in" in result.stdout
    assert re.fullmatch(r"perdure: request 1: 127\.0\.0\.1:1: connecting failed: .*\n", result.stderr)
    assert result.returncode == 1


def test_silent_prints_the_totals_alone_and_no_error(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-s", "-n", "2", echo.url)
    assert result.stdout.startswith("2 requests in")
    with raw_server(lambda connection: None) as url:
        assert perdure("get", "-s", url).stderr == ""
        assert perdure("get", "-s", "-S", url).stderr.startswith("perdure: request 1: ")
