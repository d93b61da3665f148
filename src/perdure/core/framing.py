"""How long a message is: the one place that reads Content-Length and Transfer-Encoding.

The rules are those of RFC 9112 §6.3, in its order. A wrong length would make the next
message on the connection be misread, so every doubt ends in a violation, never in a guess.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Final, NamedTuple

from perdure.core.errors import LocalViolation, RemoteViolation
from perdure.core.fields import HTTP_11, Facts, Version, split_list
from perdure.core.reason import Reason
from perdure.core.syntax import CONTENT_LENGTH


@enum.unique
class FramingKind(enum.Enum):
    """What tells where the content ends."""

    NONE = "no content"
    LENGTH = "Content-Length"
    CHUNKED = "chunked transfer coding"
    UNTIL_CLOSE = "the end of the connection"
    TUNNEL = "a tunnel: no longer HTTP"


class Framing(NamedTuple):
    """The framing of one message; `length` is in octets and only meaningful for LENGTH."""

    kind: FramingKind
    length: int = 0
    faulty: bool = False
    """True if the message may be processed but the connection must not be trusted after it."""


NO_CONTENT: Final = Framing(FramingKind.NONE)
CHUNKED: Final = Framing(FramingKind.CHUNKED)
UNTIL_CLOSE: Final = Framing(FramingKind.UNTIL_CLOSE)
FAULTY_UNTIL_CLOSE: Final = Framing(FramingKind.UNTIL_CLOSE, faulty=True)
FAULTY_CHUNKED: Final = Framing(FramingKind.CHUNKED, faulty=True)
TUNNEL: Final = Framing(FramingKind.TUNNEL)


@lru_cache(256)
def framed_by_length(length: int) -> Framing:
    """The framing of content of a known length, in octets. RFC 9112 §6.2."""
    return Framing(FramingKind.LENGTH, length) if length else NO_CONTENT


def _faulty(message: str, status: int = 400) -> RemoteViolation:
    return RemoteViolation(message, Reason.FAULTY_FRAMING, status)


def _declared_length(facts: Facts) -> int | None:
    """The one Content-Length of a head, None if it has none. Repeats are refused, equal or not."""
    if not facts.lengths:
        return None
    if len(facts.lengths) > 1:
        # 9112 §6.3 (5) lets a recipient collapse identical ones; we refuse (R59).
        raise _faulty(f"{len(facts.lengths)} Content-Length fields, at most 1 allowed (9112 §6.3)")
    value = facts.lengths[0]
    if not CONTENT_LENGTH.fullmatch(value):
        raise _faulty(f"Content-Length is {value[:40]!r}, 1 to 19 digits expected (9110 §8.6)")
    return int(value)


def request_framing(facts: Facts) -> Framing:
    """How long a received request is.

    Returns:
        NO_CONTENT, a length, or CHUNKED; never UNTIL_CLOSE, since a request that ends with
        the connection could not be answered.

    Raises:
        RemoteViolation: with status 400 for contradicting or malformed framing fields, 501 for
            a transfer coding other than chunked. The connection must end after the answer.

    RFC 9112 §6.1, §6.3.
    """
    if not facts.codings:
        length = _declared_length(facts)
        return NO_CONTENT if not length else framed_by_length(length)
    if facts.lengths:
        # 9112 §6.1: a request with both is a smuggling attempt until proven otherwise.
        raise _faulty("both Transfer-Encoding and Content-Length (9112 §6.1)")
    if facts.version < HTTP_11:
        # 9112 §6.1: faulty framing; there is no telling what the 1.0 hop before us did with it.
        raise _faulty("Transfer-Encoding in an HTTP/1.0 request (9112 §6.1)")
    codings = split_list(facts.codings)
    if codings == [b"chunked"]:
        return CHUNKED
    if not codings or codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        # 9112 §6.3 (4): the final coding is not chunked, so the length cannot be known.
        said = b", ".join(facts.codings)[:60]
        raise _faulty(f"Transfer-Encoding is {said!r}, chunked expected last, once (9112 §6.3)")
    raise _faulty(f"transfer coding {codings[0][:40]!r} is not known here (9112 §6.1)", 501)


def response_framing(facts: Facts, status: int, request_method: bytes) -> Framing:
    """How long a received response is, given the method of the request it answers.

    Returns:
        `faulty` is set where RFC 9112 §6.1 says that the framing cannot be trusted: the
        message is processed, the connection is not used again.

    Raises:
        RemoteViolation: with status 502 for a malformed or contradicting length. Discard the
            response and close.

    RFC 9112 §6.3.
    """
    if status == 101 or (request_method == b"CONNECT" and 200 <= status < 300):
        return TUNNEL  # 9112 §6.3 (2): framing fields are ignored
    if request_method == b"HEAD" or status in (204, 304) or status < 200:
        return NO_CONTENT  # 9112 §6.3 (1): ends at the blank line whatever the fields say
    if facts.codings:
        return _coded_response_framing(facts)
    try:
        length = _declared_length(facts)
    except RemoteViolation as violation:
        violation.status = 502
        raise
    if length is None:
        return UNTIL_CLOSE
    return framed_by_length(length)


def _coded_response_framing(facts: Facts) -> Framing:
    if facts.lengths:
        # 9112 §6.3 (3): "ought to be handled as an error"; response splitting looks like this.
        raise _faulty("both Transfer-Encoding and Content-Length in a response (9112 §6.3)", 502)
    codings = split_list(facts.codings)
    last_is_chunked = bool(codings) and codings[-1] == b"chunked"
    if codings.count(b"chunked") > int(last_is_chunked):
        raise _faulty("chunked is applied twice, or not last (9112 §6.1)", 502)
    faulty = facts.version < HTTP_11  # 9112 §6.1: whatever the sender meant, close afterwards
    if last_is_chunked:
        return FAULTY_CHUNKED if faulty else CHUNKED
    return FAULTY_UNTIL_CLOSE if faulty else UNTIL_CLOSE  # 9112 §6.3 (4)


class Outgoing(NamedTuple):
    """How a message of ours is framed, and what its head must say of it."""

    framing: Framing
    line: bytes = b""
    """The framing line to add, with its CRLF; b"" where the caller's own says it."""
    drop_length: bool = False
    """True where a Content-Length of the caller's must not be sent."""
    silent: bool = False
    """True where content is not sent although the caller may hand it over (HEAD, 204, 304)."""


CHUNKED_LINE: Final = b"Transfer-Encoding: chunked\r\n"
_SEND_CHUNKED: Final = Outgoing(CHUNKED, CHUNKED_LINE)
_SEND_UNTIL_CLOSE: Final = Outgoing(UNTIL_CLOSE)
_SEND_NOTHING: Final = Outgoing(NO_CONTENT)
_SEND_TUNNEL: Final = Outgoing(TUNNEL, drop_length=True)
_SEND_SILENT: Final = Outgoing(NO_CONTENT, silent=True)
_SEND_SILENT_WITHOUT_LENGTH: Final = Outgoing(NO_CONTENT, drop_length=True, silent=True)
_RESET_CONTENT: Final = Outgoing(NO_CONTENT, b"Content-Length: 0\r\n", drop_length=True, silent=True)


@lru_cache(256)
def _send_length(length: int, add_line: bool) -> Outgoing:
    return Outgoing(framed_by_length(length), b"Content-Length: %d\r\n" % length if add_line else b"")


def _own_length(facts: Facts) -> int | None:
    """The Content-Length our caller set, checked like a peer's."""
    try:
        return _declared_length(facts)
    except RemoteViolation as violation:
        raise LocalViolation(str(violation), Reason.LOCAL_FAULT, 500) from None


def response_to_send(
    facts: Facts, status: int, request_method: bytes, request_version: Version, length: int | None
) -> Outgoing:
    """How a response of ours is framed.

    Args:
        facts: of the caller's field lines; a Content-Length among them is taken at its word,
            and held to it; a Transfer-Encoding is not looked at.
        length: octets of content where the caller knows all of it, else None.

    Raises:
        LocalViolation: for a malformed Content-Length of the caller's, or one that differs
            from `length`. Nothing was sent.

    RFC 9112 §6.1, §6.2; RFC 9110 §8.6, §9.3.2, §15.3.6, §15.4.5.
    """
    if status == 101 or (request_method == b"CONNECT" and 200 <= status < 300):
        return _SEND_TUNNEL
    if status == 204 or status < 200:
        return _SEND_SILENT_WITHOUT_LENGTH  # R44
    if status == 205:
        return _RESET_CONTENT  # R68
    declared = _own_length(facts) if facts.lengths else None
    if status == 304:
        return _SEND_SILENT  # its Content-Length is that of the 200 it stands for (R67)
    if request_method == b"HEAD":
        if declared is None and length:
            return Outgoing(NO_CONTENT, b"Content-Length: %d\r\n" % length, silent=True)
        return _SEND_SILENT
    if declared is not None:
        if length is not None and length != declared:
            message = f"Content-Length says {declared}, the content has {length} octets (9110 §8.6)"
            raise LocalViolation(message, Reason.LOCAL_FAULT, 500)
        return _send_length(declared, False)
    if length is not None:
        return _send_length(length, True)
    if request_version >= HTTP_11:
        return _SEND_CHUNKED
    return _SEND_UNTIL_CLOSE  # R47: never chunked to HTTP/1.0


def request_to_send(facts: Facts, method: bytes, length: int | None, peer_speaks_11: bool) -> Outgoing:
    """How a request of ours is framed.

    Args:
        facts: of the caller's field lines.
        length: octets of content where all of it is known, else None.
        peer_speaks_11: True once the server is known to speak HTTP/1.1 (R46).

    Raises:
        LocalViolation: for a malformed or differing Content-Length; for content in a TRACE
            request; for content of unknown length to a server not known to speak HTTP/1.1.

    RFC 9112 §6.1, §6.2; RFC 9110 §8.6, §9.3.8.
    """
    declared = _own_length(facts) if facts.lengths else None
    if declared is not None and length is not None and length != declared:
        message = f"Content-Length says {declared}, the content has {length} octets (9110 §8.6)"
        raise LocalViolation(message, Reason.LOCAL_FAULT)
    known = declared if declared is not None else length
    if method == b"TRACE" and known != 0:
        raise LocalViolation("a TRACE request has no content (9110 §9.3.8)", Reason.LOCAL_FAULT)
    if known is not None:
        # 9110 §8.6: say zero where the method leads the server to expect content.
        add_line = declared is None and (known > 0 or method in (b"POST", b"PUT", b"PATCH"))
        return _send_length(known, add_line) if known or add_line else _SEND_NOTHING
    if not peer_speaks_11 or facts.version < HTTP_11:
        message = "content of unknown length for a server not known to speak HTTP/1.1 (9112 §6.1)"
        raise LocalViolation(message, Reason.LOCAL_FAULT)
    return _SEND_CHUNKED
