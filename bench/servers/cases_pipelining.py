"""Order among requests, and how responses are written. RFC 9112 §9.3.2."""

from __future__ import annotations

from typing import Final

from bench.servers.cell import NEXT, is_seven, request
from bench.servers.raw import Answer, conversation
from bench.servers.row import Row, group
from bench.servers.subjects import Running


def one_write(server: Running) -> str:
    """The segments of one small response."""
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        before = talk.segments_received()
        talk.send(request("/hello"))
        talk.answer()
        return str(talk.segments_received() - before)


def pipeline(server: Running) -> str:
    """Ten at once, in one segment; each answer carries its number."""
    with conversation(server.port) as talk:
        talk.send(request("/hello"))
        talk.answer()
        before = talk.segments_received()
        talk.send(b"".join(request(f"/number/{number}") for number in range(10)))
        answers = [talk.answer() for _ in range(10)]
        segments = talk.segments_received() - before
    return f"{order_of(answers)}, {segments} segment{'' if segments == 1 else 's'}"


def order_of(answers: list[Answer]) -> str:
    numbers = [int(answer.content) for answer in answers if answer.content.isdigit()]
    if numbers == list(range(10)):
        return "in order"
    return "out of order" if len(numbers) == 10 else f"{len(numbers)} of 10 answered"


def pipeline_behind_slow(server: Running) -> str:
    """A quick one behind a slow one waits for its turn."""
    with conversation(server.port) as talk:
        talk.send(request("/sleep/0.4") + NEXT)
        first, second = talk.answer(), talk.answer()
        if first.content == b"Hello, world" and is_seven(second):
            return "in order"
        return "out of order" if first.status and second.status else "not answered"


def slow_handler(server: Running) -> str:
    with conversation(server.port) as slow, conversation(server.port) as quick:
        slow.send(request("/sleep/1.5"))
        quick.send(request("/hello"))
        answer = quick.answer()
        slow.answer()
    return "no" if answer.status == 200 and answer.seconds < 0.7 else f"yes, {answer.seconds:.1f} s"


ROWS: Final = group(
    "Order, and writes",
    Row("one-write", "TCP segments of a small response", one_write),
    Row("pipeline", "ten requests in one segment", pipeline, "9112 §9.3.2 MUST", "in order, .*"),
    Row("pipeline-slow", "quick one behind a slow one", pipeline_behind_slow, "9112 §9.3.2 MUST", "in order"),
    Row("slow-handler", "a slow handler holds back other connections", slow_handler),
)
