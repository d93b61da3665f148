"""What is remembered of an origin: RFC 9112 §9.5."""

from __future__ import annotations

import math
from math import inf

import pytest

from perdure.core.learning import REMEMBERED_SECONDS, RENEWED_FACTOR, Learning


@pytest.fixture
def learning() -> Learning:
    return Learning()


def test_nothing_is_known_at_first(learning: Learning) -> None:
    assert (learning.limit(0.0), learning.caution(0.0), learning.proven(0.0)) == (inf, inf, 0.0)


def test_limit_is_nine_tenths_of_the_lowest_recent_close(learning: Learning) -> None:
    learning.saw_close(20.0, now=100.0)
    learning.saw_close(10.0, now=200.0)
    learning.saw_close(30.0, now=300.0)
    assert learning.limit(300.0) == pytest.approx(9.0)


def test_close_is_forgotten_after_ten_minutes_and_the_next_lowest_counts(learning: Learning) -> None:
    learning.saw_close(10.0, now=0.0)
    learning.saw_close(20.0, now=300.0)
    assert learning.limit(599.9) == pytest.approx(9.0)
    assert learning.limit(600.0) == pytest.approx(18.0)
    assert learning.caution(900.0) == learning.limit(900.0) == inf


def test_cautious_limit_forgets_too(learning: Learning) -> None:
    learning.saw_close(10.0, now=0.0)
    assert learning.caution(599.9) == pytest.approx(9.0)
    assert learning.caution(600.0) == inf


def test_only_the_last_eight_closes_count(learning: Learning) -> None:
    learning.saw_close(1.0, now=0.0)
    for number in range(8):
        learning.saw_close(50.0, now=10.0 + 10 * number)
    assert learning.limit(90.0) == pytest.approx(45.0)


def test_longest_survival_is_proven_until_it_is_ten_minutes_old(learning: Learning) -> None:
    learning.saw_survival(30.0, now=0.0)
    learning.saw_survival(5.0, now=100.0)
    learning.saw_survival(8.0, now=200.0)
    assert learning.proven(599.9) == 30.0
    assert learning.proven(600.0) == 12.0
    assert learning.proven(800.0) == 0.0


def test_use_renews_what_was_proven_up_to_half_as_much_again_as_its_own_age(learning: Learning) -> None:
    learning.saw_survival(55.0, now=0.0)
    for number in range(1, 400):
        assert learning.proven(10.0 * number) == (55.0 if number < 60 else 15.0)
        learning.saw_survival(10.0, now=10.0 * number)
    assert learning.proven(4600.0) == 0.0


def test_use_renews_nothing_that_was_not_proven(learning: Learning) -> None:
    learning.saw_survival(10.2, now=0.0)
    for number in range(1, 400):
        learning.saw_survival(10.0, now=10.0 * number)
    assert learning.proven(3990.0) == 10.2


def test_short_life_that_ended_before_our_eyes_is_proof_once_it_was_seen_twice(learning: Learning) -> None:
    """A busy machine sees an end late: half a second may have been a quarter."""
    learning.saw_close(0.5, 100.0, True)
    assert learning.proven(100.0) == 0.0
    learning.saw_close(0.6, 110.0, True)
    assert learning.proven(110.0) == pytest.approx(0.54)


@pytest.mark.parametrize(("witnessed", "proven"), [(True, 13.5), (False, 0.0)])
def test_close_that_was_seen_as_it_came_proves_what_came_before_it(
    learning: Learning, witnessed: bool, proven: float
) -> None:
    learning.saw_close(15.0, 100.0, witnessed)
    assert learning.proven(100.0) == pytest.approx(proven)


def test_shorter_survivals_close_behind_a_longer_one_are_not_noted_so_that_notes_stay_few(
    learning: Learning,
) -> None:
    learning.saw_survival(60.0, now=0.0)
    for number in range(1, 6000):
        learning.saw_survival((60.0 - number / 100) / RENEWED_FACTOR, now=number / 10)
    assert learning.proven(599.9) == 60.0
    assert learning.proven(600.0) == pytest.approx(52.5, abs=0.1)  # 75 s later, not the next one


def test_close_takes_away_what_was_proven_beyond_it(learning: Learning) -> None:
    learning.saw_survival(30.0, now=0.0)
    learning.saw_survival(3.0, now=80.0)
    learning.saw_close(10.0, now=100.0)
    assert learning.proven(100.0) == pytest.approx(9.0)


def test_close_leaves_what_was_proven_below_it(learning: Learning) -> None:
    learning.saw_survival(4.0, now=0.0)
    learning.saw_close(10.0, now=100.0)
    assert learning.proven(100.0) == 4.0


def test_close_at_an_age_that_was_outlived_is_no_limit_but_a_caution(learning: Learning) -> None:
    learning.saw_survival(30.0, now=0.0)
    learning.saw_close(5.0, now=10.0)
    assert learning.limit(10.0) == inf
    assert learning.caution(10.0) == pytest.approx(4.5)


def test_second_close_at_that_age_is_believed(learning: Learning) -> None:
    learning.saw_survival(30.0, now=0.0)
    learning.saw_close(5.0, now=10.0)
    learning.saw_close(5.1, now=40.0)
    assert learning.limit(40.0) == pytest.approx(4.59)


def test_restart_closes_connections_of_all_ages_at_one_moment_and_is_no_limit(learning: Learning) -> None:
    for age in (2.0, 0.5, 40.0, 41.0):
        learning.saw_close(age, now=100.0)
    assert learning.limit(100.0) == inf
    assert learning.caution(100.0) == pytest.approx(0.45)


def test_closes_at_one_moment_and_one_age_are_a_timer(learning: Learning) -> None:
    for age in (5.0, 5.0, 5.2):
        learning.saw_close(age, now=100.0)
    assert learning.limit(100.0) == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("closes", "limit"),
    [
        ([5.0], 4.5),
        ([0.5], math.inf),
        ([0.5, 0.52], 0.468),
        ([0.5, 0.9], math.inf),
        ([0.05, 0.05, 0.05], math.inf),
    ],
    ids=["usual", "unusual", "unusual, twice", "unlike each other", "too short for any limit"],
)
def test_an_unusually_short_limit_has_to_be_seen_twice(closes: list[float], limit: float) -> None:
    learning = Learning()
    for number, idle_seconds in enumerate(closes):
        learning.saw_close(idle_seconds, number * 10.0)
        assert learning.proof_limit(number * 10.0) == pytest.approx(0.9 * min(closes[: number + 1]))
    assert learning.limit(100.0) == pytest.approx(limit)
    assert learning.caution(100.0) == pytest.approx(0.9 * min(closes))
    timer = min(closes) >= 0.1
    assert learning.proof_limit(100.0) == (learning.caution(100.0) if timer else math.inf)


def test_closes_of_one_moment_are_no_second_look_at_an_unusual_limit(learning: Learning) -> None:
    """Whatever ends all connections at once finds some that have lain for as long as others."""
    for idle_seconds in (0.52, 0.5, 0.51):
        learning.saw_close(idle_seconds, 100.0)
    assert learning.limit(100.0) == math.inf
    assert learning.proof_limit(699.9) == pytest.approx(0.45)


def test_close_that_comes_again_and_again_is_seen_twice_however_often_it_comes(learning: Learning) -> None:
    for number in range(100):
        learning.saw_close(0.5, number / 10)
    assert learning.limit(10.0) == pytest.approx(0.45)


def test_short_limit_among_long_lives_is_heeded_though_those_prove_more(learning: Learning) -> None:
    """Several servers may answer to one name, and one of them has a limit of its own."""
    learning.saw_close(0.95, 100.0, True)
    learning.saw_survival(30.0, 140.0)
    assert learning.proof_limit(699.9) == pytest.approx(0.855)


def test_restarts_are_no_second_look_at_each_other(learning: Learning) -> None:
    for now in (100.0, 200.0):
        for idle_seconds in (0.2, 3.0, 0.02):
            learning.saw_close(idle_seconds, now)
    assert learning.limit(201.9) == math.inf
    assert learning.proof_limit(201.9) == pytest.approx(0.018)
    assert learning.proof_limit(202.0) == pytest.approx(2.7)


def test_sudden_ends_take_from_a_proof_for_twice_as_long_each_time(learning: Learning) -> None:
    now = 0.0
    for patience in (1.0, 2.0, 4.0, 8.0):
        learning.saw_close(0.02, now)
        assert learning.proof_limit(now + patience - 0.1) == pytest.approx(0.018)
        assert learning.proof_limit(now + patience) == math.inf
        now += 10.0


@pytest.mark.parametrize("later", [0.99, 1.0])
def test_sudden_end_is_heeded_from_the_last_one_of_its_moment(learning: Learning, later: float) -> None:
    learning.saw_close(0.02, 0.0)
    learning.saw_close(0.03, later)
    assert learning.proof_limit(later + 0.9) == pytest.approx(0.018)
    assert learning.proof_limit(later + 1.0) == math.inf


def test_sudden_ends_that_never_cease_are_heeded_for_as_long_as_they_are_remembered(
    learning: Learning,
) -> None:
    for number in range(20):
        learning.saw_close(0.02, 100.0 * number)
    assert learning.proof_limit(1900.0 + 599.9) == pytest.approx(0.018)
    assert learning.proof_limit(1900.0 + 600.0) == math.inf


def test_sudden_end_after_twenty_calm_minutes_is_the_first_again(learning: Learning) -> None:
    for now, patience in ((0.0, 1.0), (10.0, 2.0), (20.0, 4.0), (1219.9, 8.0), (2419.9, 1.0)):
        learning.saw_close(0.02, now)
        assert learning.proof_limit(now + patience - 0.1) == pytest.approx(0.018)
        assert learning.proof_limit(now + patience) == math.inf


def test_usual_age_among_sudden_ends_is_heeded_for_as_long_as_it_is_remembered(learning: Learning) -> None:
    for idle_seconds in (0.02, 2.0, 0.3):
        learning.saw_close(idle_seconds, 100.0)
    assert learning.limit(101.0) == math.inf
    assert learning.proof_limit(101.0) == learning.proof_limit(699.9) == pytest.approx(1.8)


def test_survivals_much_shorter_than_the_latest_one_are_noted_once_in_a_while(learning: Learning) -> None:
    learning.saw_survival(10.0, 0.0)
    learning.saw_survival(1.0, 1.0)
    learning.saw_survival(1.0, REMEMBERED_SECONDS / 8 + 1)
    assert learning.proven(REMEMBERED_SECONDS - 1) == 10.0
    assert learning.proven(REMEMBERED_SECONDS) == pytest.approx(RENEWED_FACTOR)
