"""Whether an origin is asked: failures, rests, checks, a slow start."""

from __future__ import annotations

import math
from typing import Any

import pytest

from perdure.intermediary.health import Condition, Health, HealthSettings

IN, RESTING, FAILED = Condition.IN, Condition.RESTING, Condition.FAILED


class Story:
    """A health, and what was told of its changes."""

    def __init__(self, **settings: Any) -> None:
        self.told: list[tuple[Condition, float]] = []
        self.health = Health(HealthSettings(**settings))
        self.health.changed = lambda: self.told.append((self.health.condition, self.health.share))

    def let(self, until: float) -> None:
        """Call it at its deadlines."""
        while self.health.deadline <= until:
            self.health.deadline_reached(self.health.deadline)


def test_unreachable_origin_rests_at_once_and_is_back_after_it() -> None:
    story = Story(fail_rest=2.0)
    story.health.failed(10.0, unreachable=True)
    assert (story.health.condition, story.health.deadline) == (RESTING, 12.0)
    story.let(12.0)
    assert story.told == [(RESTING, 1.0), (IN, 1.0)]
    assert story.health.deadline == math.inf


def test_three_failures_within_the_window_are_too_many() -> None:
    story = Story()
    story.health.failed(0.0)
    story.health.failed(5.0)
    assert story.health.condition is IN
    story.health.failed(10.0)
    assert story.health.condition is RESTING


def test_failures_farther_apart_than_the_window_are_not() -> None:
    story = Story()
    for now in (0.0, 5.0, 10.1, 16.0):
        story.health.failed(now)
    assert story.health.condition is IN
    assert story.health.failures == 4


def test_failures_before_a_rest_do_not_count_after_it() -> None:
    story = Story(fail_count=2)
    story.health.failed(0.0)
    story.health.failed(0.0)
    story.let(1.0)
    story.health.failed(1.5)
    assert story.health.condition is IN


def test_rest_doubles_until_the_origin_answers() -> None:
    story = Story(fail_rest=1.0)
    health = story.health
    now, rests = 0.0, []
    for _ in range(7):
        health.failed(now, unreachable=True)
        rests.append(health.deadline - now)
        now = health.deadline
        story.let(now)
    assert rests == [1, 2, 4, 8, 16, 16, 16]
    attentive = [health.attentive]
    health.answered(200, now)
    assert [*attentive, health.attentive] == [True, False]
    health.failed(now, unreachable=True)
    assert health.deadline - now == 1


def test_answer_of_an_exchange_that_outlived_the_fall_ends_no_rest() -> None:
    story = Story()
    story.health.failed(0.0, unreachable=True)
    story.health.answered(200, 0.1)
    assert story.health.condition is RESTING


def test_without_a_rest_nobody_is_left_alone() -> None:
    story = Story(fail_rest=0)
    story.health.failed(0.0, unreachable=True)
    assert story.told == []


@pytest.mark.parametrize(("counted", "condition"), [(True, RESTING), (False, IN)])
def test_5xx_is_a_failure_where_that_is_set(counted: bool, condition: Condition) -> None:
    story = Story(fail_on_5xx=counted, fail_count=2)
    assert story.health.attentive is counted
    for status in (500, 200, 503):
        story.health.answered(status, 0.0)
    assert story.health.condition is condition


def test_three_failed_checks_in_a_row_end_it_and_two_passed_ones_bring_it_back() -> None:
    story = Story()
    health = story.health
    health.check_failed()
    health.check_failed()
    health.check_passed(1.0)
    health.check_failed()
    health.check_failed()
    assert (health.condition, health.checked) == (IN, False)
    health.check_failed()
    assert health.condition is FAILED
    health.check_passed(2.0)
    health.check_failed()
    health.check_passed(3.0)
    assert health.condition is FAILED
    health.check_passed(4.0)
    assert story.told == [(FAILED, 1.0), (IN, 1.0)]
    assert (health.checked, health.checks_failed, health.failures) == (True, 6, 0)


def test_end_of_a_rest_brings_nobody_back_whom_checks_have_failed() -> None:
    story = Story()
    story.health.failed(0.0, unreachable=True)
    for _ in range(3):
        story.health.check_failed()
    story.let(1000.0)
    assert story.health.condition is FAILED


def test_passed_checks_end_a_rest_early() -> None:
    story = Story(fail_rest=60.0)
    story.health.failed(0.0, unreachable=True)
    story.health.check_passed(1.0)
    story.health.check_passed(2.0)
    assert story.health.condition is IN
    assert story.health.deadline == math.inf


def test_failure_of_a_request_while_out_changes_nothing() -> None:
    story = Story()
    for _ in range(3):
        story.health.check_failed()
    story.health.failed(0.0, unreachable=True)
    assert story.told == [(FAILED, 1.0)]


def test_slow_start_grows_from_a_tenth_to_the_whole_share() -> None:
    story = Story(fail_rest=1.0, slow_start=10.0)
    story.health.failed(0.0, unreachable=True)
    story.let(11.0)
    shares = [share for condition, share in story.told if condition is IN]
    assert shares == pytest.approx([0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert story.health.deadline == math.inf


def test_fall_during_a_slow_start_ends_it() -> None:
    story = Story(fail_rest=1.0, slow_start=10.0)
    story.health.failed(0.0, unreachable=True)
    story.let(3.0)
    story.health.failed(3.0, unreachable=True)
    assert (story.health.condition, story.health.deadline) == (RESTING, 5.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"health_path": "health"}, 'health_path: a path expected, as in "/health"'),
        ({"health_path": "/a b"}, "health_path: a path without blanks"),
        ({"health_path": "/ü"}, "health_path: a path expected"),
        ({"health_path": "/", "health_interval": 0}, "health_interval: a number of seconds above 0"),
        ({"fail_count": 0}, "fail_count: a number, at least 1"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HealthSettings(**settings)
