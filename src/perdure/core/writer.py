"""From heads, content, chunks and trailers to octets.

Only here are heads serialised. What the caller's fields say of framing and persistence is
replaced by what was decided: a caller can ask for a close, never announce one that is not so.

RFC 9112 §2.1, §3, §4, §7.1; RFC 9110 §7.6.1 (options for what is connection-specific).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from perdure.core.errors import LocalViolation
from perdure.core.events import NO_LINES
from perdure.core.fields import (
    CONNECTION,
    CONTENT_LENGTH,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    FieldLine,
    Version,
)
from perdure.core.framing import FramingKind, Outgoing
from perdure.core.hopbyhop import NEVER_IN_TRAILERS, NEVER_NOMINATED
from perdure.core.persistence import Announcement
from perdure.core.reason import Reason
from perdure.core.syntax import FIELD_VALUE, REQUEST_LINE

PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
OURS: Final = frozenset([CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING])
"""Kinds of field that a caller cannot set: they follow from what was decided."""
LOOKED_AT: Final = OURS | {TE, UPGRADE}
"""Kinds of field that change what is said of the connection."""
NEVER_NAMED: Final = frozenset([b"", b"close", b"keep-alive", *NEVER_NOMINATED])
"""Connection options that are not taken from a caller's Connection lines."""
LAST_CHUNK: Final = b"0\r\n\r\n"


REMEMBERED_OCTETS: Final = 256
"""Longer start lines are made anew each time: peers choose what stands in them."""


def status_line(status: int, phrase: bytes | None) -> bytes:
    """A status line with its CRLF; the SP after the status is always there (R24).

    Raises:
        LocalViolation: if the status has not three digits or the phrase holds a control character.

    RFC 9112 §4.
    """
    if phrase is None or len(phrase) <= REMEMBERED_OCTETS:
        return _remembered_status_line(status, phrase)
    return _status_line(status, phrase)


def _status_line(status: int, phrase: bytes | None) -> bytes:
    if phrase is None:
        phrase = PHRASES.get(status, b"")
    if not 100 <= status <= 999 or not FIELD_VALUE.fullmatch(phrase):
        raise LocalViolation(f"status {status} {phrase!r} (9112 §4)", Reason.LOCAL_FAULT, 500)
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase)


_remembered_status_line = lru_cache(1024)(_status_line)


def request_line(method: bytes, target: bytes, version: Version) -> bytes:
    """A request line with its CRLF.

    Raises:
        LocalViolation: if the method is no token or the target holds white space or the like.

    RFC 9112 §3.
    """
    make = _remembered_request_line if len(target) <= REMEMBERED_OCTETS else _request_line
    return make(method, target, version)


def _request_line(method: bytes, target: bytes, version: Version) -> bytes:
    line = b"%b %b HTTP/%d.%d" % (method, target, *version)
    if not REQUEST_LINE.fullmatch(line):
        raise LocalViolation(f"not a request line: {line[:80]!r} (9112 §3)", Reason.LOCAL_FAULT)
    return line + b"\r\n"


_remembered_request_line = lru_cache(1024)(_request_line)


@lru_cache(4096)
def connection_lines(options: tuple[bytes, ...], hints: bytes, to_proxy: tuple[bytes, ...] = ()) -> bytes:
    """The Connection, Keep-Alive and Proxy-Connection lines, with their CRLF; b"" for nothing to say.

    RFC 9110 §7.6.1, RFC 9112 appendix C.2.2.
    """
    lines = b"Connection: %b\r\n" % b", ".join(options) if options else b""
    if options and hints:
        lines += b"Keep-Alive: %b\r\n" % hints
    return lines + b"Proxy-Connection: %b\r\n" % b", ".join(to_proxy) if to_proxy else lines


def head(
    start_line: bytes,
    lines: Sequence[FieldLine],
    announcement: Announcement,
    framing_line: bytes,
    drop_length: bool,
    remembered: bytes | None = None,
) -> bytes:
    """A whole head with its blank line.

    Args:
        start_line: with its CRLF.
        lines: the caller's; those that are ours to say are left out.
        announcement: what to say of persistence.
        framing_line: the Transfer-Encoding or Content-Length line to add, or b"".
        drop_length: True where a Content-Length of the caller's must not be sent.
        remembered: what `block` made of the lines.

    RFC 9112 §2.1.
    """
    options, hints, to_proxy = announcement
    octets = None if drop_length else remembered or block(lines)
    if octets is None:
        lines, options = _without_ours(lines, options, drop_length)
        octets = b"".join([line[4] for line in lines])
    return b"".join((start_line, octets, framing_line, connection_lines(options, hints, to_proxy), b"\r\n"))


def block(lines: Sequence[FieldLine]) -> bytes | None:
    """The octets of field lines, None if some of them are ours to say, or concern the connection.

    RFC 9112 §5.
    """
    for line in lines:
        if line[3] in LOOKED_AT:
            return None
    return b"".join([line[4] for line in lines])


def _without_ours(
    lines: Sequence[FieldLine], options: tuple[bytes, ...], drop_length: bool
) -> tuple[list[FieldLine], tuple[bytes, ...]]:
    kept = []
    extra: list[bytes] = []
    for line in lines:
        kind = line.kind
        if kind == CONNECTION:
            extra += [option.strip(b" \t").lower() for option in line.value.split(b",")]
        elif kind in OURS or (drop_length and kind == CONTENT_LENGTH):
            continue
        else:
            kept.append(line)
            if kind == TE:
                extra.append(b"te")  # 9110 §10.1.4: TE is for one hop, and says so (R83)
            elif kind == UPGRADE:
                extra.append(b"upgrade")  # 9110 §7.8 (R145)
    # 9110 §7.6.1: an option for a field that is needed beyond this hop would have it removed there (R135).
    others = [option for option in extra if option not in NEVER_NAMED]
    return kept, tuple(dict.fromkeys([*options, *others]))


def chunk(octets: bytes) -> bytes:
    """One chunk; b"" for no octets, since an empty chunk would be the last one. RFC 9112 §7.1."""
    return b"%x\r\n%b\r\n" % (len(octets), octets) if octets else b""


def last_chunk(trailers: Sequence[FieldLine]) -> bytes:
    """The last chunk and the trailer section.

    Raises:
        LocalViolation: if a trailer may only be sent in a head (R79).

    RFC 9112 §7.1.2, RFC 9110 §6.5.1.
    """
    if not trailers:
        return LAST_CHUNK
    for line in trailers:
        if line.lowered in NEVER_IN_TRAILERS:
            message = f"{line.name.decode('ascii')} cannot be sent as a trailer (9110 §6.5.1)"
            raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
    return b"".join([b"0\r\n", *[line.octets for line in trailers], b"\r\n"])


class ContentWriter:
    """The content of the message being sent, held to what its head said.

    RFC 9112 §6.2 (length), §7.1 (chunked).
    """

    __slots__ = ("_kind", "_left")

    def __init__(self, outgoing: Outgoing) -> None:
        self._kind = outgoing.framing.kind
        self._left = outgoing.framing.length

    def write(self, octets: bytes) -> bytes:
        """Content, as it goes on the wire.

        Raises:
            LocalViolation: if it is longer than the Content-Length. The peer has a part of a
                message: close the connection.
        """
        if self._kind is FramingKind.CHUNKED:
            return chunk(octets)
        if self._kind is FramingKind.LENGTH:
            self._left -= len(octets)
            if self._left < 0:
                message = f"content is {-self._left} octets longer than its Content-Length (9110 §8.6)"
                raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
        return octets

    def finish(self, trailers: Sequence[FieldLine] = NO_LINES) -> bytes:
        """What ends the content; trailers only go with the chunked coding, and are dropped otherwise.

        Raises:
            LocalViolation: if it is shorter than the Content-Length; close the connection.
        """
        if self._kind is FramingKind.CHUNKED:
            return last_chunk(trailers)
        if self._kind is FramingKind.LENGTH and self._left:
            message = f"content is {self._left} octets shorter than its Content-Length (9110 §8.6)"
            raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
        return b""
