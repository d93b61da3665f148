"""Start lines, and whole heads, from octets.

A head is parsed only once it is complete, in one pass: `split` finds the lines, remembered
ones cost a look-up. Start lines repeat on persistent connections too, so they are remembered
as well (0.1 µs instead of 0.8).

RFC 9112 §3 (request line), §4 (status line), §3.2 (target and Host).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from perdure.core.errors import RemoteViolation
from perdure.core.fields import (
    HTTP_11,
    Facts,
    FieldLine,
    Version,
    gather,
    parse_lines,
)
from perdure.core.limits import Limits
from perdure.core.reason import Reason
from perdure.core.syntax import ABSOLUTE_FORM, AUTHORITY_FORM, HOST, REQUEST_LINE, STATUS_LINE, USERINFO

REMEMBERED_START_LINES: Final = 1024
REMEMBERED_START_LINE_OCTETS: Final = 256


def parse_request_line(line: bytes) -> tuple[bytes, bytes, Version]:
    """Parse a request line, without its CRLF.

    Returns:
        (method, target, version); a minor version above 1 is kept, and served as 1.1 (R13).

    Raises:
        RemoteViolation: 400 for another form, 505 for a major version other than 1.

    RFC 9112 §3, §2.3.
    """
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise RemoteViolation(f"not a request line: {_shown(line)!r} (9112 §3)", Reason.BAD_SYNTAX)
    method, target, major, minor = match.groups()
    if major != b"1":
        message = f"HTTP/{major.decode()}.{minor.decode()} is not spoken here (9110 §15.6.6)"
        raise RemoteViolation(message, Reason.BAD_VERSION, 505)
    if target[:1] != b"/" or method == b"CONNECT":
        _check_target(method, target)
    return method, target, HTTP_11 if minor == b"1" else (1, int(minor))


def _check_target(method: bytes, target: bytes) -> None:
    if method == b"CONNECT":
        match = AUTHORITY_FORM.fullmatch(target)
        if match is None or not 0 < int(match.group(2)) < 65536:
            message = f"CONNECT to {target[:60]!r}, host and port expected (9110 §9.3.6)"
            raise RemoteViolation(message, Reason.CONNECT_REJECTED)
        return
    if target == b"*" and method == b"OPTIONS":
        return
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None or not match.group(2) or not HOST.fullmatch(match.group(2)):
        raise RemoteViolation(f"not a request target: {_shown(target)!r} (9112 §3.2)", Reason.BAD_SYNTAX)


def _shown(octets: bytes) -> bytes:
    """What a log may say of a request line: a part of it, without a user's name and password.

    RFC 9110 §4.2.4.
    """
    return USERINFO.sub(b"://...@", octets)[:60]


def parse_status_line(line: bytes) -> tuple[int, bytes, Version]:
    """Parse a status line, without its CRLF.

    Returns:
        (status, reason phrase, version).

    Raises:
        RemoteViolation: with status 502 for another form, or a major version other than 1.

    RFC 9112 §4.
    """
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise RemoteViolation(f"not a status line: {line[:60]!r} (9112 §4)", Reason.BAD_SYNTAX, 502)
    major, minor, status, phrase = match.groups()
    if major != b"1":
        message = f"the peer answered in HTTP/{major.decode()}.{minor.decode()} (9112 §2.3)"
        raise RemoteViolation(message, Reason.BAD_VERSION, 502)
    return int(status), phrase or b"", (1, int(minor))


remembered_request_line = lru_cache(REMEMBERED_START_LINES)(parse_request_line)
_remembered_status_line = lru_cache(REMEMBERED_START_LINES)(parse_status_line)


def _check_sizes(lines: Sequence[bytes], limits: Limits, long_line_status: int, status: int) -> None:
    if len(lines[0]) > limits.max_line:
        message = f"start line is {len(lines[0])} octets, at most {limits.max_line} allowed (9112 §3)"
        raise RemoteViolation(message, Reason.TOO_LARGE, long_line_status)
    if len(lines) - 1 > limits.max_fields:
        message = f"{len(lines) - 1} field lines, at most {limits.max_fields} allowed"
        raise RemoteViolation(message, Reason.TOO_LARGE, status)
    longest = max(map(len, lines[1:]), default=0)
    if longest > limits.max_line:
        message = f"a field line of {longest} octets, at most {limits.max_line} allowed"
        raise RemoteViolation(message, Reason.TOO_LARGE, status)


def request_head(head: bytes, limits: Limits) -> tuple[bytes, bytes, Version, Sequence[FieldLine], Facts]:
    """Parse a whole request head, without the blank line.

    Returns:
        (method, target, version, field lines, facts).

    Raises:
        RemoteViolation: with the status to answer: 400, 414 (target too long), 431, 505.

    RFC 9112 §2.1, §3.2 (Host).
    """
    lines = head.split(b"\r\n")
    if len(head) > limits.max_line or len(lines) - 1 > limits.max_fields:
        _check_sizes(lines, limits, 414, 431)
    line = lines[0]
    short = len(line) <= REMEMBERED_START_LINE_OCTETS
    method, target, version = remembered_request_line(line) if short else parse_request_line(line)
    del lines[0]
    fields = parse_lines(lines, len(head))
    facts = gather(version, True, fields)
    _check_host(facts)
    return method, target, version, fields, facts


def _is_host(value: bytes) -> bool:
    return HOST.fullmatch(value) is not None


_remembered_is_host = lru_cache(REMEMBERED_START_LINES)(_is_host)


def _check_host(facts: Facts) -> None:
    """One Host field with a valid value in HTTP/1.1, at most one in HTTP/1.0 (R18)."""
    hosts = facts.hosts
    if len(hosts) > 1 or (not hosts and facts.version >= HTTP_11):
        message = f"{len(hosts)} Host fields, exactly 1 expected (9112 §3.2)"
        raise RemoteViolation(message, Reason.BAD_SYNTAX)
    if not hosts:
        return
    is_host = _remembered_is_host if len(hosts[0]) <= REMEMBERED_START_LINE_OCTETS else _is_host
    if not is_host(hosts[0]):
        raise RemoteViolation(f"Host is {hosts[0][:60]!r} (9112 §3.2)", Reason.BAD_SYNTAX)


def response_head(head: bytes, limits: Limits) -> tuple[int, bytes, Version, list[FieldLine], Facts]:
    """Parse a whole response head, without the blank line.

    A folded field line is unfolded, as a user agent must (R30); an intermediary refuses one
    by looking at `was_folded`.

    Returns:
        (status, reason phrase, version, field lines, facts).

    Raises:
        RemoteViolation: with status 502.

    RFC 9112 §2.1, §5.2 (obs-fold).
    """
    lines = head.split(b"\r\n")
    if len(head) > limits.max_line or len(lines) - 1 > limits.max_fields:
        _check_sizes(lines, limits, 502, 502)
    if b"\r\n " in head or b"\r\n\t" in head:
        lines = unfold(head).split(b"\r\n")
    line = lines[0]
    short = len(line) <= REMEMBERED_START_LINE_OCTETS
    status, phrase, version = _remembered_status_line(line) if short else parse_status_line(line)
    del lines[0]
    try:
        fields = parse_lines(lines, len(head))
    except RemoteViolation as violation:
        violation.status = 502
        raise
    return status, phrase, version, fields, gather(version, False, fields)


def was_folded(head: bytes) -> bool:
    """True if a head holds a folded field line. RFC 9112 §5.2."""
    return b"\r\n " in head or b"\r\n\t" in head


def unfold(head: bytes) -> bytes:
    """Replace each fold by one space; white space right after the start line stays a fault (R8).

    RFC 9112 §5.2.
    """
    start, end, fields = head.partition(b"\r\n")
    if fields[:1] in (b" ", b"\t"):
        raise RemoteViolation("white space before the first field (9112 §2.2)", Reason.BAD_SYNTAX, 502)
    unfolded = bytearray()
    for line in fields.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            unfolded += b" " + line.strip(b" \t")
        else:
            unfolded += (b"\r\n" if unfolded else b"") + line
    return start + end + bytes(unfolded)


def authority(target: bytes, facts: Facts) -> bytes:
    """The authority a request is for: that of an absolute-form target, else the Host field's.

    b"" if neither says (HTTP/1.0). RFC 9112 §3.2.2, §3.3 (R19, R20).
    """
    if target[:1] != b"/":
        match = ABSOLUTE_FORM.fullmatch(target)
        if match is not None:
            return match.group(2)
        if target != b"*":
            return target  # authority-form
    return facts.hosts[0] if facts.hosts else b""


def origin_form(target: bytes) -> bytes:
    """The origin-form of a target, octet for octet: path and query of an absolute-form one.

    RFC 9112 §3.2.1, §3.2.2; never normalised (R142).
    """
    if target[:1] == b"/" or target == b"*":
        return target
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        return target
    path = match.group(3) or b"/"
    return path if path[:1] == b"/" else b"/" + path
