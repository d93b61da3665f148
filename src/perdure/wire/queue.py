"""The kernel's queue of connections that nobody has accepted yet, and how it comes to its end.

A listening socket that is closed resets whoever waits in its queue, and whoever is shaking hands. So
the order is: let no new handshake begin, let those under way finish, accept all of them, then close.

    listening ──refuse_handshakes──▶ those under way finish ──accept──▶ empty ──close──▶ refused
                 a first SYN is dropped as if it were lost; its client sends it again a second
                 later, and is refused by then: it knows that none of its request was seen

On Linux a socket filter does it, as nothing else may: a shorter queue (listen(2) with 0) would drop the last
step of handshakes whose clients believe themselves connected. A unix socket loses its name. Elsewhere nothing
stops the queue, and who comes in the microseconds between the last look and the close is reset.

Source: tcp(7), socket(7) SO_ATTACH_FILTER; RFC 9293 §3.5 (the handshake).
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import select
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Final

from perdure.wire.address import plain_address

ATTACH_FILTER: Final = 26
"""SO_ATTACH_FILTER on Linux, which the socket module does not name."""
FLAGS_OFFSET: Final = 13
"""Of the octet with the flags, in a TCP header (RFC 9293 §3.1)."""
SYN: Final = 0x02
SYN_AND_ACK: Final = 0x12


class _Instruction(ctypes.Structure):
    """`struct sock_filter`: one instruction of the kernel's packet filter (classic BPF)."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("operand", ctypes.c_uint32),
    )


_INSTRUCTIONS: Final = (_Instruction * 5)(
    _Instruction(0x30, 0, 0, FLAGS_OFFSET),  # load the octet with the flags
    _Instruction(0x54, 0, 0, SYN_AND_ACK),  # keep two of them
    _Instruction(0x15, 0, 1, SYN),  # SYN alone, which begins a handshake:
    _Instruction(0x06, 0, 0, 0),  # drop it
    _Instruction(0x06, 0, 0, 0xFFFFFFFF),  # let everything else through, whole
)
DROP_FIRST_SYN: Final = struct.pack("@HP", len(_INSTRUCTIONS), ctypes.addressof(_INSTRUCTIONS))


def refuse_handshakes(listening: socket.socket) -> None:
    """Let nobody new come to the queue of a listening socket, nor of its copies; whoever is in it stays.

    There is no way back. Harmless for a socket that is closed, or does not listen.
    """
    if listening.fileno() < 0:
        return
    if listening.family == getattr(socket, "AF_UNIX", None):
        remove_file(listening)
    elif sys.platform == "linux":
        with contextlib.suppress(OSError):  # a kernel without filters
            listening.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, DROP_FIRST_SYN)


def remove_file(bound: socket.socket) -> None:
    """Remove the file of a unix socket, so that nobody finds it any more; harmless for any other socket."""
    if bound.fileno() < 0 or bound.family != getattr(socket, "AF_UNIX", None):
        return
    name = bound.getsockname()
    if isinstance(name, str) and name:
        with contextlib.suppress(OSError):
            os.unlink(name)


def somebody_waits(listening: Iterable[socket.socket]) -> bool:
    """Say whether there is a connection to accept on any of these sockets."""
    open_ones = [bound for bound in listening if bound.fileno() >= 0]
    if sys.platform == "win32":
        return bool(select.select(open_ones, [], [], 0)[0])
    poll = select.poll()  # unlike select(2) it takes descriptors above 1,023
    for bound in open_ones:
        poll.register(bound, select.POLLIN)
    return bool(poll.poll(0))


def handshakes_take_time(listening: Iterable[socket.socket]) -> bool:
    """Say whether somebody may be half-way through a handshake; within this machine it is one step."""
    return any(not _within_this_machine(bound) for bound in listening if bound.fileno() >= 0)


def _within_this_machine(bound: socket.socket) -> bool:
    address = plain_address(bound.getsockname())
    return not isinstance(address, tuple) or ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
