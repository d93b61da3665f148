"""Start lines, and whole heads, from octets.

A head is parsed only once it is complete, in one pass: `split` finds the lines, remembered
ones cost a look-up. Start lines repeat on persistent connections too, so they are remembered
as well (0.1 µs instead of 0.8).

RFC 9112 §3 (request line), §4 (status line), §3.2 (target and Host).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import ne
from typing import TYPE_CHECKING, Final

from perdure.core.errors import RemoteViolation
from perdure.core.fields import (
    HTTP_11,
    ORDINARY,
    REMEMBERED_LINE_OCTETS,
    Facts,
    FieldLine,
    Version,
    gather,
    parse_line,
    parse_lines,
    remembered_line,
)
from perdure.core.limits import Limits
from perdure.core.reason import Reason
from perdure.core.syntax import ABSOLUTE_FORM, AUTHORITY_FORM, HOST, REQUEST_LINE, STATUS_LINE

if TYPE_CHECKING:
    from perdure.core.events import Request

REMEMBERED_START_LINES: Final = 1024
REMEMBERED_START_LINE_OCTETS: Final = 256
REMEMBERED_BLOCK_OCTETS: Final = 2048
"""Field lines of one head, remembered for the next one of the same connection."""


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
        raise RemoteViolation(f"not a request line: {line[:60]!r} (9112 §3)", Reason.BAD_SYNTAX)
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
        raise RemoteViolation(f"not a request target: {target[:60]!r} (9112 §3.2)", Reason.BAD_SYNTAX)


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


_remembered_request_line = lru_cache(REMEMBERED_START_LINES)(parse_request_line)
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
    method, target, version = _remembered_request_line(line) if short else parse_request_line(line)
    del lines[0]
    fields = parse_lines(lines, len(head))
    facts = gather(version, True, fields)
    _check_host(facts)
    return method, target, version, fields, facts


PRIVATE: Final = frozenset([b"authorization", b"cookie", b"proxy-authorization"])
"""Who says one of these is not remembered beyond its connection."""


class RequestHeads:
    """The request heads of one connection, each compared with the one before.

    Requests that say the same share their field lines, or are one object: nobody may change them in place.

    A client says the same fields in each request of a connection, or all but one or two (a proxy
    numbers its requests). Seeing that costs 0.2 µs for ten fields, or 3 with a new one; looking up
    ten remembered lines, and gathering their facts, costs 9 (bench/bench_server.py).

    Attributes:
        octets: the head before, with its blank line; None where there is none, or it is long.
        request: what was made of it, where no content follows.
    """

    __slots__ = (
        "_changes",
        "_facts",
        "_fields",
        "_limits",
        "_lines",
        "_longest",
        "_parsed",
        "_start",
        "_version",
        "octets",
        "request",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._longest = min(limits.max_line, REMEMBERED_START_LINE_OCTETS)
        self.octets: bytes | None = None
        self.request: Request | None = None
        self._start = 0  # of the fields
        self._version: Version = HTTP_11
        self._fields: Sequence[FieldLine] = ()
        self._facts: Facts
        self._parsed = 0  # of this connection's heads; the first may find another one's remembered
        said = _first.said
        if said is not None and said[0] is limits:
            _, self.octets, self.request, self._start, self._version, self._fields, self._facts = said
        # Those of the fields, once a connection has shown that they change.
        self._lines: list[bytes] | None = None
        self._changes = 0  # the places that changed, a bit for each

    def parse(self, octets: bytes) -> tuple[bytes, bytes, Version, Sequence[FieldLine], Facts]:
        """As `request_head`, but with the blank line. RFC 9112 §2.1."""
        before = self.octets
        start = octets.find(b"\r\n") + 2
        self.request = None
        self._parsed += 1
        if before is None or start - 2 > self._longest or len(octets) - start > REMEMBERED_BLOCK_OCTETS:
            return self._parse_anew(octets, start)
        method, target, version = _remembered_request_line(octets[: start - 2])
        if version != self._version:
            return self._parse_anew(octets, start)
        if octets[start:] != before[self._start :] and not self._took_changes(octets[start:-4]):
            return self._parse_anew(octets, start)
        self.octets = octets
        self._start = start
        return method, target, version, self._fields, self._facts

    def remember(self, octets: bytes, request: Request) -> None:
        """Keep what was made of the latest head, without content; the first for the next connection too.

        Clients of one kind begin alike, and what they say is parsed once: 6 µs less for a connection
        with ten fields (bench/bench_exchange.py), and the octets are there once.
        """
        if octets is not self.octets:  # it is long
            return
        self.request = request
        if self._parsed == 1 and not any([line[1] in PRIVATE for line in self._fields]):
            said = self._limits, octets, request, self._start, self._version, self._fields, self._facts
            _first.said = said  # at once: other threads have event loops too

    def _parse_anew(
        self, octets: bytes, start: int
    ) -> tuple[bytes, bytes, Version, Sequence[FieldLine], Facts]:
        parsed = request_head(octets[:-4], self._limits)
        if len(octets) - start <= REMEMBERED_BLOCK_OCTETS:
            block = octets[start:-4]
            had_fields = self._parsed > 1 and self.octets is not None and len(self.octets) - self._start > 4
            self._lines = block.split(b"\r\n") if had_fields and block else None
            self.octets = octets
            self._start = start
            _, _, self._version, self._fields, self._facts = parsed
        return parsed

    def _took_changes(self, block: bytes) -> bool:
        """Take fields of which as many came before, in the same places; False: parse them anew."""
        before, lines = self._lines, block.split(b"\r\n")
        if before is None or len(lines) != len(before) or not 0 < len(block) <= self._limits.max_line:
            return False
        fields, changes = list(self._fields), 0
        for place, changed in enumerate(map(ne, lines, before)):
            if changed:
                line, bit = lines[place], 1 << place
                # What changed the last time too is a number, not worth remembering.
                again = self._changes & bit or len(line) > REMEMBERED_LINE_OCTETS
                field = parse_line(line) if again else remembered_line(line)
                if field.kind != ORDINARY or fields[place].kind != ORDINARY:
                    return False  # its facts are others
                fields[place] = field
                changes |= bit
        self._lines, self._fields, self._changes = lines, fields, changes
        return True


class _First:
    """The first head of the latest connection that began with another one than the connection before."""

    said: tuple[Limits, bytes, Request, int, Version, Sequence[FieldLine], Facts] | None = None


_first = _First()


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
