"""Fragments of HTTP, whole and broken: what random octets would take ages to hit upon."""

from __future__ import annotations

from hypothesis import strategies as st

LINE_ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n"]
REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n",
    b"HEAD /a HTTP/1.0\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n",
    b"GET / HTTP/1.1\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 100 \r\n",
    b"HTTP/1.1 101 x\r\n",
    b"HTTP/1.1 204 \r\n",
    b"HTTP/1.1 304 \r\n",
    b"HTTP/1.1 408 \r\n",
]
FIELDS = [
    b"Host: x\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: +5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Upgrade: x\r\nConnection: upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"X: a\r\n b\r\n",
    b"X : a\r\n",
    b"X:" + b" " * 30 + b"\r\n",
    b"X: " + b"a" * 37 + b"\r\n",
]
CONTENT = [
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"hello",
    b"5;a=b\r\n",
    b"A: 1\r\n",
    b"00",
    b"ffff\r\n",
    b"; \t",
]
OTHER = [b"\x00", b" ", b"\t", b":", b"\xff", b"a" * 41, b"HTTP/1.1 ", b"#", b'"']

fragments = st.one_of(
    st.sampled_from(REQUESTS + RESPONSES),
    st.sampled_from(FIELDS),
    st.sampled_from(CONTENT),
    st.sampled_from(LINE_ENDS),
    st.sampled_from(OTHER),
    st.binary(max_size=4),
)
streams = st.lists(fragments, max_size=12).map(b"".join)


@st.composite
def heads(draw: st.DrawFn, starts: list[bytes]) -> bytes:
    """A head that is likely to be good."""
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=2))
    return draw(st.sampled_from(starts)) + b"".join(fields) + b"\r\n"


@st.composite
def likely(draw: st.DrawFn, starts: list[bytes]) -> bytes:
    """Messages that are likely to be good, with a likely kind of content, one after another."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 3))):
        pieces.append(draw(heads(starts)))
        pieces.extend(draw(st.lists(st.sampled_from(CONTENT), max_size=3)))
    return b"".join(pieces)


requests, responses = likely(REQUESTS), likely(RESPONSES)
places = st.lists(st.integers(0, 1000), max_size=4)
