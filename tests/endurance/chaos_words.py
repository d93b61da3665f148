"""What origins and clients of the chaos run agree on: the token of each request, and what its answer must be.

The token is in the target, in X-Token of request and response, and all through the content: whose an answer
is shows in every octet of it.
"""

from __future__ import annotations

import zlib
from typing import Final

PREFIX_LIES: Final = frozenset({b"short", b"unsized"})
"""Answers whose framing lies in a way that nobody between can see: their content may be cut."""
EVIL: Final = b"evil"
"""The token of what no request asked for."""


def content_of(token: bytes) -> bytes:
    """What the answer to a request holds: mostly small, sometimes hundreds of kilobytes."""
    mark = zlib.crc32(token)
    count = mark % 24 + 1 if mark % 32 else mark % 20000 + 1
    return (token + b" ") * count


def upload_of(token: bytes) -> bytes:
    """What a request with content sends."""
    mark = zlib.crc32(token, 1)
    return (token + b"/") * (mark % 100 + 1 if mark % 16 else mark % 8000 + 1)


def digest(upload: bytes) -> bytes:
    """What the answer says of the content that arrived."""
    return b"%d-%d" % (len(upload), zlib.crc32(upload))


def chunked(content: bytes, size: int) -> bytes:
    """Content in chunks of a size, with the last one."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
