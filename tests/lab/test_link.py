"""A link is arithmetic: when a frame comes out, and whether it does."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.lab.link import Carried, Direction, Link, pack, unpack


def link(**changes: float) -> Link:
    return Link(a="client", b="server", **changes)  # type: ignore[arg-type]  # the seed and the queue are whole


def test_frame_comes_out_after_half_a_round_trip() -> None:
    assert Direction(link(rtt=0.05), True).offer(10.0, 1500) == pytest.approx(10.025)


def test_frames_take_their_time_on_the_line_one_after_the_other() -> None:
    way = Direction(link(rtt=0.05, rate=1_200_000), True)  # 150,000 octets a second
    assert way.offer(10.0, 1500) == pytest.approx(10.0 + 0.01 + 0.025)
    assert way.offer(10.0, 1500) == pytest.approx(10.0 + 0.02 + 0.025)
    assert way.offer(11.0, 1500) == pytest.approx(11.0 + 0.01 + 0.025)


def test_frame_that_finds_the_queue_full_is_lost_and_the_next_is_not_late_for_it() -> None:
    way = Direction(link(rate=8000, queue=1500), True)  # 1000 octets a second
    assert way.offer(0.0, 1000) == pytest.approx(1.0)
    assert way.offer(0.0, 1000) is None
    assert way.offer(0.5, 1000) == pytest.approx(2.0)


def test_link_may_become_another_while_frames_wait() -> None:
    way = Direction(link(rate=8000), True)
    assert way.offer(0.0, 1000) == pytest.approx(1.0)
    way.shape(link(rate=80000, rtt=0.2))
    assert way.offer(0.0, 1000) == pytest.approx(1.1 + 0.1)


@given(st.integers(), st.floats(0.05, 0.5))
def test_same_seed_has_the_same_fate(seed: int, loss: float) -> None:
    one, other = (Direction(link(loss=loss, reorder=0.1, seed=seed, rtt=0.1), True) for _ in range(2))
    fates = [one.offer(float(at), 100) for at in range(50)]
    assert fates == [other.offer(float(at), 100) for at in range(50)]


def test_share_of_lost_frames_is_as_asked_for_and_differs_by_direction() -> None:
    there, back = (Direction(link(loss=0.2, seed=7), forward) for forward in (True, False))
    lost = [[way.offer(float(at), 100) is None for at in range(2000)] for way in (there, back)]
    assert [sum(each) for each in lost] == [pytest.approx(400, abs=80)] * 2
    assert lost[0] != lost[1]


def test_frame_that_is_held_back_is_overtaken() -> None:
    way = Direction(link(reorder=0.3, rtt=0.1, seed=3), True)
    arrivals = [way.offer(at / 1000, 100) or math.nan for at in range(100)]
    assert any(later < earlier for earlier, later in itertools.pairwise(arrivals))


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(40, 1514)), max_size=40), st.integers(10_000, 10_000_000)
)
def test_nothing_overtakes_on_a_line_without_reordering(frames: list[tuple[float, int]], rate: int) -> None:
    way = Direction(link(rate=rate, rtt=0.02), True)
    arrivals = [at for entered, octets in sorted(frames) if (at := way.offer(entered, octets)) is not None]
    assert arrivals == sorted(arrivals)


@pytest.mark.parametrize("wrong", [{"rtt": -1}, {"rate": 0}, {"queue": 0}, {"loss": 1}, {"reorder": -0.1}])
def test_link_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a link with"):
        link(**wrong)


def test_link_tells_itself_in_words() -> None:
    assert link(rtt=0.05).text() == "rtt 50 ms"
    assert link(rtt=0.15, rate=28800, loss=0.01).text() == "rtt 150 ms, 28.8 kbit/s, 1.00% lost"
    assert link(rate=1e7, reorder=0.1).text() == "rtt 0 ms, 10 Mbit/s, 10.00% held back"
    assert link().joins("server", "client")
    assert not link().joins("server", "server")


RECORDS = st.builds(
    Carried,
    st.integers(0, 255),
    st.booleans(),
    st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
)


@given(st.lists(RECORDS, max_size=5))
def test_records_are_read_as_they_were_written(records: list[Carried]) -> None:
    assert unpack(pack(records)) == records
