"""The grammar at its edges: whole octet strings match, never a right prefix of a wrong one."""

from __future__ import annotations

import re

import pytest

from perdure.core import syntax

EDGES: dict[str, tuple[re.Pattern[bytes], list[bytes], list[bytes]]] = {
    "token": (
        syntax.TOKEN,
        [b"GET", b"a", b"!#$%&'*+-.^_`|~09", b"x-1"],
        [b"", b"a b", b"a:", b"a\n", b"\xff", b"a/b", b"(", b"a\x00", b'"a"', b"a,"],
    ),
    "field value": (
        syntax.FIELD_VALUE,
        [b"", b"a b", b"\ta", b"caf\xe9", b"\xc0\x8a", b"\x80\xff", b"~"],
        [b"a\r", b"a\n", b"a\x00", b"\x0b", b"\x0c", b"\x1f", b"\x7f"],
    ),
    "request line": (
        syntax.REQUEST_LINE,
        [b"GET / HTTP/1.1", b"PRI * HTTP/2.0", b'M-SEARCH /"{}|^ HTTP/1.0', b"get / HTTP/1.9"],
        [
            b"GET /",
            b"GET / HTTP/1.1 ",
            b"GET  / HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b" GET / HTTP/1.1",
            b"GET /a#b HTTP/1.1",
            b"GET / http/1.1",
            b"GET / HTTP/1.10",
            b"GET / HTTP/1.1\n",
            b"GET /\xe9 HTTP/1.1",
        ],
    ),
    "status line": (
        syntax.STATUS_LINE,
        [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.0 999 a  b\t\xe9"],
        [
            b"HTTP/1.1 20",
            b"HTTP/1.1 099 x",
            b"HTTP/1.1 2000",
            b"HTTP/1.1  200",
            b"HTTP/1.1 200 a\rb",
            b"ICY 200 OK",
        ],
    ),
    "content length": (
        syntax.CONTENT_LENGTH,
        [b"0", b"05", b"9" * 19],
        [b"", b"+5", b"-1", b"0x5", b"5 5", b"5;", b"5,5", b"1" * 20, b"5\n", b"\xef\xbc\x95", b"1_0"],
    ),
    "chunk extensions": (
        syntax.CHUNK_EXTENSIONS,
        [b"", b" ", b";a", b" ; a = b ", b';a="x;y"', b';a="\\"";b', b";a;b=c;d"],
        [b";", b"a", b";a=", b";a b", b';a="', b";a\r", b";a\n", b';a="\n"', b";a=b=c", b"\x00"],
    ),
    "host": (
        syntax.HOST,
        [b"", b"x", b"a.b:80", b"a:", b"127.0.0.1", b"[::1]:8080", b"%41", b"a_b"],
        [b"a b", b"a/b", b"u@h", b"a:b", b"[::1", b"::1", b"a%4", b"a,b\n", b"a?", b"a#", b"\xe9"],
    ),
    "authority form": (
        syntax.AUTHORITY_FORM,
        [b"h:1", b"[::1]:443", b"h:65535"],
        [b"h", b"h:", b":80", b"h:123456", b"http://h:80", b"h:80/", b"u@h:80"],
    ),
    "absolute form": (
        syntax.ABSOLUTE_FORM,
        [b"http://h", b"http://h/", b"HTTPS://h:1?q", b"http:///p"],
        [b"http:h", b"http://h/ ", b"//h/", b"http://h/#f\n", b"http://h#f"],
    ),
}
TAKEN = [(name, value) for name, (_, taken, _) in EDGES.items() for value in taken]
REFUSED = [(name, value) for name, (_, _, refused) in EDGES.items() for value in refused]


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_grammar_takes(name: str, value: bytes) -> None:
    assert EDGES[name][0].fullmatch(value)


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_grammar_refuses(name: str, value: bytes) -> None:
    assert not EDGES[name][0].fullmatch(value)


@pytest.mark.parametrize(
    ("pattern", "octets"),
    [
        (syntax.FIELD_LINE, b"X: a" + b" " * 1_000_000 + b"b\x00"),
        (syntax.FIELD_LINE, b"X:" + b" " * 1_000_000 + b"\x00"),
        (syntax.CHUNK_EXTENSIONS, b";a" + b" " * 100_000 + b"\x00"),
        (syntax.CHUNK_EXTENSIONS, b";a=b " * 4_000 + b"\x00"),
        (syntax.CHUNK_EXTENSIONS, b';a="' + b'\\"' * 10_000),
        (syntax.HOST, b"a" * 100_000 + b"@"),
        (syntax.REQUEST_LINE, b"GET " + b"/" * 1_000_000),
    ],
    ids=["inner spaces", "outer spaces", "extension spaces", "extensions", "quotes", "host", "target"],
)
def test_no_octets_make_matching_take_more_than_linear_time(
    pattern: re.Pattern[bytes], octets: bytes
) -> None:
    """With a quadratic pattern the first of these alone would take hours."""
    assert pattern.fullmatch(octets) is None


@pytest.mark.row("R2")
@pytest.mark.parametrize(
    ("octets", "found"),
    [(b"\n", 0), (b"a\n", 1), (b"a\r\n", None), (b"\r\n\n", 2), (b"\r\r\n", None), (b"", None)],
)
def test_bare_line_feed_is_one_without_carriage_return(octets: bytes, found: int | None) -> None:
    match = syntax.BARE_LINE_FEED.search(octets)
    assert (match.start() if match else None) == found


def test_bare_line_feed_looks_behind_where_the_search_begins() -> None:
    assert syntax.BARE_LINE_FEED.search(b"a\r\n", 2) is None
