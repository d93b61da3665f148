"""The origin behind a proxy: says any octets, ends in any way, and keeps what it heard.

It reads requests leniently and by its own means: a judge that shared perdure's parser would share its
mistakes.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

PATIENCE_SECONDS: Final = 10.0
READY: Final = "/ready"
"""Asked until the proxy forwards; answered with a close, so that nothing is left of it."""
LENGTH: Final = re.compile(r"^[0-9]{1,9}$")


@dataclass
class Heard:
    """One request as it arrived.

    Attributes:
        connection: its number; a connection is counted when its first request arrives.
        place: which request of its connection it was, from 0.
        head: start line and field lines, without the empty line.
        content: as far as it was read.
        whole: whether its content came to its end.
        trailers: the lines behind the last chunk.
    """

    connection: int
    place: int
    head: str
    content: bytes = b""
    whole: bool = False
    trailers: str = ""

    @property
    def method(self) -> str:
        return self.head.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """As it stands in the request line."""
        return self.head.split("\r\n", 1)[0].partition(" ")[2].rpartition(" ")[0]

    @property
    def path(self) -> str:
        """The target without scheme and authority."""
        return re.sub(r"^https?://[^/]*", "", self.target) or "/"

    def lines(self, name: str) -> list[str]:
        """The values of all lines of one name."""
        parted = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return [value.strip() for each, _, value in parted if each.strip().lower() == name.lower()]

    def field(self, name: str) -> str:
        """Joined as a list; "" where there is none."""
        return ", ".join(self.lines(name))


class Talk:
    """A connection that was accepted."""

    def __init__(self, connection: socket.socket, origin: Origin) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.origin = origin
        self.number = -1
        self.count = 0
        self.buffer = b""
        self.end = ""

    def receive(self) -> bool:
        """Wait for more octets; False at the end, which is then in `end`."""
        if self.end:
            return False
        try:
            octets = self.socket.recv(262144)
        except TimeoutError:
            self.end = "silence"
            return False
        except OSError:
            self.end = "RST"
            return False
        self.buffer += octets
        self.end = "" if octets else "FIN"
        return bool(octets)

    def head(self) -> Heard | None:
        """Read the head of a request and note it; None where the proxy ended instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.receive():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        heard = Heard(self.number, self.count, head.decode("latin-1"))
        self.count += 1
        self.origin.note(heard, self)
        return heard

    def request(self) -> Heard | None:
        """Read a whole request; None where the proxy ended instead."""
        heard = self.head()
        if heard is not None:
            self.content(heard)
        return heard

    def content(self, heard: Heard) -> None:
        """Read what belongs to a head that was read."""
        length = heard.field("content-length").partition(",")[0]
        if "chunked" in heard.field("transfer-encoding").lower():
            self._chunks(heard)
        elif LENGTH.match(length):
            while len(self.buffer) < int(length) and self.receive():
                pass
            heard.content, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
            heard.whole = len(heard.content) == int(length)
        else:
            heard.whole = True

    def _chunks(self, heard: Heard) -> None:
        while (line := self._line()) is not None:
            try:
                size = int(line.partition(";")[0] or "0", 16)
            except ValueError:
                return
            if not size:
                while (line := self._line()) is not None and line:
                    heard.trailers += f"{line}\r\n"
                heard.whole = line is not None
                return
            while len(self.buffer) < size + 2 and self.receive():
                pass
            heard.content += self.buffer[:size]
            self.buffer = self.buffer[size + 2 :]

    def _line(self) -> str | None:
        while b"\r\n" not in self.buffer:
            if not self.receive():
                return None
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def serve(self, *fields: str) -> None:
        """Answer requests as one should, until the proxy ends."""
        while (heard := self.request()) is not None:
            self.say(answer(heard, *fields))

    def done(self) -> None:
        """What was to happen before the next request has happened."""
        self.origin.done.set()

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def finish(self) -> None:
        """Send a FIN, and hear on."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_end(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Read and drop until the proxy ends."""
        self.socket.settimeout(seconds)
        while self.receive():
            self.buffer = self.buffer[-64:]


Script = Callable[[Talk], None]


class Origin:
    """What listens behind a proxy, and what it has heard.

    Attributes:
        port: of 127.0.0.1.
        heard: every request in the order of arrival, on whatever connection.
        done: set by a script that has done what it is about.
    """

    def __init__(self, listening: socket.socket, scripts: Sequence[Script]) -> None:
        self.port: int = listening.getsockname()[1]
        self.heard: list[Heard] = []
        self.connections = 0
        self.done = threading.Event()
        self._scripts = scripts
        self._listening = listening
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []

    def note(self, heard: Heard, talk: Talk) -> None:
        """A connection counts from its first request on."""
        if heard.path == READY:
            return
        with self._lock:
            heard.connection = talk.number
            self.heard.append(heard)

    def of(self, path: str) -> list[Heard]:
        """The requests for one path, in the order of arrival; a query counts with the path."""
        return [heard for heard in self.heard if heard.path == path]

    def wait_done(self) -> bool:
        """Wait until a script is done; whether it is."""
        return self.done.wait(PATIENCE_SECONDS)

    def accept(self) -> None:
        """Accept until the listening socket is shut."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        talk = Talk(connection, self)
        with connection, contextlib.suppress(OSError):
            script = self._script_for(talk)
            if script is not None:
                script(talk)

    def _script_for(self, talk: Talk) -> Script | None:
        """By the number of the connection, once it has said something of its own."""
        while b"\r\n" not in talk.buffer:
            if not talk.receive():
                return None
        if READY.encode() in talk.buffer.split(b"\r\n", 1)[0]:
            if talk.request() is not None:
                talk.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return None
        with self._lock:
            talk.number = self.connections
            self.connections += 1
        return self._scripts[talk.number] if talk.number < len(self._scripts) else Talk.serve

    def close(self) -> None:
        """Stop listening, and end every connection."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serving(scripts: Sequence[Script] = ()) -> Iterator[Origin]:
    """Listen on any free port of loopback for the length of a `with`.

    Args:
        scripts: what the first connections do; all others answer as one should.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        origin = Origin(listening, scripts)
        accepting = threading.Thread(target=origin.accept, daemon=True)
        accepting.start()
        try:
            yield origin
        finally:
            origin.close()
            accepting.join(PATIENCE_SECONDS)


def answer(heard: Heard, *fields: str, version: str = "1.1", status: str = "200 OK") -> bytes:
    """The response that belongs to a request: its content is the path."""
    content = heard.path.encode("latin-1")
    lines = [f"HTTP/{version} {status}", *fields, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if heard.method == "HEAD" else content)


def plain(content: bytes, *fields: str, version: str = "1.1", status: str = "200 OK") -> bytes:
    """Any head, and any octets behind it: no length is said unless a field says it."""
    return "\r\n".join([f"HTTP/{version} {status}", *fields, "", ""]).encode("latin-1") + content
