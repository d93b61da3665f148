"""What one side wants of persistence, and what it says then (RFC 9112 §9.3, §9.6)."""

from __future__ import annotations

import pytest

from perdure.core import Announce, ServerConnection, Terms
from perdure.core.terms import DEFAULT_TERMS
from tests.core.harness import read_requests

OLD = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
NEW = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def head_of_answer(request: bytes, terms: Terms) -> list[bytes]:
    """The lines of the answer that speak of persistence."""
    sent = bytearray()
    read_requests([request], connection=ServerConnection(terms=terms), sent=sent)
    return [line for line in bytes(sent).split(b"\r\n") if line.startswith((b"Connection", b"Keep-Alive"))]


def test_by_default_connections_persist_without_a_limit_or_a_hint() -> None:
    assert DEFAULT_TERMS.persist
    assert DEFAULT_TERMS.http_10_honoured
    assert (DEFAULT_TERMS.keep_alive_timeout, DEFAULT_TERMS.max_requests) == (None, None)
    assert DEFAULT_TERMS.announce is Announce.ALWAYS


@pytest.mark.row("S4")
@pytest.mark.parametrize(
    ("terms", "to_new", "to_old"),
    [
        (Terms(), [], [b"Connection: keep-alive"]),
        (
            Terms(keep_alive_timeout=75, max_requests=1000),
            [b"Connection: keep-alive", b"Keep-Alive: timeout=75, max=999"],
            [b"Connection: keep-alive", b"Keep-Alive: timeout=75, max=999"],
        ),
        (
            Terms(keep_alive_timeout=75, announce=Announce.HTTP_10),
            [],
            [b"Connection: keep-alive", b"Keep-Alive: timeout=75"],
        ),
        (Terms(keep_alive_timeout=75, announce=Announce.NEVER), [], [b"Connection: keep-alive"]),
        (Terms(persist=False), [b"Connection: close"], [b"Connection: close"]),
        (Terms(max_requests=1), [b"Connection: close"], [b"Connection: close"]),
        (Terms(http_10_honoured=False), [], [b"Connection: close"]),
    ],
)
def test_terms_decide_what_an_answer_says(terms: Terms, to_new: list[bytes], to_old: list[bytes]) -> None:
    assert head_of_answer(NEW, terms) == to_new
    assert head_of_answer(OLD, terms) == to_old


def test_terms_have_no_settings_that_nobody_reads() -> None:
    with pytest.raises(AttributeError):
        Terms().idle_timeout = 5  # type: ignore[attr-defined]  # that is the point
