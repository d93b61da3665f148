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
        result = perdure("get", "-m", "0.3", "--json", *how, url)
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
    assert result.stderr == "perdure: --cert: certificate file absent.pem: no such file\n"
    assert result.returncode == 2


def redirecting(connection: socket.socket) -> None:
    """Sends whoever asks for anything but /there to /there, three times on a connection."""
    for _ in range(3):
        there = read_heads(connection, 1).startswith(b"GET /there ")
        status = b"200 OK" if there else b"302 Found\r\nSet-Cookie: a=1\r\nLocation: /there"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


def test_redirects_are_followed_when_that_is_asked_for(perdure: Perdure) -> None:
    with raw_server(redirecting) as url:
        assert document(perdure("get", "--json", url))["requests"][0]["status"] == 302
        result = perdure("get", "-L", "-vv", "-d", "a=1", f"{url}/here")
    assert (result.stdout, result.returncode) == ("ok", 0)
    assert re.search(r"connection 1: request 1: POST http://.*/here \(just opened\)\n", result.stderr)
    assert "connection 1: 302 Found; asks again\n" in result.stderr
    assert re.search(r"connection 1: request 1: GET http://.*/there \(after .* idle, use 2\)", result.stderr)
    assert "> Cookie" not in result.stderr, "a cookie that nobody named is not kept"


def test_redirects_without_end_are_a_failed_request(perdure: Perdure) -> None:
    def converse(connection: socket.socket) -> None:
        while read_heads(connection, 1):
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    with raw_server(converse) as url:
        result = perdure("get", "-L", "--max-redirs", "2", "-n", "2", url)
    assert re.search(r"(?m)^perdure: request 1: .*redirect.* \(and 1 more\)$", result.stderr), result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize(("most", "status"), [("-1", 0), ("30", 0), ("29", 1), ("0", 1)])
def test_redirects_are_counted_as_curl_counts_them(perdure: Perdure, most: str, status: int) -> None:
    def converse(connection: socket.socket) -> None:
        for number in range(31):
            read_heads(connection, 1)
            status_line = b"200 OK" if number == 30 else b"302 Found\r\nLocation: /"
            connection.sendall(b"HTTP/1.1 " + status_line + b"\r\nContent-Length: 0\r\n\r\n")

    with raw_server(converse) as url:
        assert perdure("get", "-L", "--max-redirs", most, url).returncode == status


@pytest.mark.parametrize("how", [[], ["--pipeline", "1"]])
def test_no_seconds_at_most_are_any_time(perdure: Perdure, echo: Serving, how: list[str]) -> None:
    assert perdure("get", "-m", "0", *how, echo.url).returncode == 0


def test_number_is_no_url(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "--retry", "3", echo.url)
    told = "perdure: URL: http://HOST/... expected, got '3' (a switch such as --retry takes no number)\n"
    assert (result.stderr, result.returncode) == (told, 2)


def test_challenge_is_answered_with_digest(perdure: Perdure) -> None:
    heads: list[bytes] = []

    def converse(connection: socket.socket) -> None:
        heads.append(read_heads(connection, 1))
        challenge = b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\n" + challenge + b"\r\nContent-Length: 0\r\n\r\n")
        heads.append(read_heads(connection, 1))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(converse) as url:
        assert perdure("get", "--digest", "-u", "u:p", url).returncode == 0
    assert b"Authorization" not in heads[0]
    assert b'\r\nAuthorization: Digest username="u"' in heads[1]


def test_proxy_is_asked_instead_unless_the_server_is_exempt(perdure: Perdure, echo: Serving) -> None:
    heads: list[bytes] = []

    def converse(connection: socket.socket) -> None:
        heads.append(read_heads(connection, 1))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied")

    with raw_server(converse) as proxy:
        assert perdure("get", "-x", proxy, "http://a.test/b").stdout == "proxied"
        assert perdure("get", "-x", proxy, "--noproxy", "127.0.0.1", echo.url).stdout.startswith("GET / 1.1")
    assert heads[0].startswith(b"GET http://a.test/b HTTP/1.1\r\nHost: a.test\r\n")
    assert len(heads) == 1


def test_proxy_of_the_environment_is_asked_unless_an_empty_one_is_named(
    perdure: Perdure, echo: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert perdure("get", echo.url).returncode == 2
    assert perdure("get", "-x", "", echo.url).returncode == 0
    assert perdure("get", "-x", "none", echo.url).returncode == 0
