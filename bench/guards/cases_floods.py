"""Responses without an end: a client must not read them for ever."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.guards.cell import flooded
from bench.guards.row import FRESH, Ask, Row, group
from bench.guards.talk import Talk

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SECTION: Final = "9110 §17.5"
"""Which asks recipients to limit the length of each element, and names no number."""
STOPPED: Final = r"stops it, (error \(\w+\)|hangs); own answer, fresh"


def floods(beginning: bytes, unit: bytes, talk: Talk) -> None:
    """Begin a response, and never end it."""
    talk.request()
    talk.say(beginning)
    talk.flood(unit)


def flood(name: str, title: str, beginning: bytes, unit: bytes) -> Row:
    return Row(name, title, (partial(floods, beginning, unit),), flooded, STOPPED, SECTION)


ROWS = group(
    "Responses without an end",
    flood("interims", "interim responses", b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    flood("continues", "100 (Continue) again and again", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    flood("fields", "field lines", OK, b"X-Field: value\r\n"),
    flood("line", "one field line", OK + b"X-Field: ", b"v" * 1024),
    flood("status-line", "a status line", b"HTTP/1.1 200 ", b"O" * 1024),
    flood("rubbish", "octets without a line end", b"", b"evil" * 256),
    flood("lines", "empty lines", b"", b"\r\n" * 512),
    flood("trailers", "trailer lines", CHUNKED + b"0\r\n", b"X-Field: value\r\n"),
    flood("extensions", "extensions of one chunk", CHUNKED + b"2", b";x=y" * 64),
    flood(
        "extensions-each",
        "extensions of many small chunks",
        CHUNKED,
        b"1;" + b"x" * 1000 + b"\r\nc\r\n",
    ),
    Row(
        "abandoned-flood",
        "content that the caller does not read",
        (partial(floods, OK + b"\r\n", b"c" * 1024),),
        flooded,
        f"stops it, 200 with 0 octets; {FRESH}",
        SECTION,
        (Ask("abandon"), Ask()),
    ),
)
