"""Frames that a link carried, read as TCP; and written as a capture that other programs open.

RFC 791 §3.1, RFC 9293 §3.1; the file format is libpcap's (draft-ietf-opsawg-pcap).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import BinaryIO, Final, NamedTuple

from perdure.lab.lanes import Crossing, Kind, Lane, Side
from perdure.lab.link import HEAD_OCTETS, Carried

ETHERNET_OCTETS: Final = 14
IPV4: Final = b"\x08\x00"
TCP: Final = 6
FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10

End = tuple[str, int]
"""An address and a port."""


class Packet(NamedTuple):
    """One TCP segment that entered a link."""

    link: int
    sent_at: float
    """Monotonic seconds, when it entered the link."""
    arrived_at: float | None
    """When it left the link; None where it was lost."""
    source: End
    target: End
    flags: int
    sequence: int
    content_octets: int
    frame_octets: int
    content: bytes
    """The beginning of its content."""


def packets_of(carried: Iterable[Carried]) -> list[Packet]:
    """Read frames; those that are not TCP over IPv4 are left out. In the order in which they entered."""
    found = [packet for record in carried if (packet := _packet(record)) is not None]
    found.sort(key=lambda packet: packet.sent_at)
    return found


def _packet(record: Carried) -> Packet | None:
    frame = record.head
    if frame[12:14] != IPV4 or len(frame) < ETHERNET_OCTETS + 40 or frame[23] != TCP:
        return None
    start = ETHERNET_OCTETS + 4 * (frame[14] & 0x0F)
    (total,) = struct.unpack_from(">H", frame, 16)
    source, target, sequence, _, offset, flags = struct.unpack_from(">HHIIBB", frame, start)
    content = start + 4 * (offset >> 4)
    return Packet(
        record.link,
        record.entered_at,
        record.left_at,
        (_address(frame[26:30]), source),
        (_address(frame[30:34]), target),
        flags,
        sequence,
        ETHERNET_OCTETS + total - content,
        record.octets,
        frame[content : ETHERNET_OCTETS + total],
    )


def _address(octets: bytes) -> str:
    return ".".join(map(str, octets))


def lanes_of(packets: Iterable[Packet], began_at: float, hosts: Mapping[str, str]) -> list[Lane]:
    """Put packets together to connections.

    Args:
        packets: in the order in which they entered; those of connections that began earlier are left out.
        began_at: what becomes second 0.
        hosts: names by address.
    """
    lanes: list[Lane] = []
    open_lanes: dict[tuple[End, End], _Tracked] = {}
    for packet in packets:
        ends = (packet.source, packet.target)
        tracked = open_lanes.get(ends) or open_lanes.get(ends[::-1])
        begins = packet.flags & (SYN | ACK) == SYN
        if begins and (tracked is None or packet.sequence != tracked.first_sequence):
            client, server = (hosts.get(address, address) for address, _ in ends)
            lane = Lane(len(lanes) + 1, client, server, packet.source[1], packet.target[1])
            lanes.append(lane)
            tracked = open_lanes[ends] = _Tracked(lane, packet)
        if tracked is not None:
            tracked.add(packet, began_at)
    return lanes


class _Tracked:
    """A connection whose packets are being read."""

    def __init__(self, lane: Lane, first: Packet) -> None:
        self.first_sequence = first.sequence
        self._lane = lane
        self._client = first.source
        self._seen: dict[Side, int] = {}  # the highest sequence number so far, counted from its first

    def add(self, packet: Packet, began_at: float) -> None:
        """Read the next packet of it."""
        side: Side = "client" if packet.source == self._client else "server"
        kind = _kind(packet)
        self._lane.crossings.append(
            Crossing(
                side,
                kind,
                packet.sent_at - began_at,
                None if packet.arrived_at is None else packet.arrived_at - began_at,
                packet.content_octets,
                1,
                packet.frame_octets,
                packet.content,
                self._is_again(side, packet),
            )
        )

    def _is_again(self, side: Side, packet: Packet) -> bool:
        length = packet.content_octets + bool(packet.flags & SYN) + bool(packet.flags & FIN)
        if not length:
            return False
        end = packet.sequence + length
        seen = self._seen.get(side)
        # Sequence numbers wrap around (RFC 9293 §3.4).
        if seen is None or (end - seen) & 0xFFFFFFFF < 0x80000000:
            self._seen[side] = end
            return seen is not None and end == seen
        return True


def _kind(packet: Packet) -> Kind:
    if packet.flags & RST:
        return Kind.RST
    if packet.flags & SYN:
        return Kind.SYN_ACK if packet.flags & ACK else Kind.SYN
    if packet.flags & FIN:
        return Kind.FIN
    return Kind.CONTENT if packet.content_octets else Kind.ACK


def write_capture(file: BinaryIO, carried: Iterable[Carried], epoch: float) -> None:
    """Write frames as a capture file, each at the time when it entered its link.

    Args:
        file: open for writing.
        carried: frames; of each its beginning is written.
        epoch: the wall-clock time at which monotonic time was 0.
    """
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, HEAD_OCTETS, 1))
    for record in sorted(carried, key=lambda record: record.entered_at):
        at = record.entered_at + epoch
        file.write(struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(record.head), record.octets))
        file.write(record.head)
