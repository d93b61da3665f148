"""How long may a client take? Each waits on a connection of its own, all at once. RFC 9112 §9.5."""

from __future__ import annotations

import time
from typing import Final

from bench.servers.cell import post, request, status_of
from bench.servers.raw import PATIENCE_SECONDS, Conversation, conversation, left_open_by_server
from bench.servers.row import Row, group
from bench.servers.subjects import SHORT, Running

CAP_SECONDS: Final = 8.0
"""How long a server is waited for; the limits are set to 2 s wherever they can be."""
STEP_SECONDS: Final = 0.2


def idle(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        return outcome(talk, time.monotonic())


def silent(server: Running) -> str:
    """Connected, and not a word."""
    with conversation(server.port) as talk:
        return outcome(talk, time.monotonic())


def dripped_head(server: Running) -> str:
    """One octet of a head every fifth of a second, from the start."""
    with conversation(server.port) as talk:
        return drip(talk, b"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100)


def stalled_next_head(server: Running) -> str:
    """An exchange, then the start of another head and nothing more: is the idle limit disarmed for good?"""
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        talk.send(b"GET /hel")
        return outcome(talk, time.monotonic())


def stalled_content(server: Running) -> str:
    with conversation(server.port) as talk:
        talk.send(post("/echo", b"x" * 1000)[:-990])
        return outcome(talk, time.monotonic())


def dripped_content(server: Running) -> str:
    with conversation(server.port) as talk:
        whole = post("/echo", b"x" * 1000)
        talk.send(whole[:-1000])
        return drip(talk, whole[-1000:])


def write_stall(server: Running) -> str:
    """A client that asks for 32 MiB and reads nothing of it."""
    with conversation(server.port, receive_buffer=4096) as talk:
        client_port = talk.socket.getsockname()[1]
        talk.send(request("/big"))
        talk.wait(PATIENCE_SECONDS)  # accepted, and answering
        started = time.monotonic()
        while left_open_by_server(server.port, client_port):
            if time.monotonic() - started > CAP_SECONDS:
                return open_still()
            time.sleep(0.05)
        return f"{time.monotonic() - started:.1f} s"


def drip(talk: Conversation, octets: bytes) -> str:
    """Send octet after octet until the server says something."""
    started = time.monotonic()
    for position in range(len(octets)):
        if time.monotonic() - started > CAP_SECONDS:
            return open_still()
        talk.send(octets[position : position + 1])
        if talk.wait(STEP_SECONDS):
            break
    return outcome(talk, started)


def outcome(talk: Conversation, started: float) -> str:
    """When the server had enough, what it answered, and how it closed."""
    if not talk.wait(max(0.0, started + CAP_SECONDS - time.monotonic())):
        return open_still()
    seconds = time.monotonic() - started
    answer = talk.answer(seconds=2.0)
    ending = talk.ending(2.0)
    words = [f"{seconds:.1f} s", status_of(answer) if answer.status else "no answer", ending.how]
    if answer.status > 0 and not answer.says_close:
        words.append("unannounced")
    return ", ".join(words)


def open_still() -> str:
    return f"open after {CAP_SECONDS:.0f} s"


IDLE_TITLE: Final = "idle after an exchange (2 s; perdure 1 s later)"
ROWS: Final = group(
    "Clients that take their time",
    Row("idle", IDLE_TITLE, idle, "9112 §9.5 SHOULD", r"\d+\.\d s, no answer, FIN", SHORT),
    Row("silent", "silent from the start", silent, profile=SHORT),
    Row("dripped-head", "first head, an octet each 0.2 s", dripped_head, profile=SHORT),
    Row("stalled-next", "second head begun, then nothing", stalled_next_head, profile=SHORT),
    Row("stalled-content", "content begun, then nothing", stalled_content, profile=SHORT),
    Row("dripped-content", "content, an octet each 0.2 s", dripped_content, profile=SHORT),
    Row("write-stall", "response of 32 MiB, nothing taken", write_stall, profile=SHORT),
)
