"""Field lines, list values, and the facts of a message head.

On a persistent connection the same field lines come again and again, so a parsed line is
remembered (`remembered_line`): ten browser-like fields cost 1.5 µs when all repeat, a fifth
of parsing them anew. The memory is bounded in count and in length; it is keyed by the octets of the
line alone, is never logged, and stays inside the process.

`Facts` is what everybody else may know of a head that concerns persistence and framing,
gathered in one pass over the few lines that matter.

RFC 9110 §5 (fields), RFC 9112 §5 (field syntax).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from perdure.core.errors import LocalViolation, RemoteViolation
from perdure.core.reason import Reason
from perdure.core.syntax import FIELD_LINE, FIELD_VALUE, TOKEN

Version = tuple[int, int]

HTTP_10: Final[Version] = (1, 0)
HTTP_11: Final[Version] = (1, 1)

REMEMBERED_LINES: Final = 4096
"""Field lines remembered per process: about 2 MiB at most, with REMEMBERED_LINE_OCTETS."""
REMEMBERED_LINE_OCTETS: Final = 256
"""A longer line is likely a cookie or a token: one user's data, seldom another's."""

ORDINARY: Final = 0
"""The kind of a field that neither framing nor persistence looks at."""
FIELD_KINDS: Final = {
    b"content-length": 1,
    b"transfer-encoding": 2,
    b"connection": 3,
    b"host": 4,
    b"keep-alive": 5,
    b"proxy-connection": 6,
    b"te": 7,
    b"upgrade": 8,
    b"expect": 9,
    b"trailer": 10,
    b"idempotency-key": 11,
}
CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, HOST, KEEP_ALIVE = 1, 2, 3, 4, 5
PROXY_CONNECTION, TE, UPGRADE, EXPECT, TRAILER, IDEMPOTENCY_KEY = 6, 7, 8, 9, 10, 11


class FieldLine(NamedTuple):
    """One field line, parsed once."""

    name: bytes
    """As received, or as the caller spelt it."""
    lowered: bytes
    """The name in lower case, for comparing."""
    value: bytes
    """Without the white space around it."""
    kind: int
    """ORDINARY, or one of FIELD_KINDS."""
    octets: bytes
    """The line as it is sent, with its CRLF."""
    pair: tuple[bytes, bytes]
    """(lowered name, value), as ASGI wants it."""


def _make_line(name: bytes, value: bytes) -> FieldLine:
    lowered = name.lower()
    kind = FIELD_KINDS.get(lowered, ORDINARY)
    # 0.4 µs less than FieldLine(...), which is written in Python (bench/bench_server.py).
    return tuple.__new__(
        FieldLine, (name, lowered, value, kind, b"%b: %b\r\n" % (name, value), (lowered, value))
    )


def parse_line(octets: bytes) -> FieldLine:
    """Parse one field line, without its CRLF.

    Raises:
        RemoteViolation: with status 400 if the line is folded, has no colon, has white space
            before it, an empty or malformed name, or a control character in the value.

    RFC 9112 §5.
    """
    match = FIELD_LINE.fullmatch(octets)
    if match is None:
        raise RemoteViolation(_why_malformed(octets), Reason.BAD_SYNTAX)
    name, value = match.groups()
    return _make_line(name, value.strip(b" \t"))


def _why_malformed(octets: bytes) -> str:
    name, colon, _ = octets.partition(b":")
    if octets[:1] in (b" ", b"\t"):
        return "a folded field line, or white space before a field (9112 §5.2, §2.2)"
    if not colon:
        return f"a field line without a colon: {octets[:40]!r} (9112 §5)"
    if not name or name[-1:] in (b" ", b"\t"):
        return f"white space before the colon, or no field name: {octets[:40]!r} (9112 §5.1)"
    if not TOKEN.fullmatch(name):
        return f"a field name that is not a token: {name[:40]!r} (9110 §5.1)"
    return f"a control character in the value of {name.decode('ascii')} (9110 §5.5)"


remembered_line = lru_cache(REMEMBERED_LINES)(parse_line)


def parse_lines(lines: Sequence[bytes], octets: int) -> list[FieldLine]:
    """Parse the field lines of one head, remembering the short ones.

    Args:
        lines: each without its CRLF.
        octets: their length in all; when even that is short, no line needs measuring.

    RFC 9112 §5.
    """
    if octets <= REMEMBERED_LINE_OCTETS * 4:
        return list(map(remembered_line, lines))
    return [
        remembered_line(line) if len(line) <= REMEMBERED_LINE_OCTETS else parse_line(line) for line in lines
    ]


def _checked_line(name: bytes, value: bytes) -> FieldLine:
    if not TOKEN.fullmatch(name):
        raise LocalViolation(f"{name!r} is not a field name (9110 §5.1)", Reason.LOCAL_FAULT, 500)
    value = value.strip(b" \t")
    if not FIELD_VALUE.fullmatch(value):
        message = f"the value of {name.decode('ascii')} holds a control character (9110 §5.5)"
        raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
    line = _make_line(name, value)
    if line.kind == TE and any(member.startswith(b"chunked") for member in split_list([value])):
        message = "TE lists chunked, which every HTTP/1.1 recipient takes (9112 §7.4)"
        raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
    return line


_remembered_checked_line = lru_cache(REMEMBERED_LINES)(_checked_line)


def make_line(name: bytes, value: bytes) -> FieldLine:
    """Make a field line to send; only here do a caller's octets become a line of a head.

    Raises:
        LocalViolation: if the name is not a token, or the value holds CR, LF, NUL or another
            control character (R39: response splitting); if TE lists chunked (R82). Nothing was
            sent.

    RFC 9110 §5.1, §5.5; RFC 9112 §7.4.
    """
    if len(name) + len(value) <= REMEMBERED_LINE_OCTETS:
        return _remembered_checked_line(name, value)
    return _checked_line(name, value)


def make_lines(pairs: Iterable[tuple[bytes, bytes]]) -> list[FieldLine]:
    """Make field lines of (name, value) pairs; see `make_line`. RFC 9110 §5."""
    return [make_line(name, value) for name, value in pairs]


def split_list(values: Iterable[bytes]) -> list[bytes]:
    """Split all the lines of a list field into lower-case members, empty ones left out.

    For lists of tokens: a comma in a quoted string would split it. RFC 9110 §5.6.1.
    """
    return [
        member for value in values for part in value.split(b",") if (member := part.strip(b" \t").lower())
    ]


NO_OPTIONS: Final[frozenset[bytes]] = frozenset()


class Facts:
    """What framing and persistence need to know of one head. Never changed once gathered.

    Attributes:
        version: as received, (1, 1) for instance; a sent message has the sender's.
        is_request: False for a response.
        options: connection options of all Connection lines, lower case (RFC 9110 §7.6.1).
        lengths: raw values of the Content-Length lines.
        codings: raw values of the Transfer-Encoding lines.
        hosts: raw values of the Host lines.
        keep_alive: raw values of the Keep-Alive lines, () unless the option is there too (R174).
        upgrade: lower-case protocols of the Upgrade lines, () unless the option is there (R136).
        expectations: lower-case members of the Expect lines.
        trailers_accepted: True if the TE field says "trailers".
        idempotency_key: True if the request carries one.
    """

    __slots__ = (
        "codings",
        "expectations",
        "hosts",
        "idempotency_key",
        "is_request",
        "keep_alive",
        "lengths",
        "options",
        "proxy_options",
        "trailers_accepted",
        "upgrade",
        "version",
    )

    def __init__(self, version: Version, is_request: bool, specials: Sequence[FieldLine]) -> None:
        by_kind: dict[int, list[bytes]] = {}
        for line in specials:
            by_kind.setdefault(line.kind, []).append(line.value)
        take = by_kind.get
        self.version = version
        self.is_request = is_request
        self.options = frozenset(split_list(take(CONNECTION, ()))) or NO_OPTIONS
        self.proxy_options = frozenset(split_list(take(PROXY_CONNECTION, ()))) or NO_OPTIONS
        self.lengths = tuple(take(CONTENT_LENGTH, ()))
        self.codings = tuple(take(TRANSFER_ENCODING, ()))
        self.hosts = tuple(take(HOST, ()))
        # 9110 §7.6.1: a connection-specific field without its option was meant for somebody else.
        self.keep_alive = tuple(take(KEEP_ALIVE, ())) if b"keep-alive" in self.options else ()
        # 9110 §7.8: Upgrade in an HTTP/1.0 request is ignored (R143).
        upgradable = b"upgrade" in self.options and version >= HTTP_11
        self.upgrade = tuple(split_list(take(UPGRADE, ()))) if upgradable else ()
        self.expectations = tuple(split_list(take(EXPECT, ())))
        self.trailers_accepted = b"trailers" in split_list(take(TE, ()))
        self.idempotency_key = IDEMPOTENCY_KEY in by_kind


_remembered_facts: Final[dict[tuple[object, ...], Facts]] = {}
_MOST_SPECIALS: Final = 8
_MOST_SPECIAL_OCTETS: Final = REMEMBERED_LINE_OCTETS * 2
"""An unusual head is not worth remembering; with REMEMBERED_LINES of them this bounds the memory."""


def gather(version: Version, is_request: bool, lines: Sequence[FieldLine]) -> Facts:
    """Gather the facts of a head in one pass over its lines.

    Facts never change, so equal heads share them: only the lines that matter are the key.
    RFC 9112 §6, RFC 9110 §7.6.1.
    """
    # Octets remember their own hash, lines do not: 0.8 µs less than lines in an lru_cache.
    key = (version, is_request, *[line[4] for line in lines if line[3]])
    facts = _remembered_facts.get(key)
    if facts is None:
        specials = [line for line in lines if line[3]]
        facts = Facts(version, is_request, specials)
        if len(specials) <= _MOST_SPECIALS and sum(len(line[4]) for line in specials) <= _MOST_SPECIAL_OCTETS:
            if len(_remembered_facts) >= REMEMBERED_LINES:
                _remembered_facts.clear()
            _remembered_facts[key] = facts
    return facts
