"""Timelines as text."""

from __future__ import annotations

from perdure.lab.lanes import Lane, Timeline
from perdure.lab.timeline import Span, bar, events_of, spans_of, text_of
from tests.lab.lanes import exchange_lane, exchange_timeline


def test_lane_is_cut_into_what_it_does() -> None:
    assert spans_of(exchange_lane(), 1.0) == [
        Span("╌", 0.0, 0.1),
        Span(">", 0.1, 0.2),
        Span("·", 0.2, 0.3),
        Span("█", 0.3, 0.4),
        Span("─", 0.4, 0.8),
    ]


def test_lane_that_waits_for_a_response_until_the_end_shows_that() -> None:
    lane = exchange_lane()
    lane.crossings = lane.crossings[:3]
    assert spans_of(lane, 1.0)[-1] == Span("·", 0.2, 1.0)


def test_bar_has_a_character_for_each_share_of_the_time() -> None:
    assert bar(exchange_lane(), 1.0, 10) == "╌>·█────×"


def test_lane_of_a_connection_that_never_came_about_is_its_handshake() -> None:
    lane = exchange_lane()
    lane.crossings = lane.crossings[:1]
    assert bar(lane, 1.0, 10) == "╌" * 10


def test_act_is_drawn_with_its_reason_its_time_and_its_notes() -> None:
    lines = text_of(exchange_timeline(), 10)
    assert lines == [
        "an & act    rtt 100 ms",
        "  client → server   1  ╌>·█────×   server: idle limit reached (9112 §9.5)",
        "                       0   1.00 s",
        "   0.500 s  client: got <it>",
    ]
    assert text_of(Timeline("nothing", "")) == ["nothing"]


def test_end_without_a_reason_names_who_ended_it() -> None:
    timeline = exchange_timeline()
    timeline.lanes[0].reasons.clear()
    assert text_of(timeline, 10)[1].endswith("server closed")


def test_events_tell_everything_that_was_sent_in_order() -> None:
    lines = [" ".join(line.split()) for line in events_of(exchange_timeline())]
    assert lines == [
        "connection 1, client:40000 → server:8000",
        "0.0000 s client SYN, there at 0.0500",
        "0.0500 s server SYN-ACK, there at 0.1000",
        "0.1000 s client GET / HTTP/1.1, 27 octets in 1 packet, there at 0.2000",
        "0.3000 s server HTTP/1.1 200 OK, 42 octets in 2 packets, there at 0.4000",
        "0.3500 s server 4 octets, lost",
        "0.4000 s server 4 octets, sent again",
        "0.8000 s server FIN, there at 0.8500",
        "server gave it up: idle limit reached (9112 §9.5)",
    ]


def test_lane_without_anything_is_drawn_empty() -> None:
    assert bar(Lane(1, "a", "b", 1, 2), 0.0, 5) == ""
