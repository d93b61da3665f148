"""Events: what each says of itself, and what it takes for granted."""

from __future__ import annotations

import pytest

from perdure.core import (
    HTTP_10,
    HTTP_11,
    Data,
    EndOfMessage,
    EndOfStream,
    Event,
    FramingKind,
    Interim,
    Request,
    Response,
    make_lines,
)

LINES = make_lines([(b"Host", b"x"), (b"Connection", b"close")])


@pytest.mark.parametrize(
    ("event", "words", "end"),
    [
        (Request(b"GET", b"/", LINES), "Request(b'GET', b'/', 2 fields, NONE)", True),
        (Response(200, LINES, end=False), "Response(200, 2 fields, NONE)", False),
        (Interim(103, LINES), "Interim(103, 2 fields)", False),
        (Data(b"hello"), "Data(5 octets)", False),
        (Data(b"", True), "Data(0 octets, end)", True),
        (EndOfMessage(LINES), "EndOfMessage(2 trailers)", True),
        (EndOfStream(), "EndOfStream()", False),
    ],
)
def test_event_says_what_it_is_and_whether_it_ends_the_message(event: Event, words: str, end: bool) -> None:
    assert (repr(event), event.end) == (words, end)


def test_head_to_be_sent_gathers_its_own_facts() -> None:
    request, response = Request(b"GET", b"/", LINES), Response(200, LINES)
    assert (request.version, request.facts.is_request, request.facts.options) == (
        HTTP_11,
        True,
        frozenset([b"close"]),
    )
    assert (response.version, response.facts.is_request, response.reason_phrase) == (HTTP_11, False, None)
    assert request.facts.hosts == (b"x",)
    assert request.framing.kind is response.framing.kind is FramingKind.NONE
    assert Request(b"GET", b"/", version=HTTP_10).facts.version == HTTP_10


def test_head_that_was_received_keeps_the_facts_it_came_with() -> None:
    facts = Request(b"GET", b"/", LINES).facts
    assert Request(b"GET", b"/", facts=facts).facts is facts
    assert Response(200, facts=facts).facts is facts


def test_message_is_complete_with_its_head_unless_it_is_said_otherwise() -> None:
    assert Request(b"GET", b"/").end
    assert not Request(b"POST", b"/", end=False).end


@pytest.mark.parametrize(
    "event", [Request(b"GET", b"/"), Response(200), Interim(100), Data(b""), EndOfStream()]
)
def test_events_are_slotted(event: Event) -> None:
    assert not hasattr(event, "__dict__")
