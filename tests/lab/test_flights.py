"""Flights: packets that left before anything could be heard of the first of them."""

from __future__ import annotations

import pytest

from perdure.lab.flights import flights
from perdure.lab.lanes import Crossing, Kind, Lane


def lane_of(*sent: float) -> Lane:
    """A lane whose server sends a packet at each of these times; each takes 25 ms."""
    crossings = [Crossing("server", Kind.CONTENT, at, at + 0.025, 1448) for at in sent]
    return Lane(1, "client", "server", 1, 2, crossings)


def test_packets_belong_to_one_flight_until_its_first_can_be_acknowledged() -> None:
    lane = lane_of(0.0, 0.001, 0.049, 0.05, 0.051, 0.2)
    assert flights(lane, "server", 0.0, 1.0, 0.025) == [3, 2, 1]


def test_acknowledgement_of_a_packet_that_came_late_comes_late() -> None:
    lane = lane_of(0.0, 0.08, 0.2)
    lane.crossings[0] = lane.crossings[0]._replace(arrived_at=0.06)
    assert flights(lane, "server", 0.0, 1.0, 0.025) == [2, 1]


@pytest.mark.parametrize(("since", "until", "expected"), [(0.0, 0.1, [1]), (0.1, 1.0, [1]), (0.5, 1.0, [])])
def test_packets_of_other_times_are_left_out(since: float, until: float, expected: list[int]) -> None:
    assert flights(lane_of(0.0, 0.2), "server", since, until, 0.025) == expected


def test_repetitions_the_other_side_and_unknown_packets_do_not_count() -> None:
    lane = lane_of(0.0)
    lane.crossings.append(lane.crossings[0]._replace(again=True))
    assert flights(lane, "server", 0.0, 1.0, 0.025) == [1]
    assert flights(lane, "client", 0.0, 1.0, 0.025) == []
    lane.crossings = [lane.crossings[0]._replace(packets=0)]
    assert flights(lane, "server", 0.0, 1.0, 0.025) == []
