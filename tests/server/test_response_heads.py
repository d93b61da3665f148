"""Heads of responses: made once a second, never another one's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from perdure.core import LocalViolation
from perdure.server import response_heads
from perdure.server.response_heads import REMEMBERED_HEADS, own_fields, response_head


class Clock:
    """A wall clock in the hands of a test."""

    def __init__(self) -> None:
        self.seconds = 784111777.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The wall clock stands at the date of RFC 9110's example."""
    clock = Clock()
    monkeypatch.setattr(response_heads, "wall_clock", clock)
    yield clock
    response_heads._latest.turn(-1 if clock.seconds < 0 else 0)


def head(status: int, *headers: Any) -> list[bytes]:
    """The lines of a head."""
    return [line.octets for line in response_head({"status": status, "headers": headers}).fields]


def test_date_and_server_are_added_unless_said(clock: Clock) -> None:
    date, server = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", b"Server: perdure\r\n"
    assert head(200, (b"A", b"b")) == [b"A: b\r\n", date, server]
    assert head(200, (b"date", b"now")) == [b"date: now\r\n", server]
    assert head(200, (b"SERVER", b"mine")) == [b"SERVER: mine\r\n", date]
    assert [line.octets for line in own_fields()] == [date, server]


def test_the_next_second_has_another_date(clock: Clock) -> None:
    first = head(200)
    clock.seconds += 1
    assert head(200)[0] == first[0].replace(b":37", b":38")
    clock.seconds -= 1
    assert own_fields()[0].octets == first[0]


def test_the_same_head_is_the_same_object_within_a_second(clock: Clock) -> None:
    message = {"status": 200, "headers": [(b"a", b"b")]}
    assert response_head(message) is response_head(dict(message))
    assert response_head(message) is not response_head({"status": 201, "headers": [(b"a", b"b")]})
    assert response_head(message) is not response_head({"status": 200, "headers": [(b"a", b"c")]})


def test_lists_and_iterators_of_pairs_will_do(clock: Clock) -> None:
    expected = head(200, (b"a", b"b"))
    assert head(200, [b"a", b"b"]) == expected
    pairs = iter([(b"a", b"b")])
    assert [line.octets for line in response_head({"status": 200, "headers": pairs}).fields] == expected


def test_few_and_short_heads_are_remembered(clock: Clock) -> None:
    long = {"status": 200, "headers": [(b"set-cookie", b"c" * 2000)]}
    assert response_head(long) is not response_head(long)
    for number in range(REMEMBERED_HEADS * 2):
        head(200, (b"n", b"%d" % number))
    assert len(response_heads._latest.heads) <= REMEMBERED_HEADS


@pytest.mark.row("R39")
@pytest.mark.parametrize(
    "pair", [(b"a", b"b\r\nc: d"), (b"a\r\n", b"b"), (b"a b", b"c"), (b"", b"c"), (b"a", b"\0")]
)
def test_a_field_that_would_break_the_head_is_refused_each_time(
    clock: Clock, pair: tuple[bytes, bytes]
) -> None:
    for _ in range(2):
        with pytest.raises(LocalViolation):
            head(200, pair)
