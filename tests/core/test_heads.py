"""Start lines and whole heads."""

from __future__ import annotations

import pytest

from perdure.core import HTTP_10, HTTP_11, Facts, Limits, Reason, RemoteViolation, make_lines
from perdure.core.fields import gather
from perdure.core.heads import (
    authority,
    origin_form,
    parse_request_line,
    parse_status_line,
    request_head,
    response_head,
    unfold,
    was_folded,
)

LIMITS = Limits(max_line=300, max_fields=3)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"GET / HTTP/1.1", (b"GET", b"/", HTTP_11)),
        (b"get /a?b HTTP/1.0", (b"get", b"/a?b", HTTP_10)),
        (b"OPTIONS * HTTP/1.1", (b"OPTIONS", b"*", HTTP_11)),
        (b"GET //a//%2e/?x=%2f HTTP/1.1", (b"GET", b"//a//%2e/?x=%2f", HTTP_11)),
        (b"BREW http://h:80/pot HTTP/1.1", (b"BREW", b"http://h:80/pot", HTTP_11)),
        (b"CONNECT [::1]:443 HTTP/1.1", (b"CONNECT", b"[::1]:443", HTTP_11)),
        pytest.param(b"GET / HTTP/1.2", (b"GET", b"/", (1, 2)), marks=pytest.mark.row("R13")),
    ],
)
def test_request_line(line: bytes, parts: tuple[bytes, bytes, tuple[int, int]]) -> None:
    assert parse_request_line(line) == parts


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        pytest.param(b"GET / http/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R10")),
        pytest.param(b"GET / HTTP/1.10", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R10")),
        pytest.param(b"GET / HTTP/01.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R10")),
        pytest.param(b"GET / HTTP/1.1 x", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R10")),
        pytest.param(b"GET / HTTP/2.0", 505, Reason.BAD_VERSION, marks=pytest.mark.row("R10")),
        pytest.param(b"GET / HTTP/0.9", 505, Reason.BAD_VERSION, marks=pytest.mark.row("R10")),
        pytest.param(b"GET /", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET /a b HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET  / HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET a HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET * HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET /a#b HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET http:///a HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"GET http://u@h/ HTTP/1.1", 400, Reason.BAD_SYNTAX, marks=pytest.mark.row("R16")),
        pytest.param(b"CONNECT h: HTTP/1.1", 400, Reason.CONNECT_REJECTED, marks=pytest.mark.row("R22")),
        pytest.param(b"CONNECT h HTTP/1.1", 400, Reason.CONNECT_REJECTED, marks=pytest.mark.row("R22")),
        pytest.param(b"CONNECT h:0 HTTP/1.1", 400, Reason.CONNECT_REJECTED, marks=pytest.mark.row("R22")),
        pytest.param(b"CONNECT h:65536 HTTP/1.1", 400, Reason.CONNECT_REJECTED, marks=pytest.mark.row("R22")),
        pytest.param(b"CONNECT / HTTP/1.1", 400, Reason.CONNECT_REJECTED, marks=pytest.mark.row("R22")),
    ],
)
def test_request_line_that_is_refused(line: bytes, status: int, reason: Reason) -> None:
    with pytest.raises(RemoteViolation) as caught:
        parse_request_line(line)
    assert (caught.value.status, caught.value.reason) == (status, reason)


@pytest.mark.row("R24")
@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"HTTP/1.1 200 OK", (200, b"OK", HTTP_11)),
        (b"HTTP/1.1 200 ", (200, b"", HTTP_11)),
        (b"HTTP/1.0 404", (404, b"", HTTP_10)),
        (b"HTTP/1.1 299 very \xe9 odd\t", (299, b"very \xe9 odd\t", HTTP_11)),
        (b"HTTP/1.3 999 x", (999, b"x", (1, 3))),
    ],
)
def test_status_line(line: bytes, parts: tuple[int, bytes, tuple[int, int]]) -> None:
    assert parse_status_line(line) == parts


@pytest.mark.row("R10")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/2.0 200 OK", Reason.BAD_VERSION),
        (b"http/1.1 200 OK", Reason.BAD_SYNTAX),
        (b"HTTP/1.1 20 OK", Reason.BAD_SYNTAX),
        (b"HTTP/1.1 000 OK", Reason.BAD_SYNTAX),
        (b"HTTP/1.1 200 O\x00K", Reason.BAD_SYNTAX),
        (b"", Reason.BAD_SYNTAX),
    ],
)
def test_status_line_that_is_refused(line: bytes, reason: Reason) -> None:
    with pytest.raises(RemoteViolation) as caught:
        parse_status_line(line)
    assert (caught.value.status, caught.value.reason) == (502, reason)


@pytest.mark.row("R34", "R35")
def test_request_head_keeps_order_spelling_and_unknown_fields() -> None:
    head = b"GET / HTTP/1.1\r\nX-A: 2\r\nhOsT: x\r\nX-A: 1"
    method, target, version, lines, facts = request_head(head, Limits())
    assert (method, target, version, facts.hosts) == (b"GET", b"/", HTTP_11, (b"x",))
    assert facts.is_request
    assert not response_head(b"HTTP/1.1 200 OK\r\nHost: x", Limits())[4].is_request
    assert [line.octets for line in lines] == [b"X-A: 2\r\n", b"hOsT: x\r\n", b"X-A: 1\r\n"]


def refusal_of_request(head: bytes) -> tuple[int, Reason]:
    with pytest.raises(RemoteViolation) as caught:
        request_head(head, LIMITS)
    return caught.value.status, caught.value.reason


@pytest.mark.row("R18")
@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"\r\nHost: a\r\nHost: a",
        b"\r\nHost: a b",
        b"\r\nHost: a/",
        b"\r\nHost: u@a",
        b"\r\nHost: a, b:c",
    ],
)
def test_host_that_is_missing_doubled_or_invalid_is_refused(fields: bytes) -> None:
    assert refusal_of_request(b"GET / HTTP/1.1" + fields) == (400, Reason.BAD_SYNTAX)


@pytest.mark.row("R18")
@pytest.mark.parametrize("fields", [b"\r\nHost: a\r\nHost: a", b"\r\nHost: a b"])
def test_http_10_may_have_no_host_but_not_a_bad_one(fields: bytes) -> None:
    assert request_head(b"GET / HTTP/1.0", LIMITS)[2] == HTTP_10
    assert refusal_of_request(b"GET / HTTP/1.0" + fields) == (400, Reason.BAD_SYNTAX)


@pytest.mark.row("R18")
def test_empty_host_is_valid() -> None:
    assert request_head(b"GET / HTTP/1.1\r\nHost:", LIMITS)[4].hosts == (b"",)


@pytest.mark.row("R15")
@pytest.mark.parametrize(("octets", "refused"), [(300, False), (301, True)])
def test_request_line_is_measured_to_the_octet(octets: int, refused: bool) -> None:
    line = b"GET /" + b"a" * (octets - 14) + b" HTTP/1.1"
    assert len(line) == octets
    head = line + b"\r\nHost: x"
    if refused:
        assert refusal_of_request(head) == (414, Reason.TOO_LARGE)
    else:
        assert len(request_head(head, LIMITS)[1]) == octets - 13


@pytest.mark.row("R15")
def test_short_limit_holds_for_lines_that_would_be_remembered() -> None:
    with pytest.raises(RemoteViolation, match="start line is 34 octets, at most 20 allowed") as caught:
        request_head(b"GET /" + b"a" * 20 + b" HTTP/1.1\r\nHost: x", Limits(max_line=20))
    assert caught.value.status == 414


@pytest.mark.row("R33")
@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (b"\r\nX: " + b"a" * 297, False),
        (b"\r\nX: " + b"a" * 298, True),
        (b"\r\nA: 1\r\nB: 2", False),
        (b"\r\nA: 1\r\nB: 2\r\nC: 3", True),
    ],
)
def test_fields_are_measured_and_counted(fields: bytes, refused: bool) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x" + fields
    if refused:
        assert refusal_of_request(head) == (431, Reason.TOO_LARGE)
    else:
        request_head(head, LIMITS)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"HTTP/1.1 200 " + b"a" * 288, Reason.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 298, Reason.TOO_LARGE),
        (b"HTTP/1.1 200 OK" + b"\r\nX: y" * 4, Reason.TOO_LARGE),
        pytest.param(b"HTTP/1.1 200 OK\r\nX : y", Reason.BAD_SYNTAX, marks=pytest.mark.row("R26")),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon", Reason.BAD_SYNTAX, marks=pytest.mark.row("R9")),
        pytest.param(b"HTTP/1.1 200 OK\r\n X: y", Reason.BAD_SYNTAX, marks=pytest.mark.row("R8")),
        pytest.param(b"HTTP/1.1 200 OK\r\n\tX: y", Reason.BAD_SYNTAX, marks=pytest.mark.row("R8")),
    ],
)
def test_response_head_that_is_refused(head: bytes, reason: Reason) -> None:
    with pytest.raises(RemoteViolation) as caught:
        response_head(head, LIMITS)
    assert (caught.value.status, caught.value.reason) == (502, reason)


def test_response_head_of_the_most_octets_is_taken() -> None:
    assert response_head(b"HTTP/1.1 200 " + b"a" * 287, LIMITS)[1] == b"a" * 287
    assert len(response_head(b"HTTP/1.1 200 OK" + b"\r\nX: y" * 3, LIMITS)[3]) == 3


@pytest.mark.row("R29", "R30")
@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        (b"X: a\r\n b", [b"X: a b\r\n"]),
        (b"X: a\r\n\t \tb\r\n c\r\nY: d", [b"X: a b c\r\n", b"Y: d\r\n"]),
        (b"Connection:\r\n close", [b"Connection: close\r\n"]),
        (b"X: a\r\n ", [b"X: a\r\n"]),
    ],
)
def test_folded_response_line_is_unfolded_with_one_space(fields: bytes, lines: list[bytes]) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + fields
    assert was_folded(head)
    assert [line.octets for line in response_head(head, Limits())[3]] == lines


def test_head_without_folds_stays_as_it_is() -> None:
    head = b"HTTP/1.1 200 OK\r\nX: a  b"
    assert not was_folded(head)
    assert unfold(head) == head


def facts_with_host(*hosts: bytes) -> Facts:
    return gather(HTTP_11, True, make_lines([(b"Host", host) for host in hosts]))


@pytest.mark.row("R19", "R20")
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/path", b"b"),
        (b"*", b"b"),
        (b"http://a/", b"a"),
        (b"https://a:8443", b"a:8443"),
        (b"c:443", b"c:443"),
    ],
)
def test_authority_of_the_target_wins_over_host(target: bytes, expected: bytes) -> None:
    assert authority(target, facts_with_host(b"b")) == expected


def test_authority_is_empty_where_nobody_says() -> None:
    assert authority(b"/", facts_with_host()) == b""


@pytest.mark.row("R21", "R142")
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a//b/%2e%2e/?x=%2f", b"/a//b/%2e%2e/?x=%2f"),
        (b"http://h/a//b/%2e%2e/?x=%2f", b"/a//b/%2e%2e/?x=%2f"),
        (b"http://h", b"/"),
        (b"http://h?q", b"/?q"),
        (b"*", b"*"),
        (b"h:443", b"h:443"),
    ],
)
def test_origin_form_is_the_rest_of_the_target_octet_for_octet(target: bytes, expected: bytes) -> None:
    assert origin_form(target) == expected


def test_long_block_of_fields_is_parsed_by_its_lines() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x" + b"".join(
        b"\r\nX-%d: " % number + b"v" * 200 for number in range(30)
    )
    assert len(head) < Limits().max_line
    first, second = request_head(head, Limits()), request_head(head, Limits())
    assert [line.octets for line in first[3]] == [line + b"\r\n" for line in head.split(b"\r\n")[1:]]
    assert first[3] is not second[3]


@pytest.mark.row("R33")
def test_remembered_lines_are_counted_by_the_limits_of_each_connection() -> None:
    head = b"GET / HTTP/1.1\r\nHost: counted\r\nA: 1\r\nB: 2\r\nC: 3"
    assert len(request_head(head, Limits())[3]) == 4
    assert refusal_of_request(head) == (431, Reason.TOO_LARGE)
    with pytest.raises(RemoteViolation, match="field line of 19 octets, at most 14 allowed"):
        request_head(b"GET / HTTP/1.1\r\nHost: counted.again\r\nA: 1", Limits(max_line=14))


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://user:secret@a/ HTTP/1.1",
        b"GET http://user:se@cret@a/ HTTP/1.1",
        b"GET  http://u:secret@a/",
    ],
)
def test_what_is_said_of_a_refused_target_holds_no_password(line: bytes) -> None:
    with pytest.raises(RemoteViolation) as caught:
        parse_request_line(line)
    assert "cret" not in str(caught.value)
    assert "://...@a/" in str(caught.value)
