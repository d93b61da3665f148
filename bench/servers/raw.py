"""One raw connection to a server, and a reader that takes what comes.

The reader is not perdure's: a judge that shared its parser would share its mistakes. It believes every
length it is given and never complains; what it could not read as a response it calls garbled.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

PATIENCE_SECONDS: Final = 5.0
"""How long an answer may take before the cell says that there was none."""


class Ending(NamedTuple):
    """How a connection ended, or that it did not.

    Attributes:
        how: "FIN", "RST" or "open".
        seconds: from the start of the wait.
        octets: what came before the end.
    """

    how: str
    seconds: float
    octets: bytes

    @property
    def closed(self) -> bool:
        return self.how != "open"


@dataclass(slots=True)
class Answer:
    """One final response.

    Attributes:
        status: 0 where there was none, -1 where octets came that are no response.
        delimited: what ended it: "length", "chunked", "close" or "none" (no content).
        whole: whether it came to the end that it announced.
        interim: the statuses of the 1xx responses before it.
        seconds: from the wait for it to its last octet.
    """

    status: int = 0
    version: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    delimited: str = "none"
    whole: bool = False
    interim: tuple[int, ...] = ()
    seconds: float = 0.0

    def field(self, name: str) -> str:
        """All lines of one name, joined as a list; "" where there is none."""
        return ", ".join(value for each, value in self.fields if each == name)

    @property
    def options(self) -> set[str]:
        """The options of its Connection field, in lower case."""
        return {option.strip().lower() for option in self.field("connection").split(",")}

    @property
    def says_close(self) -> bool:
        return "close" in self.options


class Conversation:
    """A connection to a port of loopback, over which anything may be said."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.end = ""

    def send(self, octets: bytes) -> bool:
        """Whether the kernel took all of it."""
        try:
            self.socket.sendall(octets)
        except OSError:
            return False
        return True

    def receive(self, deadline: float) -> bool:
        """Wait for more octets; False at the deadline or at the end, which is then in `end`."""
        if self.end:
            return False
        if not self._readable(deadline - time.monotonic()):
            return False
        try:
            octets = self.socket.recv(262144)
        except OSError:
            self.end = "RST"
            return False
        if not octets:
            self.end = "FIN"
        self.buffer += octets
        return bool(octets)

    def wait(self, seconds: float) -> bool:
        """Let time pass; True at once when the peer said something or ended."""
        return bool(self.buffer or self.end) or self._readable(seconds)

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()  # not select(), which knows descriptors below 1024 only
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds * 1000)))

    def take(self, count: int) -> bytes:
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def answer(self, method: str = "GET", seconds: float = PATIENCE_SECONDS) -> Answer:
        """Read one final response and the interim ones before it."""
        started = time.monotonic()
        deadline = started + seconds
        interim: list[int] = []
        while True:
            head = self._head(deadline)
            if head is None:
                return Answer(interim=tuple(interim), status=-1 if self._garbled() else 0)
            if not 100 <= head.status < 200:
                break
            interim.append(head.status)
        head.interim = tuple(interim)
        self._content(head, method, deadline)
        head.seconds = time.monotonic() - started
        return head

    def asked_to_continue(self, seconds: float) -> bool:
        """Wait for a head; whether it was a 100. That is then read; a final one is left where it is."""
        deadline = time.monotonic() + seconds
        while b"\r\n\r\n" not in self.buffer and self.receive(deadline):
            pass
        if not self.buffer.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100")):
            return False
        self._head(deadline)
        return True

    def _garbled(self) -> bool:
        return bool(self.buffer) and not b"HTTP/1.".startswith(self.buffer[:7])

    def _head(self, deadline: float) -> Answer | None:
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if self._garbled() and not self.buffer.startswith(b"HTTP/1."):
                return None
            if not self.receive(deadline):
                return None
        start, *lines = self.take(end + 4)[:-4].decode("latin-1").split("\r\n")
        version, _, rest = start.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            self.buffer[:0] = start.encode("latin-1")
            return None
        parted = (line.partition(":") for line in lines)
        fields = tuple((name.lower(), value.strip()) for name, _, value in parted)
        return Answer(int(rest[:3]), version, fields)

    def _content(self, answer: Answer, method: str, deadline: float) -> None:
        if method == "HEAD" or answer.status in (204, 304):
            answer.whole = True
        elif "chunked" in answer.field("transfer-encoding").lower():
            answer.delimited = "chunked"
            self._chunks(answer, deadline)
        elif length := answer.field("content-length"):
            answer.delimited = "length"
            wanted = int(length.partition(",")[0])
            while len(self.buffer) < wanted and self.receive(deadline):
                pass
            answer.content = self.take(wanted)
            answer.whole = len(answer.content) == wanted
        else:
            answer.delimited = "close"
            while self.receive(deadline):
                pass
            answer.content = self.take(len(self.buffer))
            answer.whole = self.end == "FIN"

    def _chunks(self, answer: Answer, deadline: float) -> None:
        while (line := self._line(deadline)) is not None:
            size = int(line.partition(b";")[0] or b"0", 16)
            if not size:
                while line:  # the trailer section, to its empty line
                    line = self._line(deadline)
                answer.whole = line is not None
                return
            while len(self.buffer) < size + 2 and self.receive(deadline):
                pass
            answer.content += self.take(size + 2)[:size]

    def _line(self, deadline: float) -> bytes | None:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if not self.receive(deadline):
                return None
        return self.take(end + 2)[:-2]

    def ending(self, seconds: float) -> Ending:
        """Read until the peer ends it, or for so long."""
        started = time.monotonic()
        while self.receive(started + seconds):
            pass
        return Ending(self.end or "open", time.monotonic() - started, self.take(len(self.buffer)))

    def finish_sending(self) -> None:
        """Close our side only."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def segments_received(self) -> int:
        """TCP segments with data that came so far: on loopback, the writes of the peer (Linux)."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        count: int = struct.unpack_from("=I", info, 152)[0]
        return count

    def close(self) -> None:
        self.socket.close()


@contextlib.contextmanager
def conversation(port: int, receive_buffer: int | None = None) -> Iterator[Conversation]:
    """A connection for the length of a `with`."""
    opened = Conversation(port, receive_buffer)
    try:
        yield opened
    finally:
        opened.close()


def left_open_by_server(port: int, client_port: int) -> bool:
    """Whether a process still holds the server's end of a connection (Linux).

    A client that reads nothing cannot see a FIN behind octets it has not taken; the kernel's table can.
    """
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and words[2].endswith(f":{client_port:04X}"):
                return words[9] != "0"
    return False
