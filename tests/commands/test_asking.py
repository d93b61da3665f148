"""Requests of a client, several at a time, and what stops them."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest

from tests.commands.conftest import Perdure
from tests.programs import Serving, document, raw_server, read_heads


def never_answer(connection: socket.socket) -> None:
    read_heads(connection, 9)


@pytest.mark.parametrize("how", [[], ["--pipeline", "2"]])
def test_request_may_take_so_long_and_no_longer(perdure: Perdure, how: list[str]) -> None:
    with raw_server(never_answer) as url:
        result = perdure("get", "-m", "0.05", "--json", *how, url)
    (row,) = document(result)["requests"]
    assert row["status"] is None
    assert row["ends"] in ("cancelled", "read_timeout")
    assert result.returncode == 1


def test_interval_lets_connections_lie_idle(perdure: Perdure, echo: Serving) -> None:
    began = time.monotonic()
    rows = document(perdure("get", "-n", "3", "--interval", "0.06", "--json", echo.url))["requests"]
    assert time.monotonic() - began >= 0.12
    assert [row["reused"] for row in rows] == [False, True, True]
    assert all(row["idle_seconds"] >= 0.05 for row in rows[1:])


def test_server_that_closes_idle_connections_is_found_by_its_interval(perdure: Perdure) -> None:
    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(converse) as url:
        result = perdure("get", "-n", "3", "--interval", "0.05", url)
    assert re.search(r"[23] closed  peer_closed +the peer closed it while idle", result.stdout)
    assert result.returncode == 0


def test_file_is_sent_anew_with_each_request(perdure: Perdure, echo: Serving, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 200_000)
    said = perdure("get", "-T", str(tmp_path / "in"), echo.url).stdout
    assert said.startswith("PUT / 1.1\n")
    assert said.endswith("x" * 200_000)
    rows = document(perdure("get", "-T", str(tmp_path / "in"), "-n", "3", "-c", "2", "--json", echo.url))
    assert [row["octets"] > 200_000 for row in rows["requests"]] == [True] * 3


def test_compressed_content_is_printed_decompressed(perdure: Perdure, tmp_path: Path) -> None:
    import gzip

    packed = gzip.compress(b"hello " * 1000)

    asked: list[bool] = []

    def converse(connection: socket.socket) -> None:
        asked.append(b"Accept-Encoding: gzip" in read_heads(connection, 1))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d" % len(packed))
        connection.sendall(b"\r\n\r\n" + packed)

    with raw_server(converse) as url:
        assert perdure("get", "--compressed", url).stdout == "hello " * 1000
        perdure("get", "-o", str(tmp_path / "packed"), url)
    assert (tmp_path / "packed").read_bytes() == packed
    assert asked == [True, False]


def test_client_certificate_that_is_not_there_is_status_2(perdure: Perdure) -> None:
    result = perdure("get", "--cert", "absent.pem", "https://127.0.0.1:1/")
    assert result.stderr == "perdure: certificate file absent.pem: no such file\n"
    assert result.returncode == 2
