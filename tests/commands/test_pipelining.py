"""Pipelined requests over real sockets: in order, in doubt, and sent again where that is safe."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from tests.commands.conftest import Perdure
from tests.programs import ECHO, TOP, Serving, document, raw_server, read_heads, serving

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST_ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def seven() -> Iterator[Serving]:
    """A server that answers seven requests on a connection."""
    with serving("serve", ECHO, "--max-requests", "7", folder=TOP) as program:
        yield program


@pytest.mark.slow
@pytest.mark.row("S9")
def test_pipelines_share_the_requests_and_every_one_is_answered(perdure: Perdure, seven: Serving) -> None:
    result = perdure("get", "-n", "20", "-c", "2", "--pipeline", "5", "--json", seven.url)
    read = document(result)
    assert [row["number"] for row in read["requests"]] == list(range(1, 21))
    assert {row["status"] for row in read["requests"]} == {200}
    assert read["totals"]["connections"] == 4, "10 on each of two, 7 at most on a connection"
    assert result.returncode == 0


def test_requests_go_out_before_the_first_is_answered(perdure: Perdure) -> None:
    heads: list[int] = []

    def converse(connection: socket.socket) -> None:
        heads.append(read_heads(connection, 4).count(b"\r\n\r\n"))
        connection.sendall(ANSWER * 3 + LAST_ANSWER)

    with raw_server(converse) as url:
        result = perdure("get", "-n", "4", "--pipeline", "4", "--json", url)
    assert heads == [4]
    assert document(result)["totals"]["connections"] == 1


@pytest.mark.row("R92")
def test_rest_is_sent_again_after_an_announced_close(perdure: Perdure) -> None:
    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        connection.sendall(LAST_ANSWER)

    with raw_server(converse) as url:
        result = perdure("get", "-n", "3", "--pipeline", "3", "--json", url)
    totals = document(result)["totals"]
    assert (totals["answered"], totals["connections"]) == (3, 3)
    assert totals["closes"] == {"close_received": 3}


def test_request_after_an_unannounced_end_goes_alone(perdure: Perdure) -> None:
    heads: list[int] = []

    def converse(connection: socket.socket) -> None:
        if not heads:
            heads.append(read_heads(connection, 4).count(b"\r\n\r\n"))
            connection.sendall(ANSWER)
            return
        heads.append(read_heads(connection, 1).count(b"\r\n\r\n"))
        connection.sendall(ANSWER)
        heads.append(read_heads(connection, 2).count(b"\r\n\r\n"))
        connection.sendall(ANSWER + ANSWER)
        read_heads(connection, 1)

    with raw_server(converse) as url:
        result = perdure("get", "-n", "4", "--pipeline", "4", "--json", url)
    assert heads == [4, 1, 2]
    assert document(result)["totals"]["answered"] == 4


def test_server_that_answers_nothing_ends_the_attempt(perdure: Perdure) -> None:
    connections: list[int] = []

    def converse(connection: socket.socket) -> None:
        connections.append(read_heads(connection, 1).count(b"\r\n\r\n"))

    with raw_server(converse) as url:
        result = perdure("get", "-n", "3", "--pipeline", "3", "--json", url)
    rows = document(result)["requests"]
    assert {row["status"] for row in rows} == {None}
    assert all("not sent again: the connection was fresh" in row["error"] for row in rows)
    assert len(connections) == 3
    assert re.fullmatch(r"perdure: request 1: .*\n", result.stderr)
    assert result.returncode == 1


@pytest.mark.slow
def test_story_of_a_pipeline_names_the_end_of_each_connection(perdure: Perdure, seven: Serving) -> None:
    result = perdure("get", "-n", "8", "--pipeline", "8", "-v", seven.url)
    origin = seven.url.rstrip("/")
    assert re.search(rf"connection 1 to {origin}: opened\n", result.stderr)
    closed = f"connection 1 to {origin}: closed after 8 requests: the peer sent the close option (9112 §9.6)"
    assert closed in result.stderr


def answer_each(connection: socket.socket) -> None:
    while heads := read_heads(connection, 1):
        connection.sendall(ANSWER * heads.count(b"\r\n\r\n"))


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
def test_proxy_of_the_environment_that_is_passed_over_is_told_in_one_line(
    perdure: Perdure, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://user:secret@proxy.test:3128")
    with raw_server(answer_each) as url:
        result = perdure("get", "-n", "2", "--pipeline", "2", url, url)
    told = "perdure: --pipeline goes without the proxy of the environment, http://proxy.test:3128\n"
    assert (result.stderr, result.returncode) == (told, 0)


@pytest.mark.parametrize(
    ("how", "no_proxy"),
    [(["--silent"], ""), (["--proxy", "none"], ""), (["--noproxy", "*"], ""), ([], "127.0.0.1")],
)
def test_proxy_that_is_not_meant_is_not_told(
    perdure: Perdure, how: list[str], no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    with raw_server(answer_each) as url:
        result = perdure("get", "-n", "2", "--pipeline", "2", *how, url)
    assert (result.stderr, result.returncode) == ("", 0)


def test_proxy_that_cannot_be_used_does_not_hinder_a_pipeline(
    perdure: Perdure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "ftp://proxy.test")
    with raw_server(answer_each) as url:
        assert perdure("get", "--pipeline", "2", url).returncode == 0
