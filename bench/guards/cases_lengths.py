"""Lies about where a response ends."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.guards.cell import each
from bench.guards.row import FRESH, REFUSED, Row, group
from bench.guards.talk import Talk

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n\r\n"
EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
WAITS: Final = rf"{REFUSED}|hangs; {FRESH}"
"""Such a number is allowed; what must not happen is that it wraps around (9112 §6.3, §7.1)."""
REFUSED_OR_ENDED: Final = rf"{REFUSED}|own answer; {FRESH}"


def says(octets: bytes, talk: Talk) -> None:
    """Answer with this, then as one should."""
    talk.request()
    talk.say(octets)
    talk.serve()


def says_and_ends(octets: bytes, talk: Talk) -> None:
    talk.request()
    talk.say(octets)


def lie(name: str, title: str, octets: bytes, wanted: str = REFUSED, source: str = "9112 §6.3") -> Row:
    return Row(name, title, (partial(says, octets),), each, wanted, source if wanted else "")


ROWS = group(
    "Where a response ends",
    lie("lengths", "two lengths, 2 and 46", OK + b"Content-Length: 2\r\nContent-Length: 46\r\n\r\n/1" + EVIL),
    lie("length-list", "`Content-Length: 2, 46`", OK + b"Content-Length: 2, 46\r\n\r\n/1" + EVIL),
    lie("length-same", "`Content-Length: 2, 2`", OK + b"Content-Length: 2, 2\r\n\r\n/1", ""),
    lie("length-plus", "`Content-Length: +2`", OK + b"Content-Length: +2\r\n\r\n/1"),
    lie("length-minus", "`Content-Length: -2`", OK + b"Content-Length: -2\r\n\r\n/1"),
    lie("length-hex", "`Content-Length: 0x2`", OK + b"Content-Length: 0x2\r\n\r\n/1"),
    lie("length-word", "`Content-Length: two`", OK + b"Content-Length: two\r\n\r\n/1"),
    lie(
        "length-huge",
        "Content-Length of 30 digits",
        OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n/1",
        WAITS,
    ),
    lie(
        "length-chunked",
        "Content-Length and chunked",
        OK + b"Content-Length: 46\r\n" + CHUNKED + b"2\r\n/1\r\n0\r\n\r\n",
        REFUSED_OR_ENDED + "|own answer; own answer, reused",
    ),
    lie("chunk-hex", "chunk size `0x2`", OK + CHUNKED + b"0x2\r\n/1\r\n0\r\n\r\n", source="9112 §7.1"),
    lie("chunk-minus", "chunk size `-2`", OK + CHUNKED + b"-2\r\n/1\r\n0\r\n\r\n", source="9112 §7.1"),
    lie("chunk-word", "chunk size `two`", OK + CHUNKED + b"two\r\n/1\r\n0\r\n\r\n", source="9112 §7.1"),
    lie(
        "chunk-huge",
        "chunk size of 17 digits",
        OK + CHUNKED + b"1" + b"0" * 15 + b"2\r\n/1\r\n0\r\n\r\n",
        WAITS,
        source="9112 §7.1",
    ),
    lie(
        "chunk-long",
        "chunk longer than its size",
        OK + CHUNKED + b"2\r\n/1evil\r\n0\r\n\r\n",
        source="9112 §7.1",
    ),
    lie(
        "chunked-10",
        "chunked from HTTP/1.0, with keep-alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED + b"2\r\n/1\r\n0\r\n\r\n",
        rf"(own answer|200 with \d+ octets|hangs|error \(\w+\)); {FRESH}",
        "9112 §6.1",
    ),
    Row(
        "coding",
        "`Transfer-Encoding: xchunked`, then the close",
        (partial(says_and_ends, OK + b"Transfer-Encoding: xchunked\r\n\r\n/1"),),
        each,
        REFUSED_OR_ENDED,
        "9112 §6.3",
    ),
    lie("no-version", "`ICY 200 OK`", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\n/1", source="9112 §4"),
    lie("version-2", "`HTTP/2.0 200 OK`", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n/1", ""),
    lie("status-99", "status 99", b"HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\n/1", source="9112 §4"),
    lie("status-2000", "status 2000", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n/1", ""),
    lie("no-colon", "a field line without a colon", OK + b"rubbish\r\nContent-Length: 2\r\n\r\n/1", ""),
    lie("nul", "NUL in a field value", OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\n/1", ""),
    lie(
        "bare-cr",
        "a bare CR in a field value that hides a length",
        OK + b"X: a\rContent-Length: 46\r\nContent-Length: 2\r\n\r\n/1",
        r"(error \(\w+\)|own answer); own answer, (fresh|reused)",
        "9112 §2.2",
    ),
)
