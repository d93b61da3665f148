"""`perdure get` over real sockets: its figures, its output, its exit status."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import (
    COMMAND,
    ECHO,
    ENVIRONMENT,
    PATIENCE_SECONDS,
    TOP,
    Serving,
    document,
    perdure,
    raw_server,
    read_heads,
    serving,
)

OLD_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def echo() -> Iterator[Serving]:
    with serving("serve", ECHO, folder=TOP) as program:
        yield program


def answer_as_http_10(connection: socket.socket) -> None:
    read_heads(connection, 1)
    connection.sendall(OLD_ANSWER)


def test_four_at_a_time_need_four_connections(echo: Serving) -> None:
    result = perdure("get", "-n", "100", "-c", "4", "--json", echo.url)
    totals = document(result)["totals"]
    assert (totals["requests"], totals["connections"], totals["reused"]) == (100, 4, 96)
    assert totals["closes"] == {"pool_closed": 4}
    rows = document(result)["requests"]
    assert [row["number"] for row in rows] == list(range(1, 101))
    assert {row["connection"] for row in rows} == {1, 2, 3, 4}
    assert sum(not row["reused"] for row in rows) == 4
    assert result.returncode == 0


def test_table_has_a_line_for_each_request_and_the_totals(echo: Serving) -> None:
    result = perdure("get", "-n", "3", echo.url)
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        "request",
        "status",
        "octets",
        "time",
        "ms",
        "connection",
        "used",
        "idle",
        "s",
    ]
    assert re.fullmatch(r" +1 +200 +\d+ +\d+\.\d\d +1  new +-", lines[1])
    assert re.fullmatch(r" +2 +200 +\d+ +\d+\.\d\d +1  reused +\d\.\d{3}", lines[2])
    assert re.fullmatch(r"3 requests in \d\.\d{3} s \(\d+/s\): 3 answered, 0 failed", lines[4])
    assert lines[5] == "1 connection opened, 2 reuses"
    assert lines[6].split(maxsplit=3)[:3] == ["1", "closed", "pool_closed"]
    assert len({len(line) for line in lines[:4]}) == 1, "aligned"
    assert (result.stderr, result.returncode) == ("", 0)


@pytest.mark.row("S1")
def test_http_10_server_without_keep_alive_costs_a_connection_for_each_request() -> None:
    with raw_server(answer_as_http_10) as url:
        result = perdure("get", "-n", "100", "--json", url)
    totals = document(result)["totals"]
    assert (totals["connections"], totals["reused"]) == (100, 0)
    assert totals["closes"] == {"http_10": 100}
    assert {row["ends"] for row in document(result)["requests"]} == {"http_10"}


def test_http_10_server_without_keep_alive_is_named_as_the_reason() -> None:
    with raw_server(answer_as_http_10) as url:
        result = perdure("get", "-n", "3", url)
    assert re.search(
        r"3 closed +http_10 +HTTP/1\.0 without the keep-alive option \(9112 §9\.3\)", result.stdout
    )


@pytest.mark.row("S2")
def test_http_10_asks_for_persistence(echo: Serving) -> None:
    result = perdure("get", "-n", "3", "--http1.0", "--json", echo.url)
    assert document(result)["totals"]["connections"] == 1
    said = perdure("get", "--http1.0", echo.url).stdout
    assert said.startswith("GET / 1.0\n")
    assert "connection=keep-alive" in said.lower()


def test_no_keep_alive_announces_the_close_of_every_connection(echo: Serving) -> None:
    result = perdure("get", "-n", "3", "--no-keep-alive", "--json", echo.url)
    assert document(result)["totals"]["connections"] == 3
    assert "connection=close" in perdure("get", "--no-keep-alive", echo.url).stdout.lower()


def test_one_request_prints_its_content_and_nothing_else(echo: Serving) -> None:
    result = perdure("get", f"{echo.url}/some/path")
    assert result.stdout.startswith("GET /some/path 1.1\n")
    assert (result.stderr, result.returncode) == ("", 0)


def test_story_goes_to_standard_error(echo: Serving) -> None:
    result = perdure("get", "-v", echo.url)
    assert result.stdout.startswith("GET / 1.1\n")
    assert re.search(r"connection 1: request 1, GET http://.* \(just opened\)", result.stderr)
    assert re.search(r"connection 1: 200 OK, \d+ octets in \d+\.\d\d ms; persists", result.stderr)
    assert "connection 1: < HTTP/1.1 200 OK" not in result.stderr
    assert "connection 1: < HTTP/1.1 200 OK" in perdure("get", "-vv", echo.url).stderr


def test_method_content_and_fields_are_sent(echo: Serving) -> None:
    posted = perdure("get", "-d", "a=1", "-H", "X-Colour: red", echo.url).stdout
    assert posted.startswith("POST / 1.1\n")
    assert posted.endswith("\na=1")
    assert "content-type=application/x-www-form-urlencoded" in posted
    assert "x-colour=red" in posted
    assert perdure("get", "-X", "DELETE", echo.url).stdout.startswith("DELETE / 1.1\n")


def test_json_is_one_document_without_the_content(echo: Serving, tmp_path: Path) -> None:
    result = perdure("get", "--json", "-o", "out", echo.url, folder=tmp_path)
    (row,) = document(result)["requests"]
    assert row["octets"] == len((tmp_path / "out").read_bytes())
    assert document(perdure("get", "--json", echo.url))["totals"]["answered"] == 1


def test_content_comes_from_a_file_and_goes_to_one(echo: Serving, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    result = perdure("get", "-d", "@in", "-o", "out", echo.url, folder=tmp_path)
    assert (result.stdout, result.returncode) == ("", 0)
    assert (tmp_path / "out").read_bytes().endswith(b"\nfrom a file")


def test_head_is_printed_before_the_content(echo: Serving) -> None:
    head, _, content = perdure("get", "-i", echo.url).stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK\ncontent-type: text/plain\n")
    assert content.startswith("GET / 1.1\n")


def test_head_request_has_no_content(echo: Serving) -> None:
    result = perdure("get", "-X", "HEAD", echo.url)
    assert (result.stdout, result.returncode) == ("", 0)


def test_several_urls_are_asked_in_turn(echo: Serving) -> None:
    rows = document(perdure("get", "-n", "2", "--json", f"{echo.url}/a", f"{echo.url}/b"))["requests"]
    assert [row["url"].rpartition("/")[2] for row in rows] == ["a", "b", "a", "b"]


def test_status_of_400_or_above_is_a_no(echo: Serving) -> None:
    result = perdure("get", f"{echo.url}/status/404")
    assert result.stdout.startswith("GET /status/404")
    assert result.returncode == 1
    several = perdure("get", f"{echo.url}/status/204", f"{echo.url}/status/500")
    assert "2 answered, 0 failed, 1 with status 400 or above" in several.stdout
    assert several.returncode == 1


def test_request_that_fails_after_others_is_a_no_and_says_why() -> None:
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


def test_answer_that_is_no_http_is_a_no() -> None:
    with raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")) as url:
        result = perdure("get", url)
    assert result.stdout == ""
    assert re.fullmatch(r"perdure: request 1: .*\n", result.stderr)
    assert result.returncode == 1


def test_settings_of_a_file_and_of_flags_reach_the_client(echo: Serving, tmp_path: Path) -> None:
    (tmp_path / "perdure.toml").write_text("[get]\nmax_requests = 2\nrequests = 4\n", encoding="utf-8")
    arguments = ("get", "--config", "perdure.toml", "--json", echo.url)
    totals = document(perdure(*arguments, folder=tmp_path))["totals"]
    assert (totals["requests"], totals["connections"]) == (4, 2)
    totals = document(perdure(*arguments, "--max-requests", "1", folder=tmp_path))["totals"]
    assert totals["connections"] == 4


@pytest.mark.parametrize("how", [[], ["--pipeline", "2"]])
def test_interrupted_request_ends_at_once_and_quietly(how: list[str]) -> None:
    arrived = threading.Event()

    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        arrived.set()
        read_heads(connection, 9)  # says nothing until the client is gone

    with raw_server(converse) as url:
        process = subprocess.Popen(
            [*COMMAND, "get", *how, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        )
        assert arrived.wait(PATIENCE_SECONDS)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 130


def test_reader_that_has_seen_enough_ends_it_quietly(echo: Serving) -> None:
    process = subprocess.Popen(
        [*COMMAND, "get", "-n", "500", echo.url],
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
