"""Ethernet frames of an interface, as they are: what a link in user space is made of.

A `FramePort` hears every frame that enters its interface and can put frames onto it. Kernels leave work
undone for the hardware (checksums, cutting large segments apart, joining small ones); where frames are
carried by a program there is no hardware, so `do_it_all` makes the kernel do that work itself.

Linux only: packet(7), netdevice(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final

if sys.platform != "win32":
    import fcntl

FRAME_OCTETS: Final = 65536
BUFFER_OCTETS: Final = 16 * 1024 * 1024
"""So that a program that stands still for a moment loses no frame."""
ETH_P_ALL: Final = 0x0003
SO_RCVBUFFORCE: Final = 33
SIOCETHTOOL: Final = 0x8946
OFFLOADS: Final = {
    "receive checksums": 0x15,
    "send checksums": 0x17,
    "scatter-gather": 0x19,
    "TCP segmentation": 0x1F,
    "generic segmentation": 0x24,
    "generic receive": 0x2C,
}
"""What is switched off, and by which command of ethtool(8); the number before it asks for the same."""
OUTGOING: Final = 4
"""PACKET_OUTGOING: a frame that this machine sent out through the interface."""


class FramePort:
    """One interface, of the namespace that the calling thread is in.

    Attributes:
        interface: its name.
    """

    def __init__(self, interface: str) -> None:
        """Listen to it.

        Raises:
            OSError: there is no such interface, or no right to hear its frames (CAP_NET_RAW).
        """
        if sys.platform != "linux":
            raise OSError(f"frames can be carried on Linux only; this is {sys.platform}")
        self.interface = interface
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setblocking(False)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS)
        except PermissionError:  # not the machine's own root: as much as everybody may
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        try:
            self._socket.bind((interface, 0))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Its descriptor, for `wait_readable`."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """Return the next frame that has entered; None where none has."""
        while True:
            try:
                frame, where = self._socket.recvfrom(FRAME_OCTETS)
            except BlockingIOError:
                return None
            if where[2] != OUTGOING:
                return frame

    def send(self, frame: bytes) -> bool:
        """Put a frame onto the interface; False where it takes none now, and the frame is lost."""
        try:
            self._socket.send(frame)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


def wait_readable(readers: Sequence[FramePort | int], seconds: float) -> list[FramePort | int]:
    """Wait until there is something to read; return where. [] when the time is over."""
    return select.select(readers, [], [], seconds)[0]


def do_it_all(interface: str) -> None:
    """Make the kernel do for an interface what it would leave to the hardware.

    The interface is of the namespace that the calling thread is in. What cannot be switched is left.
    """
    for command in OFFLOADS.values():
        with contextlib.suppress(OSError):
            _ethtool(interface, command, 0)


def left_to_hardware(interface: str) -> set[str]:
    """Return what the kernel leaves to the hardware for an interface: names of `OFFLOADS`."""
    return {name for name, command in OFFLOADS.items() if _ethtool(interface, command - 1, 0)}


def _ethtool(interface: str, command: int, value: int) -> int:
    """Ask the driver of an interface; return the value that it has then (struct ethtool_value)."""
    block = bytearray(struct.pack("II", command, value))
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), address))
    return int(struct.unpack("II", block)[1])
