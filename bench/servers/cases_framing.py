"""Messages whose end, or whose fields, can be read in two ways. RFC 9112 §2.2, §3.2, §5, §6, §7.1."""

from __future__ import annotations

from typing import Final

from bench.servers.cell import NEXT, fate, follow, is_seven, request, status_of
from bench.servers.raw import conversation
from bench.servers.row import REFUSED, REFUSED_OR_CLOSED, Probe, Row, group
from bench.servers.subjects import Running

ENDLESS_OCTETS: Final = 4 << 20
PIECE: Final = 8192


def says(octets: bytes) -> Probe:
    """Say it, and tell the status and what becomes of the connection."""

    def ask(server: Running) -> str:
        with conversation(server.port) as talk:
            talk.send(octets)
            answer = talk.answer(seconds=1.5)
            if answer.status == 200:
                return f"200, {follow(talk, answer)}"
            return fate(talk, answer)

    return ask


def chunked(body: bytes, *lines: str, version: str = "1.1") -> bytes:
    named = ("Transfer-Encoding: chunked", *lines)
    return request("/echo", *named, method="POST", version=version, content=body)


def with_length(*lines: str) -> bytes:
    return request("/echo", *lines, method="POST", content=b"hello")


def coded(codings: str, content: bytes = b"") -> bytes:
    return request("/echo", f"Transfer-Encoding: {codings}", method="POST", content=content)


def length(line: str) -> Probe:
    return says(with_length(line))


def chunks(body: bytes) -> Probe:
    return says(chunked(body))


HELLO_CHUNK: Final = b"5\r\nhello\r\n0\r\n\r\n"


def folded_coding(server: Running) -> str:
    """A folded Transfer-Encoding: refused, or read as what it says, but never overlooked."""
    with conversation(server.port) as talk:
        talk.send(request("/echo", "Transfer-Encoding:\r\n chunked", method="POST", content=HELLO_CHUNK))
        answer = talk.answer(seconds=1.5)
        if answer.status != 200:
            return fate(talk, answer)
        return f"{'read as chunked' if answer.content == b'hello' else 'overlooked'}, {follow(talk, answer)}"


def leading_empty_line(server: Running) -> str:
    """What old clients append to a POST."""
    with conversation(server.port) as talk:
        talk.send(b"\r\n" + NEXT)
        first = talk.answer(seconds=1.5)
        talk.send(b"\r\n" + NEXT)
        second = talk.answer(seconds=1.5)
        if is_seven(first) and is_seven(second):
            return "ignored"
        return status_of(second if is_seven(first) else first)


def endless_head(server: Running) -> str:
    """One field line without an end, until the server has enough."""
    with conversation(server.port) as talk:
        talk.send(b"GET /hello HTTP/1.1\r\nHost: a\r\nX: ")
        for sent in range(0, ENDLESS_OCTETS, PIECE):
            if talk.wait(0.02 if sent < 1 << 20 else 0.0) or not talk.send(b"x" * PIECE):
                return f"{sent_within(sent)}: {fate(talk, talk.answer(seconds=1.5))}"
        if talk.wait(0.5):
            return f"{sent_within(ENDLESS_OCTETS)}: {fate(talk, talk.answer(seconds=1.5))}"
    return f"not within {sent_within(ENDLESS_OCTETS)}"


def sent_within(octets: int) -> str:
    """The next power of two, so that the kernel's buffers do not make the cell waver."""
    bound = PIECE
    while bound < octets:
        bound *= 2
    return f"{bound >> 10} KiB" if bound < 1 << 20 else f"{bound >> 20} MiB"


LONG: Final = "x" * 100_000
LF_SIZE: Final = b"5\nhello\r\n0\r\n\r\n"
LONG_CHUNK: Final = b"5\r\nhelloXX0\r\n\r\n"
LF_EXTENSION: Final = b"5;a\nb\r\nhello\r\n0\r\n\r\n"
TWO_FRAMINGS: Final = chunked(HELLO_CHUNK, "Content-Length: 5")
EQUAL: Final = with_length("Content-Length: 5", "Content-Length: 5")
DIFFERENT: Final = with_length("Content-Length: 5", "Content-Length: 6")
UNKNOWN: Final = coded("strange, chunked", HELLO_CHUNK)
IN_10: Final = chunked(HELLO_CHUNK, "Connection: keep-alive", version="1.0")
WRONG_VERSION: Final = b"GET /hello HTTP/1.10\r\nHost: a\r\n\r\n"
NOT_HTTP: Final = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n"
LONG_FIELD: Final = request("/", "X: " + LONG)
MANY_FIELDS: Final = request("/hello", *(f"X-{number}: x" for number in range(1000)))

ANY: Final = rf"{REFUSED_OR_CLOSED}|200, persists"
FOLD_READ: Final = rf"{REFUSED}|read as chunked, .*"
HOST: Final = r"400, .*"
VERSION: Final = r"(400|505), closes.*"
TARGET: Final = r"(414|200), (closes.*|persists)"
TOO_MUCH: Final = r"(4\d\d|200), (closes.*|persists)"
# Left to the application, which is told that the client has gone, and then answers nothing.
CHUNKS: Final = rf"{REFUSED}|(500|no answer), closes unannounced( by RST)?"

ROWS: Final = (
    *group(
        "Messages that can be read in two ways",
        Row(
            "cl-te",
            "`Content-Length` and chunked",
            says(TWO_FRAMINGS),
            "9112 §6.1 MUST close",
            REFUSED_OR_CLOSED,
        ),
        Row("equal-lengths", "two equal lengths", says(EQUAL), "9112 §6.3 MAY", ANY),
        Row("different-lengths", "two different lengths", says(DIFFERENT), "9112 §6.3 MUST", REFUSED),
        Row("signed-length", "`Content-Length: +5`", length("Content-Length: +5"), "9112 §6.3 MUST", REFUSED),
        Row("space-colon", "space before the colon", length("Content-Length : 5"), "9112 §5.1 MUST", REFUSED),
        Row("coding-order", "`chunked, gzip`", says(coded("chunked, gzip")), "9112 §6.3 MUST", REFUSED),
        Row("coding-unknown", "`strange, chunked`", says(UNKNOWN), "9112 §6.1 SHOULD 501", REFUSED),
        Row("coding10", "chunked in HTTP/1.0", says(IN_10), "9112 §6.1 MUST close", REFUSED_OR_CLOSED),
        Row("folded", "folded `Transfer-Encoding`", folded_coding, "9112 §5.2 MUST", FOLD_READ),
        Row("bare-lf", "bare LF in a head", says(b"GET /hello HTTP/1.1\nHost: a\n\n"), "9112 §2.2 MAY", ANY),
        Row(
            "bare-lf-size",
            "bare LF after a chunk size",
            chunks(LF_SIZE),
            "9112 §7.1",
            CHUNKS,
        ),
        Row("bare-lf-extension", "bare LF in an extension", chunks(LF_EXTENSION), "9112 §7.1.1", CHUNKS),
        Row("chunk-end", "chunk longer than its size", chunks(LONG_CHUNK), "9112 §7.1", CHUNKS),
        Row("no-host", "no `Host`", says(request("/hello", host=None)), "9112 §3.2 MUST 400", HOST),
        Row("two-hosts", "two `Host`s", says(request("/hello", "Host: b")), "9112 §3.2 MUST 400", HOST),
        Row("version", "`HTTP/1.10`", says(WRONG_VERSION), "9112 §2.3", VERSION),
        Row("not-http", "octets that are not HTTP", says(NOT_HTTP), "9112 §2.2 SHOULD", REFUSED),
        Row("empty-line", "empty line before a request", leading_empty_line, "9112 §2.2 SHOULD", "ignored"),
    ),
    *group(
        "Heads without measure",
        Row("long-target", "target of 100 kB", says(request("/" + LONG)), "9112 §3 MUST 414", TARGET),
        Row(
            "long-field",
            "field line of 100 kB",
            says(LONG_FIELD),
            "9110 §5.4 MUST 4xx",
            TOO_MUCH,
        ),
        Row("many-fields", "a thousand fields", says(MANY_FIELDS), "9110 §5.4 MUST 4xx", TOO_MUCH),
        Row("endless-head", "a head without end is refused", endless_head),
    ),
)
