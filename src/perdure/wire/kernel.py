"""What only the kernel knows of a connection: how many octets it holds for the peer, and its round trip.

The transport's own buffer shrinks only when the kernel takes more, and a kernel that holds
megabytes for a slow peer takes none for minutes. Only its own queue says whether the peer
takes octets. Linux and the BSDs tell (TIOCOUTQ, tcp(7)); elsewhere this is 0.

How long a dial took says little of the round trip: resolving, TLS and a busy program are in it. The
kernel measured the handshake alone. Linux tells (TCP_INFO, tcp(7)).
"""

from __future__ import annotations

import socket
import struct
import sys

if sys.platform == "win32":

    def kernel_queue(connection: socket.socket | None) -> int:
        """Return 0: Windows does not tell."""
        return 0

else:
    import fcntl
    import termios

    _NOTHING = struct.pack("i", 0)

    def kernel_queue(connection: socket.socket | None) -> int:
        """Return the octets the peer has not acknowledged and still may; 0 where there is no telling."""
        if connection is None:
            return 0
        try:
            answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, _NOTHING)
        except (OSError, ValueError):
            return 0
        octets = int(struct.unpack("i", answer)[0])
        return 0 if octets and is_reset(connection) else octets


_CLOSED = b"\x07"
"""`TCP_CLOSE`, in the first octet of `struct tcp_info`."""


def is_reset(connection: socket.socket) -> bool:
    """Say whether the connection is gone, though nobody may have noticed: nothing was written or read since.

    An event loop that has read the peer's FIN does not look for a reset behind it. Linux tells.
    """
    if sys.platform != "linux":
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _CLOSED
    except (OSError, ValueError):  # a unix socket, or one that is closed
        return False


_ROUND_TRIP_OFFSET = 68
"""Of `tcpi_rtt`, in microseconds, in `struct tcp_info`: eight octets and fifteen words before it."""


def round_trip_seconds(connection: socket.socket | None) -> float | None:
    """Return the round-trip time as the kernel measured it; None where there is no telling."""
    if connection is None or sys.platform != "linux":
        return None
    try:
        answer = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ROUND_TRIP_OFFSET + 4)
    except (OSError, ValueError):  # a unix socket, or one that is closed
        return None
    if len(answer) < _ROUND_TRIP_OFFSET + 4:
        return None
    microseconds: int = struct.unpack_from("I", answer, _ROUND_TRIP_OFFSET)[0]
    return microseconds / 1e6 or None
