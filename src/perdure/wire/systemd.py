"""systemd: sockets that it opened for us, and telling it that we are ready.

Source: sd_listen_fds(3), sd_notify(3). Without systemd nothing here does anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

from perdure.wire.bind import BoundSocket

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START: the descriptors are passed from here on, without gaps."""


def inherited_sockets(environment: MutableMapping[str, str] = os.environ) -> list[BoundSocket]:
    """Take the listening sockets that systemd passed to this process; [] if there are none.

    The variables that announce them are removed, so that no child believes they are its own.
    """
    passed_to = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if passed_to != str(os.getpid()) or not count.isdigit():
        return []
    sockets = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)
        bound = socket.socket(fileno=descriptor)
        bound.setblocking(False)
        sockets.append(bound)
    return sockets


def notify(state: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Tell systemd about our state, such as "READY=1" or "STOPPING=1".

    Returns:
        False where nobody wants to know, or the message could not be delivered.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.sendto(state.encode(), address)
        return True
    return False
