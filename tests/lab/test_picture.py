"""Timelines as SVG: well-formed, self-contained, and with everything in it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from perdure.lab.lanes import Timeline
from perdure.lab.picture import MOST_LINES, draw
from tests.lab.lanes import exchange_timeline

SVG = "{http://www.w3.org/2000/svg}"


def test_picture_is_well_formed_and_names_acts_hosts_and_reasons() -> None:
    root = ElementTree.fromstring(draw(exchange_timeline()))
    words = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    for expected in (
        "an & act",
        "rtt 100 ms",
        "client",
        "server",
        "server: idle limit reached (9112 §9.5)",
        "1.00 s",
    ):
        assert expected in words


def test_every_crossing_is_a_line_with_its_words() -> None:
    root = ElementTree.fromstring(draw(exchange_timeline()))
    titles = [title.text or "" for line in root.iter(f"{SVG}line") for title in line.iter(f"{SVG}title")]
    assert titles[0] == "client: SYN, 0 octets, sent at 0.0000 s"
    assert "client: GET / HTTP/1.1, 27 octets, sent at 0.1000 s" in titles
    assert "client: got <it>" in titles


def test_lost_packet_ends_half_way_and_a_repetition_is_dashed() -> None:
    root = ElementTree.fromstring(draw(exchange_timeline()))
    lines = [line for line in root.iter(f"{SVG}line") if line.get("stroke") not in (None, "#b8860b")]
    lost, again = lines[4], lines[5]
    assert lost.get("x1") == lost.get("x2")
    assert again.get("stroke-dasharray")


def test_very_long_connection_is_thinned_out() -> None:
    timeline = exchange_timeline()
    lane = timeline.lanes[0]
    lane.crossings = [
        lane.crossings[2]._replace(sent_at=at / 5000, arrived_at=at / 5000) for at in range(5000)
    ]
    root = ElementTree.fromstring(draw(timeline))
    assert len(list(root.iter(f"{SVG}line"))) < MOST_LINES + 20


def test_act_in_which_nothing_happened_is_a_picture_too() -> None:
    ElementTree.fromstring(draw(Timeline("nothing")))
