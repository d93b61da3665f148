"""The Keep-Alive field is a hint: what can be read of it is read, the rest is no hint (9112 C.2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import Hints, parse_keep_alive
from perdure.core.fields import HTTP_11, gather, make_lines
from perdure.core.keepalive import NO_HINTS, format_hints, parse, usable_seconds


@pytest.mark.row("R175", "S4")
@pytest.mark.parametrize(
    ("value", "timeout", "maximum"),
    [
        (b"timeout=5, max=100", 5, 100),
        (b"timeout=5,max=100", 5, 100),
        (b"max=100;q=1, timeout=5", 5, None),
        (b"TimeOut=5, MAX=1", 5, 1),
        (b"timeout = 5 ,\tmax\t=\t7", 5, 7),
        (b'timeout="5", max="100"', 5, 100),
        (b'timeout="\\5"', 5, None),
        (b'note="a, timeout=1, b", timeout=9', 9, None),
        (b'note="a \\" timeout=1, b", timeout=9', 9, None),
        (b'note="never closed, timeout=9', None, None),
        (b"timeout=5, timeout=7", 5, None),
        (b"timeout=x, timeout=7", 7, None),
        (b"timeout=007", 7, None),
        (b"timeout=0, max=0", 0, 0),
        (b"300", None, None),
        (b"", None, None),
        (b" , ,, ", None, None),
        (b"=5", None, None),
        (b"timeout", None, None),
        (b"timeout=", None, None),
        (b'timeout=""', None, None),
        (b'timeout="', None, None),
        (b"timeout=-1, max=-1", None, None),
        (b"timeout=+5", None, None),
        (b"timeout=5.5", None, None),
        (b"timeout=5s", None, None),
        (b"timeout=1_0", None, None),
        (b"timeout=999999999", 999_999_999, None),
        (b"timeout=1000000000, max=" + b"9" * 5000, None, None),
        ("timeout=٥".encode(), None, None),
        (b"timeout=5 6", None, None),
        (b"timeouts=5, xmax=7", None, None),
    ],
)
def test_rubbish_is_no_hint(value: bytes, timeout: int | None, maximum: int | None) -> None:
    assert parse_keep_alive(value) == (timeout, maximum)


@pytest.mark.row("R175", "S4")
def test_unknown_parameters_are_kept_for_diagnosis() -> None:
    assert parse([b'timeout=5, Foo="a, b", bare, max=2']) == Hints(5, 2, ((b"foo", b"a, b"), (b"bare", b"")))


def test_lines_are_read_as_one_list() -> None:
    assert parse([b"timeout=5", b"max=3"]) == Hints(5, 3)
    assert parse([]) == parse([b""]) == NO_HINTS


@pytest.mark.row("R174")
@pytest.mark.parametrize(
    ("options", "hints"),
    [
        (None, NO_HINTS),
        (b"close", NO_HINTS),
        (b"x-keep-alive", NO_HINTS),
        (b"keep-alive", Hints(5)),
        (b"foo, Keep-Alive", Hints(5)),
    ],
)
def test_field_counts_only_beside_its_connection_option(options: bytes | None, hints: Hints) -> None:
    pairs = [(b"Keep-Alive", b"timeout=5")] + ([(b"Connection", options)] if options else [])
    assert parse(gather(HTTP_11, False, make_lines(pairs)).keep_alive) == hints


@given(st.binary(max_size=200))
def test_no_octets_raise(value: bytes) -> None:
    for hint in parse_keep_alive(value):
        assert hint is None or 0 <= hint < 10**9


@pytest.mark.parametrize(
    "value", [b'"' * 20_000, b'a="\\' * 10_000, b'="\\"' * 10_000 + b"\\", b"," * 40_000]
)
def test_hostile_values_take_no_more_than_linear_time(value: bytes) -> None:
    assert parse_keep_alive(value) == (None, None)  # a quadratic reader would stand here for minutes


@given(st.none() | st.integers(0, 10**9 - 1), st.none() | st.integers(0, 10**9 - 1))
def test_own_hints_are_read_back(timeout: int | None, maximum: int | None) -> None:
    assert parse_keep_alive(format_hints(timeout, maximum)) == (timeout, maximum)


@pytest.mark.parametrize(
    ("timeout", "maximum", "value"),
    [
        (75, 999, b"timeout=75, max=999"),
        (75, None, b"timeout=75"),
        (None, 0, b"max=0"),
        (None, None, b""),
    ],
)
def test_own_hints_are_written(timeout: int | None, maximum: int | None, value: bytes) -> None:
    assert format_hints(timeout, maximum) == value


@pytest.mark.row("R179")
@pytest.mark.parametrize(
    ("timeout", "round_trip_seconds", "seconds"),
    [
        (75, 0.03, 74.0),
        (75, 2.5, 72.5),
        (2, 0.1, 1.0),
        (1, 0.0, 0.0),
        (0, 0.0, -1.0),
        (86_400, 0.5, 599.0),
    ],
)
def test_connection_is_retired_before_the_peers_timeout(
    timeout: int, round_trip_seconds: float, seconds: float
) -> None:
    assert usable_seconds(timeout, round_trip_seconds) == seconds
