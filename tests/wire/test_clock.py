"""The Date field's octets. RFC 9110 §5.6.7."""

from __future__ import annotations

import email.utils

from hypothesis import given
from hypothesis import strategies as st

from perdure.wire.clock import cpu_seconds, http_date, now, wall_clock


def test_the_example_of_the_rfc() -> None:
    assert http_date(784111777) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(784111777.99) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(784111778) == b"Sun, 06 Nov 1994 08:49:38 GMT"


@given(st.integers(0, 253402300799))
def test_every_second_reads_back(second: int) -> None:
    text = http_date(second).decode("ascii")
    assert len(text) == 29
    assert email.utils.parsedate_to_datetime(text).timestamp() == second


def test_clocks_do_not_go_back() -> None:
    assert now() <= now()
    assert cpu_seconds() <= cpu_seconds()
    assert wall_clock() > 1_700_000_000
