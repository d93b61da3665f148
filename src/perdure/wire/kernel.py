"""How many octets the kernel still holds for the peer.

The transport's own buffer shrinks only when the kernel takes more, and a kernel that holds
megabytes for a slow peer takes none for minutes. Only its own queue says whether the peer
takes octets. Linux and the BSDs tell (TIOCOUTQ, tcp(7)); elsewhere this is 0.
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
        """Return the octets the peer has not acknowledged; 0 where there is no telling."""
        if connection is None:
            return 0
        try:
            answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, _NOTHING)
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", answer)[0])
