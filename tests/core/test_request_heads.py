"""What the heads of one connection have in common: each reads as it would alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import Facts, Limits, RemoteViolation, Request
from perdure.core.fields import FieldLine, Version
from perdure.core.heads import request_head
from perdure.core.request_heads import REMEMBERED_BLOCK_OCTETS, RequestHeads

LIMITS = Limits(max_line=300, max_fields=3)
BLANK = b"\r\n\r\n"


def parsed(heads: RequestHeads, head: bytes) -> tuple[bytes, bytes, Version, Sequence[FieldLine], Facts]:
    """What the heads of a connection make of one more."""
    return heads.parse(head + b"\r\n\r\n")


def taken(heads: RequestHeads, octets: bytes) -> Request:
    """What a connection makes of one more head: as `ServerConnection` does."""
    if heads.request is not None:
        if octets == heads.octets:
            return heads.request
        if (like := heads.like(octets)) is not None:
            return like
    method, target, version, fields, facts = heads.parse(octets)
    request = Request(method, target, fields, version, facts)
    if not (facts.lengths or facts.codings):
        heads.remember(octets, request)
    return request


def numbered(*numbers: object) -> list[bytes]:
    return [b"GET /%a HTTP/1.1\r\nHost: a\r\nX-Id: %a\r\nB: 2\r\n\r\n" % (n, n) for n in numbers]


def learned() -> RequestHeads:
    """The heads of a connection that numbers its requests."""
    heads = RequestHeads(Limits())
    for octets in numbered(1, 2, 3):
        taken(heads, octets)
    return heads


def test_fields_that_are_those_of_the_request_before_are_parsed_once() -> None:
    heads = RequestHeads(Limits())
    head = b"GET /%d HTTP/1.1\r\nHost: remembered\r\nX: y"
    first, second, third = (parsed(heads, head % number) for number in (1, 2, 3))
    assert (first[1], second[1], third[1]) == (b"/1", b"/2", b"/3")
    assert list(first[3]) == list(second[3])
    assert second[3] is third[3]
    assert first[4] is second[4] is third[4]
    other = parsed(heads, b"GET / HTTP/1.1\r\nHost: other")
    assert [line.value for line in other[3]] == [b"other"]
    assert parsed(heads, head % 4) == request_head(head % 4, Limits())


def test_fields_of_another_version_are_looked_at_anew() -> None:
    heads = RequestHeads(Limits())
    head = b" / HTTP/1.%d\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c"
    for version, upgrade in ((0, ()), (1, (b"h2c",)), (1, (b"h2c",)), (0, ())):
        assert parsed(heads, b"GET" + head % version)[4].upgrade == upgrade


def test_a_long_line_before_remembered_fields_is_measured_all_the_same() -> None:
    heads = RequestHeads(LIMITS)
    assert parsed(heads, b"GET / HTTP/1.1\r\nHost: x")[1] == b"/"
    assert parsed(heads, b"GET /" + b"a" * 280 + b" HTTP/1.1\r\nHost: x")[1] == b"/" + b"a" * 280
    with pytest.raises(RemoteViolation) as caught:
        parsed(heads, b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: x")
    assert caught.value.status == 414
    short = RequestHeads(Limits(max_line=20))
    assert parsed(short, b"GET / HTTP/1.1\r\nHost: x")[1] == b"/"
    with pytest.raises(RemoteViolation):
        parsed(short, b"GET /1234567 HTTP/1.1\r\nHost: x")


def test_fields_that_change_in_their_places_are_as_if_parsed_anew() -> None:
    heads = RequestHeads(Limits(max_line=600, max_fields=5))
    blocks = [
        b"Host: x\r\nA: 1\r\nB: 2",
        b"Host: x\r\nA: 2\r\nB: 2",
        b"Host: x\r\nA: 3\r\nB: 3",
        b"Host: y\r\nA: 3\r\nB: 3",
        b"Host: y\r\nConnection: close\r\nB: 3",
        b"Host: y\r\nA: 3\r\nB: 3",
        b"Host: y\r\nA: 3\r\nContent-Length: 3",
        b"Host: y\r\nA: 4\r\nContent-Length: 3",
        b"Host: y\r\nA: 4\r\nContent-Length: 3\r\nD: 4",
        b"A: 4\r\nHost: y\r\nContent-Length: 3\r\nD: 4",
        b"A: 4\r\nHost: y\r\nContent-Length: 3\r\nD: " + b"4" * 300,
        b"A: 5\r\nHost: y\r\nContent-Length: 3\r\nD: " + b"5" * 300,
        b"A: 6\r\nHost: y\r\nContent-Length: 3\r\nD: " + b"6" * 300,
    ]
    for block in blocks * 2:
        head = b"GET / HTTP/1.1\r\n" + block
        method, target, version, fields, facts = parsed(heads, head)
        expected = request_head(head, Limits())
        assert (method, target, version, list(fields)) == (*expected[:3], list(expected[3]))
        assert (facts.options, facts.lengths, facts.hosts) == (
            expected[4].options,
            expected[4].lengths,
            expected[4].hosts,
        )


def test_no_fields_between_fields_are_no_fields() -> None:
    heads = RequestHeads(Limits())
    for block in (b"", b"\r\nA: 1", b"", b"", b"\r\nA: 2", b"\r\nA: 3", b"", b"\r\nA: 4", b"\r\nA: 5", b""):
        head = b"GET / HTTP/1.0" + block
        assert list(parsed(heads, head)[3]) == list(request_head(head, Limits())[3])


@pytest.mark.parametrize(
    "block",
    [
        b"Host: x\r\nA : 1",
        b"Host: x\r\n A: 1",
        b"Host: x\r\nA: \0",
        b"Host: x\r\nHost: x",
        b"A: 1\r\nB: 2",
        b"Host: a b\r\nA: 1",
        b"Host: x\r\nA: " + b"1" * 600,
    ],
)
def test_fields_that_change_for_the_worse_are_refused(block: bytes) -> None:
    heads = RequestHeads(Limits(max_line=500))
    for number in range(3):
        parsed(heads, b"GET / HTTP/1.1\r\nHost: x\r\nA: %d" % number)
    with pytest.raises(RemoteViolation):
        parsed(heads, b"GET / HTTP/1.1\r\n" + block)


def test_long_fields_are_not_remembered() -> None:
    heads = RequestHeads(Limits())
    head = b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"c" * 3000
    assert parsed(heads, head) == parsed(heads, head) == request_head(head, Limits())
    assert parsed(heads, head)[3] is not parsed(heads, head)[3]


def test_heads_with_another_target_share_their_fields() -> None:
    heads = RequestHeads(Limits())
    head = b"GET /%d HTTP/1.1\r\nHost: likeness\r\nCookie: a"
    first = taken(heads, head % 1 + BLANK)
    again = heads.like(head % 22 + BLANK)
    assert again is not None
    assert (again.method, again.target, again.end) == (b"GET", b"/22", True)
    assert again.fields is first.fields
    assert again.facts is first.facts
    assert heads.request is again
    assert heads.octets == head % 22 + BLANK


def test_heads_that_differ_in_one_value_are_told_apart_by_it_alone() -> None:
    heads = learned()
    for value in (b" 4", b"5", b"  a b\t", b"", b" \xff:"):
        octets = b"GET /a HTTP/1.1\r\nHost: a\r\nX-Id:%b\r\nB: 2\r\n\r\n" % value
        request = heads.like(octets)
        assert request is not None
        assert list(request.fields) == list(request_head(octets[:-4], Limits())[3])
        assert request.likeness is not None


@pytest.mark.row("R11", "R33")
@pytest.mark.parametrize(
    "octets",
    [
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n" * 2,
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nY: 1\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\nY: 1\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: \0\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: b\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nx-id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.0\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.2\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET  /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 5 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /\xe4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: \x7f\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1 \r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4#5 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4\r\nA: HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET http://a/4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET 4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GETS /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"PUT /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n",
        b"\r\nGET /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nContent-Length: 3\r\n\r\n",
        b"GET /4 HTTP/1.1\r\nHost: a\r\nX-Id: " + b"4" * REMEMBERED_BLOCK_OCTETS + b"\r\nB: 2\r\n\r\n",
        b"GET /" + b"4" * 300 + b" HTTP/1.1\r\nHost: a\r\nX-Id: 4\r\nB: 2\r\n\r\n",
        b"X-Id:",
        b"",
    ],
)
def test_any_other_head_is_not_alike_and_changes_nothing(octets: bytes) -> None:
    heads = learned()
    before = heads.octets, heads.request
    assert heads.like(octets) is None
    assert (heads.octets, heads.request) == before
    (following,) = numbered(7)
    assert heads.like(following) is not None


def test_a_head_is_not_alike_beyond_the_limits_of_its_connection() -> None:
    heads = RequestHeads(Limits(max_line=60))
    for octets in numbered(1, 2, 3):
        taken(heads, octets)
    assert heads.like(*numbered(4)) is not None
    assert heads.like(*numbered("x" * 10)) is None


def test_connect_is_never_taken_for_a_head_like_another() -> None:
    heads = RequestHeads(Limits())
    taken(heads, b"CONNECT a:1 HTTP/1.1\r\nHost: a" + BLANK)
    assert heads.like(b"CONNECT /a HTTP/1.1\r\nHost: a" + BLANK) is None


@pytest.mark.parametrize("name", [b"Connection", b"Host", b"Content-Length", b"TE", b"Idempotency-Key"])
def test_a_field_that_means_something_to_us_is_looked_at_each_time(name: bytes) -> None:
    heads = RequestHeads(Limits())
    for number in (1, 2, 3, 4):
        host = b"" if name == b"Host" else b"Host: a\r\n"
        octets = b"GET / HTTP/1.1\r\n%b%b: %d" % (host, name, number) + BLANK
        assert heads.like(octets) is None
        taken(heads, octets)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"GET", b"HEAD", b"POST"]),
            st.sampled_from([b"/", b"/a", b"/b?c", b"*", b"http://a/"]),
            st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]),
            st.lists(
                st.tuples(
                    st.sampled_from([b"X", b"Y", b"x", b"Via", b"Connection", b"Content-Length"]),
                    st.sampled_from([b"1", b"22", b" 1 ", b"", b"close", b"X"]),
                ),
                max_size=3,
            ),
        ),
        max_size=12,
    )
)
def test_each_head_reads_as_it_would_alone(
    said: list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]]],
) -> None:
    heads = RequestHeads(Limits())
    for method, target, version, pairs in said:
        lines = [b"Host: a", *[b"%b: %b" % pair for pair in pairs]]
        head = b"%b %b HTTP/%b\r\n" % (method, target, version) + b"\r\n".join(lines)
        try:
            expected = request_head(head, Limits())
        except RemoteViolation:
            with pytest.raises(RemoteViolation):
                taken(heads, head + BLANK)
            return
        request = taken(heads, head + BLANK)
        assert (request.method, request.target, request.version) == expected[:3]
        assert list(request.fields) == list(expected[3])
        assert request.facts is expected[4]


@given(st.binary(max_size=3), st.binary(max_size=3))
def test_every_octet_of_target_and_value_is_judged_as_in_a_head_alone(target: bytes, value: bytes) -> None:
    heads = learned()
    octets = b"GET /%b HTTP/1.1\r\nHost: a\r\nX-Id: %b\r\nB: 2\r\n\r\n" % (target, value)
    request = heads.like(octets)
    if request is not None:
        alone = request_head(octets[:-4], Limits())
        assert (request.method, request.target, request.version) == alone[:3]
        assert list(request.fields) == list(alone[3])
