"""What a response says of its connection: whether another request may follow."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.guards.cell import last
from bench.guards.row import EITHER, FRESH, Ask, Row, group
from bench.guards.talk import Talk, answer


def says(fields: tuple[str, ...], version: str, talk: Talk) -> None:
    """The same fields with every response; the connection stays open."""
    while path := talk.request():
        talk.say(answer(path, *fields, version=version))


def counts_down(talk: Talk) -> None:
    """One more request is promised, and then none."""
    for left in (1, 0):
        talk.say(answer(talk.request(), KEEP, f"Keep-Alive: timeout=60, max={left}"))
    talk.serve()


def said(*fields: str, version: str = "1.1") -> tuple[partial[None]]:
    return (partial(says, fields, version),)


def with_status(octets: bytes, talk: Talk) -> None:
    """A response that is a head alone, then as one should."""
    talk.request()
    talk.say(octets)
    talk.serve()


def has_100_octets(talk: Talk) -> None:
    """Content that nobody will read; the head comes alone."""
    talk.request()
    talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"c" * 100)
    talk.serve()


KEEP: Final = "Connection: keep-alive"
INTERIM: Final = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n"


def interims(talk: Talk) -> None:
    path = talk.request()
    talk.say(INTERIM + answer(path))
    talk.serve()


ROWS = group(
    "What a response says of its connection",
    Row("10", "HTTP/1.0 alone", said(version="1.0"), last, FRESH, "9112 §9.3"),
    Row(
        "10-keep",
        "HTTP/1.0 and `Connection: keep-alive`",
        said(KEEP, version="1.0"),
        last,
        EITHER,
        "9112 §9.3",
    ),
    Row(
        "10-proxy",
        "HTTP/1.0 and `Proxy-Connection: keep-alive`, from no proxy",
        said("Proxy-Connection: keep-alive", version="1.0"),
        last,
        FRESH,
        "9112 §9.3",
    ),
    Row(
        "close",
        "`Connection: x, Close`, but it stays open",
        said("Connection: x, Close"),
        last,
        FRESH,
        "9112 §9.6",
    ),
    Row(
        "close-word",
        "`Connection: something-close`",
        said("Connection: something-close"),
        last,
    ),
    Row(
        "hint-timeout",
        "`Keep-Alive: timeout=1`, 1.6 s idle",
        said(KEEP, "Keep-Alive: timeout=1"),
        last,
        asks=(Ask(), Ask(gap=1.6)),
    ),
    Row(
        "hint-max",
        "`Keep-Alive: max=1`, then `max=0`, but it stays open: third request",
        (counts_down,),
        last,
        asks=(Ask(), Ask(), Ask()),
    ),
    Row("interim", "100 and 103 (with `Connection: close`) first", (interims,), last, EITHER, "9110 §15.2"),
    Row(
        "204-length",
        "204 with `Content-Length: 5` and no content",
        (partial(with_status, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),),
        last,
        f"before it: 204; {EITHER}",
        "9112 §6.3",
    ),
    Row(
        "204-chunked",
        "204 with `Transfer-Encoding: chunked` and no content",
        (partial(with_status, b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),),
        last,
        f"before it: 204; {EITHER}",
        "9112 §6.3",
    ),
    Row(
        "204-content",
        "204 followed by octets that are a response",
        (
            partial(
                with_status,
                b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            ),
        ),
        last,
        f"before it: 204; {EITHER}",
        "9112 §6.3",
    ),
    Row(
        "304-length",
        "304 with `Content-Length: 5` and no content",
        (partial(with_status, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),),
        last,
        f"before it: 304; {EITHER}",
        "9112 §6.3",
    ),
    Row(
        "unasked-101",
        "101 that nobody asked for",
        (
            partial(
                with_status, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
            ),
        ),
        last,
        r"before it: (101|error \(\w+\)|hangs); own answer, fresh",
        "9110 §7.8",
    ),
    Row(
        "abandoned",
        "100 octets of content are not read by the caller",
        (has_100_octets,),
        last,
        asks=(Ask("abandon"), Ask(gap=0.2)),
    ),
)
