"""The server's end of one connection: says any octets, ends in any way, and notes what it heard."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Final

PATIENCE_SECONDS: Final = 8.0
FLOOD_OCTETS: Final = 32 * 1024 * 1024
FLOOD_SECONDS: Final = 10.0
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Notes:
    """What one connection heard.

    Attributes:
        requests: method and path of each, in order; a request whose content was not read counts too.
        flood_taken: whether a flood went on to its end, or the client stopped it; None where there was none.
        done: set once the script has done what it is about: later requests cannot overtake it.
        ended_after: seconds from `Talk.wait_end` until the client closed; None: it did not, or nobody waited.
    """

    requests: list[str] = field(default_factory=list)
    flood_taken: bool | None = None
    ended_after: float | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Talk:
    """A connection that was accepted."""

    def __init__(self, connection: socket.socket, notes: Notes) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.notes = notes
        self.buffer = b""

    def _receive(self) -> bool:
        octets = self.socket.recv(262144)
        self.buffer += octets
        return bool(octets)

    def head(self) -> str:
        """Read the head of a request; its path, "" where the client ended instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._receive():
                return ""
        method, path = self.buffer.split(b" ", 2)[:2]
        self.notes.requests.append(f"{method.decode()} {path.decode()}")
        return path.decode()

    def request(self) -> str:
        """Read a whole request; its path, "" where the client ended instead."""
        path = self.head()
        if path:
            self.content()
        return path

    def content(self) -> None:
        """Read what belongs to the head that was read, and drop it."""
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        named = LENGTH.search(head)
        left = int(named[1]) if named else 0
        while len(self.buffer) < left and self._receive():
            pass
        self.buffer = self.buffer[left:]
        if b"chunked" in head.lower():
            while b"0\r\n\r\n" not in self.buffer and self._receive():
                pass
            self.buffer = self.buffer.partition(b"0\r\n\r\n")[2]

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def serve(self, *fields: str) -> None:
        """Answer requests as one should, until the client ends."""
        while path := self.request():
            self.say(answer(path, *fields))

    def done(self) -> None:
        """What was to happen before the next request has happened."""
        self.notes.done.set()

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def finish(self) -> None:
        """Send a FIN, and hear on."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_end(self, seconds: float) -> None:
        """Wait until the client closes, and note after how long."""
        began = time.monotonic()
        self.socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while self._receive():
                pass
            self.notes.ended_after = time.monotonic() - began

    def wait_hangup(self, seconds: float) -> None:
        """Wait until the client closes, without reading what it says."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        poll.poll(seconds * 1000)

    def flood(self, unit: bytes) -> None:
        """Say it again and again, until the client ends or it has become too much; note which."""
        self.notes.flood_taken = False
        piece = unit * max(1, 65536 // len(unit))
        deadline = time.monotonic() + FLOOD_SECONDS
        left = FLOOD_OCTETS
        while left > 0 and time.monotonic() < deadline:
            self.say(piece)
            left -= len(piece)
        self.notes.flood_taken = True


def answer(path: str, *fields: str, version: str = "1.1", status: str = "200 OK") -> bytes:
    """The response that belongs to a request: its content is the path."""
    lines = [f"HTTP/{version} {status}", *fields, f"Content-Length: {len(path)}", "", path]
    return "\r\n".join(lines).encode()
