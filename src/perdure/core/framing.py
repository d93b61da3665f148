"""How long a message is: the one place that reads Content-Length and Transfer-Encoding.

The rules are those of RFC 9112 §6.3, in its order. A wrong length would make the next
message on the connection be misread, so every doubt ends in a violation, never in a guess.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Final, NamedTuple

from perdure.core.errors import RemoteViolation
from perdure.core.fields import HTTP_11, Facts, split_list
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
        raise _faulty(f"Transfer-Encoding is {b', '.join(facts.codings)[:60]!r}, chunked expected last, once (9112 §6.3)")
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
