"""Each way to fail has its status and its error type, and says nothing of where the origin is."""

from __future__ import annotations

import pytest

from perdure.core import Reason, RemoteViolation
from perdure.intermediary.failures import LOOP, OTHER, ROWS, proxy_status, refusal, row_of, text_of

# RFC 9209 §2.3: the registered error types.
REGISTERED = frozenset(
    [
        "dns_timeout",
        "dns_error",
        "destination_not_found",
        "destination_unavailable",
        "destination_ip_prohibited",
        "destination_ip_unroutable",
        "connection_refused",
        "connection_terminated",
        "connection_timeout",
        "connection_read_timeout",
        "connection_write_timeout",
        "connection_limit_reached",
        "tls_protocol_error",
        "tls_certificate_error",
        "tls_alert_received",
        "http_request_error",
        "http_request_denied",
        "http_response_incomplete",
        "http_response_header_section_size",
        "http_response_header_size",
        "http_response_body_size",
        "http_response_trailer_section_size",
        "http_response_trailer_size",
        "http_response_transfer_coding",
        "http_response_content_coding",
        "http_response_timeout",
        "http_upgrade_failed",
        "http_protocol_error",
        "proxy_internal_response",
        "proxy_internal_error",
        "proxy_configuration_error",
        "proxy_loop_detected",
    ]
)


@pytest.mark.parametrize("row", [*ROWS.values(), OTHER, LOOP])
def test_error_types_are_registered_ones(row: object) -> None:
    assert getattr(row, "error", None) in REGISTERED


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.CONNECT_FAILED, 502),
        (Reason.CONNECT_TIMEOUT, 504),
        (Reason.READ_TIMEOUT, 504),
        (Reason.PRESSURE, 503),
        (Reason.INCOMPLETE, 502),
        (Reason.FAULTY_FRAMING, 502),
        (Reason.LOCAL_FAULT, 500),
        (Reason.MAX_AGE, 502),  # any other
    ],
)
def test_status_says_who_failed(reason: Reason, status: int) -> None:
    assert row_of(reason).status == status


def test_answer_names_the_failure_in_a_field_and_in_words() -> None:
    row = row_of(Reason.CONNECT_FAILED)
    assert proxy_status(row, b"perdure").octets == b"Proxy-Status: perdure; error=connection_refused\r\n"
    assert text_of(row) == "502 Bad Gateway: connecting to the origin failed"


def test_refusal_of_a_request_keeps_its_status() -> None:
    row = refusal(RemoteViolation("wrong", Reason.BAD_SYNTAX, 400))
    assert (row.status, row.error, row.sentence) == (400, "http_request_error", "wrong")
