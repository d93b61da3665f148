"""Which fields stay on this hop.

An intermediary removes what was said to it alone before it forwards, or stores, anything:
requests, interim and final responses, trailers. The order at the caller is always
strip → user hook → add, so that a client's `Connection: X-Forwarded-For` cannot delete what
the intermediary adds (Go #50580, #81319).

A nomination of a field that frames, routes or authenticates is refused, not obeyed: removing it would
change what the message means behind our back (CVE-2022-31813, CVE-2026-26365).

RFC 9110 §7.6.1, RFC 9112 appendix C.2.2 (Proxy-Connection).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perdure.core.errors import RemoteViolation
from perdure.core.fields import Facts, FieldLine
from perdure.core.reason import Reason

HOP_BY_HOP: Final = frozenset(
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"]
)
"""Removed even when no option names them (R133). The writer adds those that are ours."""

NEVER_NOMINATED: Final = frozenset(
    [
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"idempotency-key",
        b"max-forwards",
        b"origin",
        b"range",
        b"set-cookie",
        b"trailer",
        b"transfer-encoding",
        b"via",
        b"x-real-ip",
    ]
)
"""Fields that frame, route, authenticate, tell what may be repeated or what the content is (RFC 9110
§7.6.1 names Cache-Control); X-Forwarded-* belongs to them too."""

FORWARDED_PREFIX: Final = b"x-forwarded-"
MOST_OPTIONS: Final = 10
"""More connection options than this is no honest message (Envoy refuses there too)."""

NEVER_IN_TRAILERS: Final = frozenset(
    [
        *HOP_BY_HOP,
        *NEVER_NOMINATED,
        b"age",
        b"date",
        b"expires",
        b"location",
        b"pragma",
        b"retry-after",
        b"vary",
        b"warning",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"www-authenticate",
    ]
)
"""Fields that mean something before the content only (RFC 9110 §6.5.1); X-Forwarded-* are not here either."""


def refuse_nominations(facts: Facts) -> None:
    """Refuse a head that nominates a field which must not be removed.

    Raises:
        RemoteViolation: with status 400 (request) or 502 (response); close the connection.

    RFC 9110 §7.6.1; decision on R135.
    """
    options = facts.options
    if not options:
        return
    status = 400 if facts.is_request else 502
    if len(options) > MOST_OPTIONS:
        message = f"{len(options)} connection options, at most {MOST_OPTIONS} allowed (9110 §7.6.1)"
        raise RemoteViolation(message, Reason.BAD_SYNTAX, status)
    for option in options:
        if option in NEVER_NOMINATED or option.startswith(FORWARDED_PREFIX):
            message = (
                f"Connection names {option[:40].decode('latin-1')}, which is not for one hop (9110 §7.6.1)"
            )
            raise RemoteViolation(message, Reason.BAD_SYNTAX, status)


def strip(lines: Sequence[FieldLine], facts: Facts) -> list[FieldLine]:
    """The field lines that may cross this hop, in their order.

    Args:
        lines: of a received head.
        facts: of the same head; its options name what else to remove.

    Raises:
        RemoteViolation: see `refuse_nominations`.

    RFC 9110 §7.6.1.
    """
    if not facts.options:
        return [line for line in lines if not line[3] or line[1] not in HOP_BY_HOP]
    refuse_nominations(facts)
    dropped = HOP_BY_HOP | facts.options
    return [line for line in lines if line[1] not in dropped]


def strip_trailers(trailers: Sequence[FieldLine], facts: Facts) -> list[FieldLine]:
    """The trailer fields that may cross this hop: none that the head nominated, none that frames.

    RFC 9110 §6.5.1, §7.6.1.
    """
    dropped = NEVER_IN_TRAILERS | facts.options
    return [line for line in trailers if line[1] not in dropped and not line[1].startswith(FORWARDED_PREFIX)]
