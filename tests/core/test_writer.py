"""The only place that serialises heads: what it writes, what it replaces, what it refuses."""

from __future__ import annotations

import pytest

from perdure.core import HTTP_10, HTTP_11, Framing, FramingKind, LocalViolation, Reason, make_lines, writer
from perdure.core.framing import CHUNKED, NO_CONTENT, UNTIL_CLOSE, Outgoing
from perdure.core.hopbyhop import NEVER_IN_TRAILERS
from perdure.core.persistence import SAY_CLOSE, SAY_KEEP_ALIVE, SAY_NOTHING, Announcement
from perdure.core.writer import ContentWriter

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.row("R24")
@pytest.mark.parametrize(
    ("status", "phrase", "line"),
    [
        (200, None, b"HTTP/1.1 200 OK\r\n"),
        (200, b"", b"HTTP/1.1 200 \r\n"),
        (299, None, b"HTTP/1.1 299 \r\n"),
        (404, b"Nothing \xe9 here", b"HTTP/1.1 404 Nothing \xe9 here\r\n"),
    ],
)
def test_status_line_has_its_second_space_with_or_without_a_phrase(
    status: int, phrase: bytes | None, line: bytes
) -> None:
    assert writer.status_line(status, phrase) == line


@pytest.mark.row("R3", "R39")
@pytest.mark.parametrize(
    ("status", "phrase"),
    [(99, None), (1000, None), (-1, None), (200, b"a\r\nX: y"), (200, b"\n"), (200, b"\r"), (200, b"\x00")],
)
def test_status_line_that_is_none_is_refused(status: int, phrase: bytes | None) -> None:
    with pytest.raises(LocalViolation, match="9112 §4") as caught:
        writer.status_line(status, phrase)
    assert (caught.value.status, caught.value.reason) == (500, Reason.LOCAL_FAULT)


@pytest.mark.row("R14")
@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ((b"GET", b"/", HTTP_11), b"GET / HTTP/1.1\r\n"),
        ((b"BREW", b"http://h/", HTTP_10), b"BREW http://h/ HTTP/1.0\r\n"),
    ],
)
def test_request_line(parts: tuple[bytes, bytes, tuple[int, int]], line: bytes) -> None:
    assert writer.request_line(*parts) == line


@pytest.mark.row("R39")
@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"", b"/"),
        (b"GET", b""),
        (b"GET /", b"/"),
        (b"GET", b"/ HTTP/1.1\r\nX: y\r\n"),
        (b"GET", b"/a b"),
        (b"GET", b"/a#b"),
        (b"GET", b"/\x00"),
        (b"GET\r\n", b"/"),
        (b"G\xe9T", b"/"),
    ],
)
def test_request_line_that_is_none_is_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(LocalViolation, match="not a request line") as caught:
        writer.request_line(method, target, HTTP_11)
    assert caught.value.reason is Reason.LOCAL_FAULT


@pytest.mark.parametrize(
    ("options", "hints", "lines"),
    [
        ((), b"", b""),
        ((), b"timeout=5", b""),
        ((b"close",), b"", b"Connection: close\r\n"),
        ((b"keep-alive", b"te"), b"", b"Connection: keep-alive, te\r\n"),
        ((b"keep-alive",), b"timeout=5", b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
    ],
)
@pytest.mark.row("R134", "R173")
def test_hints_are_never_said_without_their_option(
    options: tuple[bytes, ...], hints: bytes, lines: bytes
) -> None:
    assert writer.connection_lines(options, hints) == lines


def head(
    *fields: tuple[bytes, bytes],
    announcement: Announcement = SAY_NOTHING,
    framing_line: bytes = b"",
    drop_length: bool = False,
) -> bytes:
    """The head that is written of these fields, without its status line."""
    octets = writer.head(OK, make_lines(fields), announcement, framing_line, drop_length)
    assert octets.startswith(OK)
    assert octets.endswith(b"\r\n\r\n")
    return octets[len(OK) :]


@pytest.mark.row("R7", "R34", "R35")
def test_plain_fields_are_written_as_they_are_and_in_order() -> None:
    assert head((b"X-B", b"2"), (b"x-a", b"1"), (b"X-B", b"")) == b"X-B: 2\r\nx-a: 1\r\nX-B: \r\n\r\n"
    assert head() == b"\r\n"


@pytest.mark.row("R42", "R50")
@pytest.mark.parametrize(
    "field",
    [
        (b"Transfer-Encoding", b"gzip"),
        (b"transfer-encoding", b"chunked"),
        (b"Connection", b"close"),
        (b"Connection", b"keep-alive,, Close"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Connection", b"keep-alive"),
    ],
)
def test_what_is_ours_to_say_cannot_be_said_by_the_caller(field: tuple[bytes, bytes]) -> None:
    assert head((b"A", b"1"), field) == b"A: 1\r\n\r\n"


def test_what_was_decided_is_said_in_place_of_the_callers_wish() -> None:
    asked = (b"Connection", b"keep-alive")
    assert head(asked, announcement=SAY_CLOSE) == b"Connection: close\r\n\r\n"
    assert head((b"Connection", b"close"), announcement=SAY_KEEP_ALIVE) == b"Connection: keep-alive\r\n\r\n"
    both = head(asked, announcement=Announcement((b"keep-alive",), b"max=1"))
    assert both == b"Connection: keep-alive\r\nKeep-Alive: max=1\r\n\r\n"


def test_other_options_of_the_caller_are_kept_once() -> None:
    written = head((b"Connection", b"X-Hop, close"), (b"X-Hop", b"1"), (b"Connection", b"x-hop"))
    assert written == b"X-Hop: 1\r\nConnection: x-hop\r\n\r\n"


@pytest.mark.row("R83", "R134")
def test_te_brings_its_option() -> None:
    assert head((b"TE", b"trailers")) == b"TE: trailers\r\nConnection: te\r\n\r\n"
    written = head((b"TE", b"trailers"), (b"Connection", b"TE"), announcement=SAY_CLOSE)
    assert written == b"TE: trailers\r\nConnection: close, te\r\n\r\n"


@pytest.mark.row("R134", "R145")
def test_upgrade_brings_its_option() -> None:
    assert head((b"Upgrade", b"websocket")) == b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.row("R44")
def test_length_of_the_caller_is_kept_unless_none_may_be_sent() -> None:
    length = (b"Content-Length", b"5")
    assert head(length) == b"Content-Length: 5\r\n\r\n"
    assert head(length, drop_length=True) == b"\r\n"
    assert head(framing_line=b"Content-Length: 0\r\n") == b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "written"),
    [(b"", b""), (b"hello", b"5\r\nhello\r\n"), (b"a" * 16, b"10\r\n" + b"a" * 16 + b"\r\n")],
)
def test_chunk_is_never_the_last_one(octets: bytes, written: bytes) -> None:
    assert writer.chunk(octets) == written


def test_last_chunk_carries_the_trailers() -> None:
    assert writer.last_chunk([]) == b"0\r\n\r\n"
    assert writer.last_chunk(make_lines([(b"A", b"1"), (b"b", b"")])) == b"0\r\nA: 1\r\nb: \r\n\r\n"


@pytest.mark.row("R79")
@pytest.mark.parametrize("name", sorted(NEVER_IN_TRAILERS))
def test_field_that_means_something_before_the_content_is_no_trailer(name: bytes) -> None:
    with pytest.raises(LocalViolation, match="cannot be sent as a trailer"):
        writer.last_chunk(make_lines([(b"A", b"1"), (name.title(), b"1")]))


def content(framing: Framing) -> ContentWriter:
    return ContentWriter(Outgoing(framing))


TRAILERS = make_lines([(b"A", b"1")])


@pytest.mark.row("R41", "R62")
def test_content_is_written_as_its_framing_says() -> None:
    chunked = content(CHUNKED)
    assert chunked.write(b"hello") + chunked.write(b"") + chunked.finish() == b"5\r\nhello\r\n0\r\n\r\n"
    assert content(CHUNKED).finish(TRAILERS) == b"0\r\nA: 1\r\n\r\n"
    exact = content(Framing(FramingKind.LENGTH, 5))
    assert exact.write(b"he") + exact.write(b"llo") + exact.finish() == b"hello"
    assert content(UNTIL_CLOSE).write(b"hello") + content(UNTIL_CLOSE).finish(TRAILERS) == b"hello"
    assert content(NO_CONTENT).finish(TRAILERS) == b""


@pytest.mark.row("R60", "R66", "R86")
def test_content_of_another_length_than_said_is_refused() -> None:
    long = content(Framing(FramingKind.LENGTH, 5))
    long.write(b"hello")
    with pytest.raises(LocalViolation, match="content is 3 octets longer than its Content-Length"):
        long.write(b"you")
    short = content(Framing(FramingKind.LENGTH, 5))
    short.write(b"he")
    with pytest.raises(LocalViolation, match="content is 3 octets shorter than its Content-Length"):
        short.finish()
