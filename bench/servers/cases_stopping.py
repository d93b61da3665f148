"""What becomes of connections when the server is told to stop, each time one of its own. RFC 9112 §9.6."""

from __future__ import annotations

import time
from typing import Final

from bench.servers.cell import NEXT, close_of, is_seven, request, status_of
from bench.servers.raw import conversation
from bench.servers.row import Row, group
from bench.servers.subjects import Running

END_SECONDS: Final = 12.0


def under_way(server: Running) -> str:
    """SIGTERM while a handler works."""
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        talk.send(request("/sleep/1.2"))
        talk.wait(0.4)
        server.terminate()
        answer = talk.answer(seconds=4.0)
        if not answer.whole:
            return f"{status_of(answer)}, cut off" if not answer.status else f"{answer.status}, incomplete"
        return f"{answer.status}, {close_of(talk, answer.says_close, seconds=4.0)}"


def stop_idle(server: Running) -> str:
    """SIGTERM while a client is idle, which asks once more 0.3 s later."""
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        server.terminate()
        talk.wait(0.3)
        talk.send(NEXT)
        answer = talk.answer(seconds=2.0)
        if is_seven(answer):
            said = "says close" if answer.says_close else "unannounced"
            return f"answered, {said}"
        return f"{talk.end or 'hangs'}, not answered"


def stop_ends(server: Running) -> str:
    """The end of the process, with one idle client that says nothing."""
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        started = time.monotonic()
        server.terminate()
        if not server.wait_end(END_SECONDS):
            return f"not within {END_SECONDS:.0f} s"
        seconds = time.monotonic() - started
        ending = talk.ending(0.5)
        return f"{seconds:.1f} s, status {server.process.returncode}, {ending.how}"


IDLE_ASKS: Final = "idle connection, request 0.3 s later"
ROWS: Final = group(
    "SIGTERM",
    Row("stop-under-way", "exchange under way", under_way, "9112 §9.6 SHOULD", "200, closes", alone=True),
    Row("stop-idle", IDLE_ASKS, stop_idle, "9112 §9.5", "answered, says close|FIN, not answered", alone=True),
    Row("stop-ends", "process ends, a client being idle", stop_ends, alone=True),
)
