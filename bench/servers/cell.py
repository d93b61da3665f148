"""The words that cells share, and what is said to bring them about."""

from __future__ import annotations

from typing import Final

from bench.servers.raw import Answer, Conversation
from bench.servers.row import Probe
from bench.servers.subjects import Running

NEXT: Final = b"GET /number/7 HTTP/1.1\r\nHost: a\r\n\r\n"
"""The request that shows whether a connection is still good."""


def request(
    path: str,
    *lines: str,
    method: str = "GET",
    version: str = "1.1",
    host: str | None = "a",
    content: bytes = b"",
) -> bytes:
    """A request as octets; nothing is added to it but its Host line."""
    named = [] if host is None else [f"Host: {host}"]
    head = "\r\n".join([f"{method} {path} HTTP/{version}", *named, *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + content


def post(path: str, content: bytes, *lines: str, version: str = "1.1") -> bytes:
    """A POST with the length of its content."""
    length = f"Content-Length: {len(content)}"
    return request(path, length, *lines, method="POST", version=version, content=content)


def is_seven(answer: Answer) -> bool:
    return answer.status == 200 and answer.content == b"7"


def status_of(answer: Answer) -> str:
    return {0: "no answer", -1: "octets that are no response"}.get(answer.status, str(answer.status))


def close_of(talk: Conversation, said: bool, seconds: float = 0.8) -> str:
    """What the server does to the connection by itself: "closes", "closes unannounced", "stays open"."""
    ending = talk.ending(seconds)
    if not ending.closed:
        return "says close, stays open" if said else "stays open"
    words = "closes" if said else "closes unannounced"
    return words if ending.how == "FIN" else f"{words} by RST"


def fate(talk: Conversation, answer: Answer) -> str:
    """The status, and what became of the connection: "400, closes"."""
    return f"{status_of(answer)}, {close_of(talk, answer.says_close)}"


def follow(talk: Conversation, answer: Answer) -> str:
    """What becomes of a next request: "persists", "closes", "closes unannounced", "out of step"."""
    if answer.says_close:
        return close_of(talk, said=True)
    talk.send(NEXT)
    after = talk.answer(seconds=2.0)
    if is_seven(after):
        return "persists"
    if talk.end and not after.status:
        return close_of(talk, said=False)
    return "hangs" if not after.status else f"out of step ({status_of(after)})"


def listed(words: list[str]) -> str:
    return ", ".join(words)


def steadily(probe: Probe, times: int = 3) -> Probe:
    """Ask several times where a race may decide, and tell all answers."""

    def ask(server: Running) -> str:
        return " or ".join(sorted({probe(server) for _ in range(times)}))

    return ask
