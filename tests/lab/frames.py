"""Frames of TCP, octet by octet, for tests."""

from __future__ import annotations

import struct

from perdure.lab.link import HEAD_OCTETS, Carried
from perdure.lab.packets import End

CLIENT: End = ("10.77.0.1", 40000)
SERVER: End = ("10.77.0.2", 8000)


def frame(source: End, target: End, flags: int, sequence: int = 0, content: bytes = b"") -> bytes:
    """An Ethernet frame with IPv4 and TCP; checksums are left out, as nobody looks at them."""
    addresses = b"".join(bytes(map(int, address.split("."))) for address, _ in (source, target))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(content), 0, 0, 64, 6, 0) + addresses
    tcp = struct.pack(">HHIIBBHHH", source[1], target[1], sequence, 0, 0x50, flags, 0, 0, 0)
    return b"\x02" * 12 + b"\x08\x00" + ip + tcp + content


def carried(at: float, octets: bytes, left: float | None = -1.0) -> Carried:
    """A frame that crossed in 25 ms; `left` None: that was lost."""
    left = at + 0.025 if left == -1.0 else left
    return Carried(0, True, at, left, len(octets), octets[:HEAD_OCTETS])
