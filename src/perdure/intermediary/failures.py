"""What a client is told when the origin cannot be asked, or answers rubbish.

Each Reason with which an exchange toward the origin can fail has one row: the status, the error
type of Proxy-Status, and a sentence. The answer names who failed, so that a 502 of ours is never
mistaken for one of the origin's.

RFC 9110 §15.6.3 to §15.6.5 (502, 503, 504), RFC 9209 §2.3 (error types).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from perdure.client.errors import ExchangeError
from perdure.core import FieldLine, Reason, RemoteViolation, make_line
from perdure.core.writer import PHRASES
from perdure.intermediary.proxy_status import status_line
from perdure.wire.errors import AddressProhibited, CertificateRefused, NameNotFound, TlsFailed, WireError

ORIGIN: Final = "the origin"
"""How the sentences call whoever is asked."""


class Row(NamedTuple):
    """How one failure is answered."""

    status: int
    error: str
    """The error type of RFC 9209 §2.3."""
    sentence: str


_INCOMPLETE = Row(502, "http_response_incomplete", "the origin's response ended before it was complete")
_PROTOCOL = Row(502, "http_protocol_error", "the origin's response is not valid HTTP")
_TERMINATED = Row(502, "connection_terminated", "the origin closed the connection before it answered")

ROWS: Final[dict[Reason, Row]] = {
    Reason.CONNECT_FAILED: Row(502, "connection_refused", "connecting to the origin failed"),
    Reason.CONNECT_TIMEOUT: Row(504, "connection_timeout", "connecting to the origin took too long"),
    Reason.PRESSURE: Row(
        503, "connection_limit_reached", "all connections to the origin stayed busy for too long"
    ),
    Reason.QUEUE_FULL: Row(
        503, "connection_limit_reached", "too many requests wait for a connection to the origin"
    ),
    Reason.POOL_CLOSED: Row(503, "connection_limit_reached", "the gateway is shutting down"),
    Reason.READ_TIMEOUT: Row(504, "http_response_timeout", "the origin did not answer in time"),
    Reason.WRITE_TIMEOUT: Row(504, "connection_write_timeout", "the origin did not take the request in time"),
    Reason.PEER_RESET: _TERMINATED,
    Reason.PEER_CLOSED: _TERMINATED,
    Reason.IDLE_408: _TERMINATED,
    Reason.INCOMPLETE: _INCOMPLETE,
    Reason.FAULTY_FRAMING: _PROTOCOL,
    Reason.BAD_SYNTAX: _PROTOCOL,
    Reason.BAD_VERSION: _PROTOCOL,
    Reason.SURPLUS_OCTETS: _PROTOCOL,
    Reason.TOO_LARGE: Row(
        502, "http_response_header_section_size", "a part of the origin's response is too large"
    ),
    Reason.LOCAL_FAULT: Row(500, "proxy_internal_error", "the gateway failed"),
}
_CAUSES: Final[tuple[tuple[type[WireError], Row], ...]] = (
    (AddressProhibited, Row(403, "destination_ip_prohibited", "connecting to that address is prohibited")),
    (NameNotFound, Row(502, "dns_error", "the name of the origin has no address")),
    (CertificateRefused, Row(502, "tls_certificate_error", "the certificate of the origin is refused")),
    (TlsFailed, Row(502, "tls_protocol_error", "the TLS handshake with the origin failed")),
)
"""What the wire knows better than a Reason tells."""
OTHER: Final = Row(502, "connection_terminated", "the exchange with the origin was cut short")

RETRY_AFTER: Final = make_line(b"Retry-After", b"1")
"""With 503, in seconds: what is full now may have room again soon. RFC 9110 §10.2.3."""
LOOP: Final = Row(508, "proxy_loop_detected", "this request has passed through this gateway before")
NO_TUNNEL: Final = Row(501, "http_request_denied", "this gateway opens no tunnels")
UNKNOWN_EXPECTATION: Final = Row(
    417, "http_request_error", "the only expectation known here is 100-continue (9110 §10.1.1)"
)
TRACE_WITH_CONTENT: Final = Row(400, "http_request_error", "a TRACE request has no content (9110 §9.3.8)")
HOOK_FAILED: Final = Row(500, "proxy_internal_error", "a hook of this gateway failed")
LENGTH_REQUIRED: Final = Row(
    411, "http_request_error", "the origin speaks HTTP/1.0 and needs a Content-Length for this content"
)
MISDIRECTED: Final = Row(421, "destination_not_found", "no route of this gateway names this host")
NO_ROUTE: Final = Row(404, "destination_not_found", "no route of this gateway names this path")
DOT_SEGMENTS: Final = Row(400, "http_request_error", "the path has dot segments (RFC 3986 §5.2.4)")
BODY_TOO_LARGE: Final = Row(413, "http_request_error", "the content is larger than this route takes")


def row_of(reason: Reason) -> Row:
    """The row of a Reason with which the origin's side of an exchange failed."""
    return ROWS.get(reason, OTHER)


def row_of_error(error: ExchangeError) -> Row:
    """The row of an error for which there is no connection."""
    cause = error.__cause__
    return next((row for kind, row in _CAUSES if isinstance(cause, kind)), None) or row_of(error.reason)


def refusal(violation: RemoteViolation) -> Row:
    """The row of a request that is refused because it is wrong."""
    return Row(violation.status, "http_request_error", str(violation))


def proxy_status(row: Row, pseudonym: bytes) -> FieldLine:
    """The Proxy-Status field of an answer, such as `perdure; error=connection_refused`. RFC 9209 §2."""
    return status_line(pseudonym, row.error)


def text_of(row: Row, next_hop: str = ORIGIN) -> str:
    """The content of an answer: status, phrase, what failed. Addresses of origins are not told.

    Args:
        next_hop: what is asked, in words, where that is not the origin (`forwarding.Forwarding.next_hop`).
    """
    return f"{row.status} {PHRASES.get(row.status, b'').decode()}: {row.sentence.replace(ORIGIN, next_hop)}"
