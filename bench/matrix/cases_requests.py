"""Requests that two parsers might read in two ways: refused, or passed on in one way only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from bench.matrix.asking import SETTLE_SECONDS, Asking
from bench.matrix.cell import fate, status_of
from bench.matrix.origin import Heard
from bench.matrix.row import REFUSED, REFUSED_LATE, Row, group

CHUNKED: Final = "Transfer-Encoding: chunked"
HELLO: Final = b"5\r\nhello\r\n0\r\n\r\n"
PASSED_ON: Final = {
    "fold": r"\r\n[ \t]",
    "CR": r"\r(?!\n)",
    "NUL": "\0",
    "line": r"\r\n(:|X-None(\r\n|$))",
}
"""What must not cross as it is."""
Octets = Callable[[Asking], bytes]


def put(octets: Octets) -> Callable[[Asking], str]:
    """How a request is answered, what becomes of its connection, and what the origin heard of it."""

    def probe(asking: Asking) -> str:
        with asking.talk() as talk:
            talk.send(octets(asking))
            words = fate(talk, talk.answer(seconds=3.0))
        time.sleep(SETTLE_SECONDS)
        heard = asking.heard()
        return f"{words}; origin: {seen(heard)}" if heard else words

    return probe


def seen(heard: list[Heard]) -> str:
    """How content reached the origin."""
    first = heard[0]
    badly = [word for word, pattern in PASSED_ON.items() if re.search(pattern, first.head)]
    if badly:
        return f"{badly[0]} passed on"
    coding, lengths = first.field("transfer-encoding"), first.lines("content-length")
    if coding and lengths:
        framing = "both fields"
    elif coding:
        framing = "chunked" if coding.lower() == "chunked" else f"coding {coding}"
    elif lengths:
        framing = "one length" if len(lengths) == 1 and lengths[0].isdigit() else "several lengths"
    else:
        return "no content"
    return framing if first.content == b"hello" and first.whole else f"{framing}, wrong content"


def posting(*lines: str, content: bytes = b"hello", version: str = "1.1") -> Callable[[Asking], str]:
    """A POST with these lines."""
    return put(lambda asking: asking.request(1, *lines, method="POST", content=content, version=version))


def getting(*lines: str, host: str | None = None, version: str = "1.1") -> Callable[[Asking], str]:
    """A GET with these lines."""
    return put(lambda asking: asking.request(1, *lines, host=host, version=version))


def chunked(content: bytes) -> Callable[[Asking], str]:
    """A POST in chunks that are spelled so."""
    return posting(CHUNKED, content=content)


def bare_line_ends(asking: Asking) -> bytes:
    return asking.request(1).replace(b"\r\n", b"\n")


def smuggled(asking: Asking) -> str:
    """GET with content that looks like a request: it is content, never a request."""
    inner = asking.request("smuggled")
    with asking.talk() as talk:
        talk.send(asking.post(inner, method="GET"))
        words = status_of(talk.answer())
        time.sleep(SETTLE_SECONDS)
    return f"{words}, {'became a request' if asking.heard('smuggled') else 'stayed content'}"


CLEAN: Final = r"200(, says close)?, (closes|stays open); origin: (chunked|one length)"
MENDED: Final = rf"{REFUSED}|200(, says close)?, (stays open|closes); origin: no content"
ROWS: Final = group(
    "Requests that can be read in two ways",
    Row(
        "cl-te",
        "`Content-Length` and chunked",
        posting("Content-Length: 3", CHUNKED, content=HELLO),
        rf"{REFUSED}|200(, says close)?, closes; origin: (chunked|one length)",
        "9112 §6.1 MUST close",
    ),
    Row(
        "cl-cl",
        "two equal lengths",
        posting("Content-Length: 5", "Content-Length: 5"),
        rf"{REFUSED}|{CLEAN}",
        "9110 §8.6 MUST",
    ),
    Row(
        "cl-list",
        "`Content-Length: 5, 5`",
        posting("Content-Length: 5, 5"),
        rf"{REFUSED}|{CLEAN}",
        "9110 §8.6 MUST",
    ),
    Row(
        "cl-differ",
        "two different lengths",
        posting("Content-Length: 5", "Content-Length: 3"),
        REFUSED,
        "9112 §6.3 MUST",
    ),
    Row("cl-plus", "`Content-Length: +5`", posting("Content-Length: +5"), REFUSED, "9112 §6.3 MUST"),
    Row("cl-hex", "`Content-Length: 0x5`", posting("Content-Length: 0x5"), REFUSED, "9112 §6.3 MUST"),
    Row("cl-empty", "empty `Content-Length`", posting("Content-Length:"), REFUSED, "9112 §6.3 MUST"),
    Row(
        "te-list",
        "`chunked, gzip`",
        posting("Transfer-Encoding: chunked, gzip", content=HELLO),
        REFUSED,
        "9112 §6.3 MUST",
    ),
    Row(
        "te-unknown",
        "`xchunked`",
        posting("Transfer-Encoding: xchunked", content=HELLO),
        REFUSED,
        "9112 §6.1, §6.3 MUST",
    ),
    Row(
        "te-twice",
        "`chunked, chunked`",
        posting("Transfer-Encoding: chunked, chunked", content=HELLO),
        REFUSED,
        "9112 §7.1 MUST NOT",
    ),
    Row(
        "te-vtab",
        "vertical tab before `chunked`",
        posting("Transfer-Encoding: \x0bchunked", content=HELLO),
        REFUSED,
        "9110 §5.5",
    ),
    Row(
        "te-space",
        "`Transfer-Encoding : chunked`",
        posting("Transfer-Encoding : chunked", content=HELLO),
        REFUSED,
        "9112 §5.1 MUST",
    ),
    Row(
        "te-old",
        "chunked in HTTP/1.0",
        posting(CHUNKED, content=HELLO, version="1.0"),
        rf"{REFUSED}|200(, says close)?, closes; origin: (chunked|one length)",
        "9112 §6.1 MUST close",
    ),
    Row(
        "folded",
        "a folded field line",
        getting("X-Folded: a", " b"),
        MENDED,
        "9112 §5.2 MUST",
    ),
    Row(
        "chunk-lf", "bare LF after a chunk size", chunked(b"5\nhello\r\n0\r\n\r\n"), REFUSED_LATE, "9112 §7.1"
    ),
    Row(
        "chunk-ext-lf",
        "bare LF in a chunk extension",
        chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        REFUSED_LATE,
        "9112 §7.1.1",
    ),
    Row("chunk-plus", "chunk size `+5`", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), REFUSED_LATE, "9112 §7.1"),
    Row("chunk-hex", "chunk size `0x5`", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), REFUSED_LATE, "9112 §7.1"),
    Row(
        "chunk-huge",
        "chunk size beyond 64 bits",
        chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        REFUSED_LATE,
        "9112 §7.1 MUST",
    ),
    Row(
        "chunk-long",
        "chunk longer than its size",
        chunked(b"3\r\nhello\r\n0\r\n\r\n"),
        REFUSED_LATE,
        "9112 §7.1",
    ),
    Row(
        "head-lf",
        "bare LF throughout the head",
        put(bare_line_ends),
        MENDED,
        "9112 §2.2 MAY",
    ),
    Row(
        "head-cr",
        "bare CR in a field line",
        getting("X-Bare: a\rb"),
        MENDED,
        "9112 §2.2 MUST",
    ),
    Row(
        "head-nul",
        "NUL in a field value",
        getting("X-Nul: a\0b"),
        MENDED,
        "9110 §5.5 MUST",
    ),
    Row("head-name", "a field without a name", getting(": a"), MENDED, "9112 §5"),
    Row("head-colon", "a line without a colon", getting("X-None"), MENDED, "9112 §5"),
    Row("host-none", "no `Host`", getting(host=""), "400, .*", "9112 §3.2 MUST 400"),
    Row("host-two", "two `Host`s", getting("Host: other.example"), "400, .*", "9112 §3.2 MUST 400"),
    Row("version-10", "`HTTP/1.10`", getting(version="1.10"), "(400|505), .*", "9112 §2.3"),
    Row(
        "fragment",
        "a fragment in the target",
        put(lambda asking: asking.request(target=f"{asking.target()}#a")),
        "400, .*",
        "9112 §3.2 SHOULD 400",
    ),
    Row(
        "get-content",
        "GET whose content looks like a request",
        smuggled,
        "(200|400|411), stayed content",
        "9112 §6",
    ),
)
