"""A listener whose connections play scripts: the first one the first script, and so on; then all behave."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

from bench.guards.talk import PATIENCE_SECONDS, Notes, Talk

Script = Callable[[Talk], None]


class Server:
    """What it noted.

    Attributes:
        url: where it listens.
        notes: of each connection, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.notes: list[Notes] = []

    def wait_done(self, number: int = 0) -> None:
        """Wait until a connection's script has done what it is about."""
        if number < len(self.notes):
            self.notes[number].done.wait(PATIENCE_SECONDS)

    def arrivals(self, request: str) -> list[int]:
        """The numbers of the connections on which a request arrived, as often as it did."""
        return [number for number, notes in enumerate(self.notes) for one in notes.requests if one == request]

    def first_on(self, request: str, number: int) -> bool:
        """Whether a request was the first on its connection."""
        return self.notes[number].requests[0] == request


@contextlib.contextmanager
def serving(scripts: Sequence[Script]) -> Iterator[Server]:
    """Listen on any free port of loopback for the length of a `with`."""
    threads: list[threading.Thread] = []
    open_ones: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        server = Server(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                notes = Notes()
                number = len(server.notes)
                server.notes.append(notes)
                open_ones.append(connection)
                script = scripts[number] if number < len(scripts) else Talk.serve
                threads.append(
                    threading.Thread(target=play, args=(script, Talk(connection, notes)), daemon=True)
                )
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE_SECONDS)
            for connection in open_ones:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(PATIENCE_SECONDS)


def play(script: Script, talk: Talk) -> None:
    """Play one script; a client that is gone ends it."""
    with talk.socket, contextlib.suppress(OSError):
        script(talk)
    talk.done()
