"""Heads that differ in the value of one field: RFC 9112 §5."""

from __future__ import annotations

from perdure.core.fields import parse_line
from perdure.core.likeness import Likeness


def likeness(earlier_lines: list[bytes], lines: list[bytes]) -> Likeness | None:
    earlier = [parse_line(line) for line in earlier_lines]
    fields = [
        kept if line == before else parse_line(line)
        for kept, before, line in zip(earlier, earlier_lines, lines, strict=True)
    ]
    return Likeness.of(earlier, fields, lines)


def value(alike: Likeness | None, octets: bytes) -> bytes | None:
    """That of the field that differs in a head of these fields."""
    assert alike is not None
    return alike.value_of(b"GET / HTTP/1.1\r\n" + octets, 5)


def test_first_last_and_only_field() -> None:
    for lines, others, octets in (
        ([b"X: 1", b"Y: 1"], [b"X: 2", b"Y: 1"], b"X: 3\r\nY: 1\r\n\r\n"),
        ([b"Y: 1", b"X: 1"], [b"Y: 1", b"X: 2"], b"Y: 1\r\nX: 3\r\n\r\n"),
        ([b"X: 1"], [b"X: 2"], b"X:3 \r\n\r\n"),
    ):
        alike = likeness(lines, others)
        assert value(alike, octets) == b"3"
        assert alike is not None
        expected = [b"X: 3" if other.startswith(b"X") else other for other in others]
        assert alike.with_value(b"3") == [parse_line(octets) for octets in expected]
        assert alike.pair_with(b"3") == alike.with_value(b"3")[alike.place].pair


def test_heads_that_differ_in_more_than_one_value_have_no_likeness() -> None:
    assert likeness([b"X: 1", b"Y: 1"], [b"X: 2", b"Y: 2"]) is None
    assert likeness([b"X: 1"], [b"x: 2"]) is None
    assert likeness([b"Host: a"], [b"Host: b"]) is None
    assert likeness([b"X: 1"], [b"X: 1"]) is None


def test_what_stands_before_and_behind_the_value_may_not_overlap() -> None:
    alike = likeness([b"A: 1", b"X: 1"], [b"A: 1", b"X: 2"])
    assert value(alike, b"A: 1\r\nX:\r\n\r\n") == b""
    assert value(alike, b"A: 1\r\nX:\r\n") is None
    assert value(alike, b"A: 1\r\nX: 1\r\nB: 1\r\n\r\n") is None
