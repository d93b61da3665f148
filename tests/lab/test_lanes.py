"""Lanes: what can be said of a connection from what crossed."""

from __future__ import annotations

import math

import pytest

from perdure.lab.lanes import Crossing, Kind, Lane, Message
from tests.lab.lanes import REQUEST, RESPONSE, exchange_lane, exchange_timeline


def test_times_of_a_connection_are_those_of_its_handshake_and_first_end() -> None:
    lane = exchange_lane()
    assert (lane.began_at, lane.established_at, lane.ended_at, lane.ended_by) == (0.0, 0.1, 0.8, "server")


def test_connection_that_never_came_about_and_never_ended_has_no_such_times() -> None:
    lane = Lane(1, "client", "server", 1, 2)
    assert (lane.began_at, lane.established_at, lane.ended_at, lane.ended_by) == (math.inf,) * 3 + (None,)


def test_content_in_one_direction_is_one_message_and_repetitions_count_once() -> None:
    lane = exchange_lane()
    assert lane.messages == [
        Message("client", "GET / HTTP/1.1", 0.1, 0.2, len(REQUEST), 1),
        Message("server", "HTTP/1.1 200 OK", 0.3, 0.4, len(RESPONSE) + 4, 2),
    ]
    assert lane.octets("server") == len(RESPONSE) + 4
    assert (lane.requests, lane.responses, lane.packets) == (1, 1, 7)
    assert (lane.heads("client"), lane.heads("server")) == ([REQUEST], [RESPONSE])


def test_start_line_begins_another_message_in_the_same_direction() -> None:
    lane = exchange_lane()
    lane.crossings = [lane.crossings[2], lane.crossings[2]._replace(sent_at=0.15, arrived_at=0.25)]
    assert [message.text for message in lane.messages] == ["GET / HTTP/1.1"] * 2


@pytest.mark.parametrize(
    ("octets", "line"),
    [
        (b"HTTP/1.0 404 Not Found\r\n", "HTTP/1.0 404 Not Found"),
        (b"CONNECT a:443 HTTP/1.1\r\n", "CONNECT a:443 HTTP/1.1"),
        (b"xHTTP/1.1 200 OK\r\n", ""),
        (b"get / HTTP/1.1\r\n", ""),
        (b"", ""),
    ],
)
def test_start_line_is_recognised_at_the_beginning_of_content(octets: bytes, line: str) -> None:
    assert Crossing("client", Kind.CONTENT, 0.0, 0.1, len(octets), content=octets).start_line == line


def test_silences_lie_between_what_has_arrived_and_what_is_sent_next() -> None:
    [silence] = exchange_lane().silences(0.25)
    assert silence == (0.5, 0.8)
    assert exchange_lane().silences(0.5) == []


def test_document_has_numbers_alone_and_null_for_what_never_was() -> None:
    timeline = exchange_timeline()
    timeline.lanes[0].crossings.pop()
    document = timeline.document()
    [lane] = document["lanes"]
    assert (lane["established_at"], lane["ended_at"], lane["ended_by"]) == (0.1, None, None)
    assert [message["text"] for message in lane["messages"]] == ["GET / HTTP/1.1", "HTTP/1.1 200 OK"]
    assert document["notes"] == [{"at": 0.5, "host": "client", "text": "got <it>"}]
    assert timeline.between("client", "server") == timeline.lanes
    assert timeline.between("server", "client") == []
    assert (timeline.requests, timeline.packets) == (1, 6)
