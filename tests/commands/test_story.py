"""The story of exchanges: heads, fates, and no secrets."""

from __future__ import annotations

import logging
import socket

import pytest

from perdure.commands.story import tell_head
from tests.commands.conftest import Perdure
from tests.programs import Serving, raw_server, read_heads


@pytest.mark.parametrize("name", [b"Authorization", b"PROXY-AUTHORIZATION"])
def test_credentials_are_not_told(caplog: pytest.LogCaptureFixture, name: bytes) -> None:
    caplog.set_level(logging.DEBUG, "perdure.commands")
    tell_head(3, b"GET / HTTP/1.1\r\n" + name + b": Basic c2VjcmV0\r\nX: y\r\n\r\ncontent")
    assert caplog.messages == [
        "connection 3: > GET / HTTP/1.1",
        f"connection 3: > {name.decode()}: (not shown)",
        "connection 3: > X: y",
    ]


def test_cookies_are_told_without_their_values(perdure: Perdure) -> None:
    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nSet-Cookie: sid=c2VjcmV0; Path=/; Secure\r\n\r\n")

    with raw_server(converse) as url:
        told = perdure("get", "-vv", "-b", "a=c2VjcmV0", "-b", "b=c2VjcmV0=", url).stderr
    assert "> Cookie: a=(not shown); b=(not shown)\n" in told
    assert "< Set-Cookie: sid=(not shown); Path=/; Secure\n" in told
    assert "c2VjcmV0" not in told


@pytest.mark.parametrize("how", [[], ["--pipeline", "1"]])
def test_heads_are_told_as_they_are_sent(perdure: Perdure, echo: Serving, how: list[str]) -> None:
    told = perdure("get", "-vv", "-n", "2", "--no-keep-alive", *how, echo.url).stderr.splitlines()
    for number in (1, 2):
        assert f"connection {number}: > GET / HTTP/1.1" in told
        assert f"connection {number}: > Connection: close" in told


def test_head_is_told_once_however_much_content_follows(perdure: Perdure, echo: Serving) -> None:
    told = perdure("get", "-vv", "-d", "x" * 300_000, echo.url).stderr
    assert told.count(": > ") == told.count(": > POST / HTTP/1.1\n") + 6
    assert "xxx" not in told


def test_interim_responses_are_told_in_order(perdure: Perdure) -> None:
    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(converse) as url:
        told = perdure("get", "-vv", url).stderr
    received = [line.partition("< ")[2] for line in told.splitlines() if ": < " in line]
    assert received == ["HTTP/1.1 103 Early Hints", "Link: </a>", "HTTP/1.1 204 No Content"]
