"""A client on one blocking socket, for tests that hold connections and look at each of them."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tests import peers

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
ANSWER_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.02


class Plain:
    """One connection; requests are GETs for /echo/NAME unless a path is given."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((peers.LOOPBACK, port), ANSWER_SECONDS)
        self._held = b""

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def send(self, path: str) -> None:
        """Send a request."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: endurance\r\n\r\n".encode())

    def begin(self, path: str) -> None:
        """Send a request but for its last line: whoever is half-way through a head is not idle."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: endurance\r\n".encode())

    def finish(self) -> None:
        """Send the last line of what was begun."""
        self._socket.sendall(b"\r\n")

    def read(self) -> bytes:
        """The content of one response.

        Raises:
            ConnectionError: the connection ended before it was complete.
            TimeoutError: nothing came for ANSWER_SECONDS.
        """
        head, _, self._held = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise AssertionError(f"{head!r} in place of an answer")
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        while len(self._held) < length:
            self._held += self._receive()
        content, self._held = self._held[:length], self._held[length:]
        return content

    def ask(self, path: str) -> bytes:
        """Send a request; the content of its response. Raises as `read`."""
        self.send(path)
        return self.read()

    def close(self) -> None:
        """End the connection by FIN."""
        self._socket.close()

    def reset(self) -> None:
        """End the connection by RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._socket.close()

    def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            self._held += self._receive()
        return self._held

    def _receive(self) -> bytes:
        octets = self._socket.recv(65536)
        if not octets:
            raise ConnectionError("the server ended the connection")
        return octets


def those_with_news(connections: Sequence[Plain], seconds: float) -> list[Plain]:
    """Those on which something arrives, an end too, before nothing new arrives anywhere for so long."""
    silent = list(connections)
    while silent:
        ready: list[Plain] = select.select(silent, [], [], seconds)[0]
        if not ready:
            break
        silent = [connection for connection in silent if connection not in ready]
    return [connection for connection in connections if connection not in silent]


def close_all(connections: Iterable[Plain]) -> None:
    """Close connections, whatever state they are in."""
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes about within so many seconds; looks fifty times a second."""
    pause = threading.Event()
    for _ in range(int(seconds / LOOK_SECONDS)):
        if condition():
            return True
        pause.wait(LOOK_SECONDS)
    return condition()
