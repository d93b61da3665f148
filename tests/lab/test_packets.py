"""Frames are read as connections, and written as a capture."""

from __future__ import annotations

import io
import struct

from perdure.lab.lanes import Kind
from perdure.lab.link import HEAD_OCTETS
from perdure.lab.packets import ACK, FIN, RST, SYN, lanes_of, packets_of, write_capture
from tests.lab.frames import CLIENT, SERVER, carried, frame

HOSTS = {"10.77.0.1": "client", "10.77.0.2": "server"}
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
EXCHANGE = [
    carried(100.0, frame(CLIENT, SERVER, SYN, 10)),
    carried(100.025, frame(SERVER, CLIENT, SYN | ACK, 50)),
    carried(100.05, frame(CLIENT, SERVER, ACK, 11)),
    carried(100.05, frame(CLIENT, SERVER, ACK, 11, REQUEST)),
    carried(100.075, frame(SERVER, CLIENT, ACK, 51, RESPONSE)),
    carried(100.1, frame(SERVER, CLIENT, ACK | FIN, 51 + len(RESPONSE))),
]


def test_packets_of_one_connection_become_a_lane() -> None:
    [lane] = lanes_of(packets_of(EXCHANGE), 100.0, HOSTS)
    assert (lane.client, lane.server, lane.client_port, lane.server_port) == ("client", "server", 40000, 8000)
    assert [each.kind for each in lane.crossings] == [
        Kind.SYN, Kind.SYN_ACK, Kind.ACK, Kind.CONTENT, Kind.CONTENT, Kind.FIN,
    ]  # fmt: skip
    assert (round(lane.established_at, 6), round(lane.ended_at, 6), lane.ended_by) == (0.05, 0.1, "server")
    assert (lane.requests, lane.responses, lane.packets) == (1, 1, 6)
    assert lane.octets("client") == len(REQUEST)


def test_port_that_is_used_again_begins_another_lane() -> None:
    again = [record._replace(entered_at=record.entered_at + 1) for record in EXCHANGE]
    again[0] = carried(101.0, frame(CLIENT, SERVER, SYN, 999))
    assert [lane.number for lane in lanes_of(packets_of(EXCHANGE + again), 100.0, HOSTS)] == [1, 2]


def test_what_is_sent_again_is_marked_and_what_is_lost_never_arrives() -> None:
    records = [
        *EXCHANGE[:3],
        carried(100.05, frame(CLIENT, SERVER, ACK, 11, REQUEST), None),
        carried(100.35, frame(CLIENT, SERVER, ACK, 11, REQUEST)),
    ]
    [lane] = lanes_of(packets_of(records), 100.0, HOSTS)
    first, second = lane.crossings[3:]
    assert (first.arrived_at, first.again, second.again) == (None, False, True)
    assert lane.requests == 1
    assert lane.octets("client") == len(REQUEST)


def test_handshake_that_is_sent_again_is_the_same_connection() -> None:
    records = [carried(99.0, frame(CLIENT, SERVER, SYN, 10), None), *EXCHANGE]
    [lane] = lanes_of(packets_of(records), 99.0, HOSTS)
    assert lane.crossings[1].again


def test_sequence_numbers_that_wrap_around_are_not_sent_again() -> None:
    top = 0xFFFFFFFF
    records = [
        carried(1.0, frame(CLIENT, SERVER, SYN, top - 2)),
        carried(1.1, frame(CLIENT, SERVER, ACK, top - 1, b"abcd")),
        carried(1.2, frame(CLIENT, SERVER, ACK, 2, b"efgh")),
    ]
    [lane] = lanes_of(packets_of(records), 1.0, HOSTS)
    assert [each.again for each in lane.crossings] == [False, False, False]


def test_refused_connection_is_a_reset_by_the_server() -> None:
    records = [EXCHANGE[0], carried(100.025, frame(SERVER, CLIENT, RST | ACK))]
    [lane] = lanes_of(packets_of(records), 100.0, HOSTS)
    assert (lane.crossings[-1].kind, lane.ended_by) == (Kind.RST, "server")


def test_connection_that_began_earlier_and_frames_of_other_protocols_are_left_out() -> None:
    arp = b"\x02" * 12 + b"\x08\x06" + b"\0" * 46
    assert lanes_of(packets_of([carried(1.0, arp), *EXCHANGE[2:]]), 1.0, HOSTS) == []


def test_capture_has_a_head_and_each_frame_with_its_time_and_length() -> None:
    file = io.BytesIO()
    long = frame(CLIENT, SERVER, ACK, 11, b"x" * 1000)
    write_capture(file, [carried(100.5, long), carried(100.25, EXCHANGE[0].head)], epoch=1_000_000.0)
    octets = file.getvalue()
    assert struct.unpack_from("<IHH", octets) == (0xA1B2C3D4, 2, 4)
    assert struct.unpack_from("<IIII", octets, 24) == (1_000_100, 250000, 54, 54)
    second = 24 + 16 + 54
    assert struct.unpack_from("<IIII", octets, second) == (1_000_100, 500000, HEAD_OCTETS, len(long))
    assert len(octets) == second + 16 + HEAD_OCTETS
