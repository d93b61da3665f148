"""A file's octets from the kernel's page cache to a socket, without passing through this process.

For plain connections of threads. TLS has to see the octets; uvloop has no sendfile, and asyncio's stops
reading while it runs, so that a response that comes early would not be seen. sendfile(2); RFC 9112 §9.5.
"""

from __future__ import annotations

import io
import os
from typing import Any, Final

from perdure.core.errors import LocalViolation
from perdure.core.reason import Reason
from perdure.wire.blocking import BlockingWire
from perdure.wire.errors import PeerReset, WriteTimeout, lost_error
from perdure.wire.poll import READ, WRITE, Waiter

MOST_AT_ONCE: Final = 1 << 20
"""Octets asked of the kernel at once: then it is looked whether the peer has something to say."""


class FileSlice:
    """Octets of a file that were not read: it stands for them where only their number matters.

    Attributes:
        descriptor: of the file.
        offset: where the octets begin.
    """

    __slots__ = ("_length", "descriptor", "offset")

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self._length = length

    def __len__(self) -> int:
        return self._length

    def after(self, taken: int) -> FileSlice:
        """What is left after so many octets."""
        return FileSlice(self.descriptor, self.offset + taken, self._length - taken)


def descriptor_of(file: object) -> int | None:
    """The descriptor of a file whose octets are exactly those that reading it would give; None of others.

    A file object of another kind may have a descriptor and decompress what it reads.
    """
    raw: Any = file.raw if type(file) is io.BufferedReader else file
    if type(raw) is not io.FileIO or not hasattr(os, "sendfile"):
        return None
    descriptor: int = raw.fileno()
    return descriptor


def send_file_or_receive(wire: BlockingWire, piece: FileSlice, deadline: float) -> tuple[int, bytes | None]:
    """Send some of a file, or receive if something comes first.

    Returns:
        (octets taken, what arrived or None): at least one of them is something.

    Raises:
        WriteTimeout: the deadline passed first.
        PeerReset: the connection is gone, and nothing was left to receive.
        LocalViolation: the file ends before the slice does: it has become shorter.
    """
    while True:
        if wire.readable():
            return 0, wire.receive(deadline)
        try:
            count = min(len(piece), MOST_AT_ONCE)
            taken = os.sendfile(wire.fileno(), piece.descriptor, piece.offset, count)
        except BlockingIOError:
            if not Waiter(wire.fileno()).wait(READ | WRITE, deadline):
                raise WriteTimeout(f"{wire.peer_text}: took no more octets in time") from None
            continue
        except OSError as error:
            return 0, _last_words(wire, deadline, lost_error(error, wire.peer_text))
        if taken == 0:
            message = f"the file has ended {len(piece)} octets before its announced length (9110 §8.6)"
            raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
        wire.octets_accepted += taken
        return taken, None


def _last_words(wire: BlockingWire, deadline: float, lost: Exception) -> bytes:
    """What the peer said before the connection went. Raises `lost` where that is nothing."""
    try:
        if wire.readable() and (arrived := wire.receive(deadline)):
            return arrived
    except PeerReset:
        pass
    raise lost
