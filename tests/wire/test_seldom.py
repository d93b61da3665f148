"""What repeats is told at once, then once a minute with its count."""

from __future__ import annotations

from perdure.wire.seldom import MOST_KEYS, Seldom, how_often


def test_the_first_time_is_told_and_the_minute_after_it_is_counted() -> None:
    seldom = Seldom()
    assert seldom.note("accept", 5.0) == 1
    assert [seldom.note("accept", 5.0 + tenth / 10) for tenth in range(1, 599)] == [0] * 598
    assert seldom.note("accept", 65.0) == 599
    assert seldom.note("accept", 66.0) == 0
    assert seldom.note("accept", 1000.0) == 2


def test_each_thing_has_its_own_count() -> None:
    seldom = Seldom()
    assert seldom.note("one", 0.0) == 1
    assert seldom.note("other", 0.0) == 1
    assert seldom.note("one", 1.0) == 0


def test_what_is_counted_stays_bounded() -> None:
    seldom = Seldom()
    for number in range(3 * MOST_KEYS):
        assert seldom.note(number, 0.0) == 1
    assert seldom.note(3 * MOST_KEYS - 1, 1.0) == 0


def test_only_a_count_is_worth_words() -> None:
    assert how_often(1) == ""
    assert how_often(110) == " (110 times since this was last said)"
