"""Sending a request again: RFC 9110 §9.2.2, RFC 9112 §9.3.1."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from perdure.core.reason import Reason
from perdure.core.retry import (
    IDEMPOTENT,
    RULE,
    Failure,
    Verdict,
    is_repeatable,
    may_retry,
    reason_of_end,
)

STALE_GET = Failure(b"GET", reused=True, octets_written=78)
STALE_POST = replace(STALE_GET, method=b"POST")


@pytest.mark.row("R111", "R183")
def test_get_written_on_a_connection_that_went_stale_is_repeated() -> None:
    assert may_retry(STALE_GET) is Verdict.IDEMPOTENT_METHOD


@pytest.mark.row("R148", "R149", "R111")
def test_post_of_which_the_peer_may_have_read_an_octet_is_not_repeated() -> None:
    assert may_retry(replace(STALE_POST, octets_written=1)) is Verdict.NOT_IDEMPOTENT


@pytest.mark.row("R148")
def test_post_is_sent_once_when_no_octet_of_it_had_left() -> None:
    assert may_retry(replace(STALE_POST, octets_written=0)) is Verdict.NOTHING_WRITTEN


def test_post_with_an_idempotency_key_is_repeated() -> None:
    assert may_retry(replace(STALE_POST, has_idempotency_key=True)) is Verdict.IDEMPOTENCY_KEY


@pytest.mark.row("R150")
@pytest.mark.parametrize("written", [0, 78])
def test_a_repetition_is_never_repeated(written: int) -> None:
    assert may_retry(replace(STALE_GET, retried=True, octets_written=written)) is Verdict.ALREADY_RETRIED


def test_request_on_a_fresh_connection_is_not_repeated_because_it_was_no_idle_close() -> None:
    assert may_retry(replace(STALE_GET, reused=False, octets_written=0)) is Verdict.NOT_REUSED


def test_request_whose_response_began_is_not_repeated() -> None:
    assert may_retry(replace(STALE_GET, answered=True)) is Verdict.ANSWERED


def test_content_that_cannot_be_produced_again_is_not_repeated() -> None:
    assert may_retry(replace(STALE_GET, method=b"PUT", replayable=False)) is Verdict.NOT_REPLAYABLE


@pytest.mark.row("R88")
@pytest.mark.parametrize(("method", "allowed"), [(b"GET", True), (b"POST", False)])
def test_408_on_a_reused_connection_counts_as_no_answer(method: bytes, allowed: bool) -> None:
    assert may_retry(replace(STALE_GET, method=method, answered=False)).allowed is allowed


@pytest.mark.row("R104")
def test_pipelined_requests_without_answer_are_repeated_as_far_as_they_are_idempotent() -> None:
    written = [b"GET"] * 3 + [b"POST"] + [b"DELETE"] * 2
    unanswered = [Failure(method, reused=True, octets_written=60) for method in written[2:]]
    assert [may_retry(failure).allowed for failure in unanswered] == [True, False, True, True]


@pytest.mark.parametrize(
    ("method", "idempotent"),
    [
        *[(method, True) for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE")],
        *[(method, False) for method in (b"POST", b"PATCH", b"CONNECT", b"get", b"LOCK")],
    ],
)
def test_methods_are_idempotent_by_the_table_and_by_case(method: bytes, idempotent: bool) -> None:
    assert (method in IDEMPOTENT) is idempotent
    assert is_repeatable(method, has_idempotency_key=False, replayable=True) is idempotent
    assert is_repeatable(method, has_idempotency_key=True, replayable=True)
    assert not is_repeatable(method, has_idempotency_key=True, replayable=False)


BITS = (False, True)


def test_rule_is_the_sentence_of_the_documentation_for_every_case() -> None:
    cases = product((b"GET", b"POST"), BITS, (0, 5), BITS, BITS, BITS, BITS)
    for method, reused, written, answered, replayable, key, retried in cases:
        failure = Failure(method, reused, written, answered, replayable, key, retried)
        harmless = written == 0 or method == b"GET" or key
        expected = reused and not answered and harmless and replayable and not retried
        assert may_retry(failure).allowed is expected, failure


def test_a_request_leased_as_repeatable_may_always_be_repeated_once_if_stale() -> None:
    for method, key, replayable in product((b"GET", b"POST"), BITS, BITS):
        failure = replace(STALE_GET, method=method, has_idempotency_key=key, replayable=replayable)
        assert may_retry(failure).allowed is is_repeatable(method, key, replayable)


def test_every_verdict_is_reachable_once_and_says_why_with_its_section() -> None:
    assert [verdict for verdict, _ in RULE] == list(Verdict)
    assert str(Verdict.NOTHING_WRITTEN) == "no octet of it was written (9110 §9.2.2)"


@pytest.mark.row("R88", "R148")
@pytest.mark.parametrize(
    ("status", "reused", "reason", "told"),
    [
        (408, True, Reason.CLOSE_RECEIVED, Reason.IDLE_408),
        (408, True, Reason.HTTP_10, Reason.IDLE_408),
        (408, False, Reason.CLOSE_RECEIVED, Reason.CLOSE_RECEIVED),
        (408, True, Reason.PERSISTS_11, Reason.PERSISTS_11),
        (503, True, Reason.CLOSE_RECEIVED, Reason.CLOSE_RECEIVED),
    ],
)
def test_408_that_ends_a_reused_connection_is_its_idle_limit_whoever_gets_it(
    status: int, reused: bool, reason: Reason, told: Reason
) -> None:
    assert reason_of_end(status, reused, reason) is told
