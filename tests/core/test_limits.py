"""Sizes that a user of the defaults relies on."""

from __future__ import annotations

import pytest

from perdure.core import CLIENT_LIMITS, SERVER_LIMITS, Limits, RemoteViolation
from perdure.core.heads import request_head
from perdure.core.limits import EMPTY_LINES_IGNORED, STRAY_OCTETS_IGNORED
from tests.core.harness import requests_every_way


@pytest.mark.row("R15", "R33")
def test_defaults_of_a_server() -> None:
    assert SERVER_LIMITS.max_line >= 8000, "9112 §3 recommends it"
    assert (SERVER_LIMITS.max_line, SERVER_LIMITS.max_fields, SERVER_LIMITS.max_head) == (8192, 100, 65536)
    assert SERVER_LIMITS.max_body is None
    assert (SERVER_LIMITS.max_chunk_extensions, SERVER_LIMITS.drain_body) == (4096, 262144)


@pytest.mark.row("R38")
def test_client_reads_what_any_server_of_ours_may_send() -> None:
    assert CLIENT_LIMITS.max_line >= SERVER_LIMITS.max_line
    assert CLIENT_LIMITS.max_fields >= SERVER_LIMITS.max_fields
    assert CLIENT_LIMITS.max_head >= SERVER_LIMITS.max_head
    assert CLIENT_LIMITS.max_interim == 32


def test_an_empty_line_or_two_are_tolerated_and_no_more() -> None:
    assert (EMPTY_LINES_IGNORED, STRAY_OCTETS_IGNORED) == (2, 4)


def test_limits_are_the_callers() -> None:
    limits = Limits(max_fields=1, max_body=7, max_interim=2, drain_body=3)
    assert (limits.max_body, limits.max_interim, limits.drain_body, limits.max_line) == (7, 2, 3, 8192)
    request_head(b"GET / HTTP/1.1\r\nHost: x", limits)
    with pytest.raises(RemoteViolation, match="2 field lines, at most 1 allowed"):
        request_head(b"GET / HTTP/1.1\r\nHost: x\r\nA: b", limits)


@pytest.mark.row("R33")
def test_no_line_is_longer_than_a_head_may_be() -> None:
    limits = Limits(max_head=60)
    assert limits.max_line == 60
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 32
    for octets, status in ((head, None), (head + b"a", 431)):
        assert requests_every_way(octets + b"\r\n\r\n", limits=limits).status == status
