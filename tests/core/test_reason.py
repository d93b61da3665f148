"""Every Reason is a row that a person, a log and a metric can use (RFC 9112 §9)."""

from __future__ import annotations

import re

import pytest

from perdure.core import Reason

SECTION = re.compile(r"\d{4} (§\d+(\.\d+)*|C\.\d(\.\d)?)")
every_reason = pytest.mark.parametrize("reason", Reason, ids=lambda reason: str(reason.word))


@every_reason
def test_reason_cites_a_section(reason: Reason) -> None:
    assert SECTION.fullmatch(reason.value.section)


@every_reason
def test_sentence_can_stand_within_a_log_line(reason: Reason) -> None:
    sentence = reason.value.sentence
    assert sentence == sentence.strip()
    assert "\n" not in sentence
    assert not sentence.endswith(".")


@every_reason
def test_word_is_a_metric_label(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", reason.word)
    assert Reason[reason.word.upper()] is reason


def test_sentences_are_told_apart_by_a_reader() -> None:
    assert len({reason.value.sentence for reason in Reason}) == len(Reason)


def test_reason_prints_as_its_sentence_and_section() -> None:
    assert str(Reason.IDLE_LIMIT) == "idle limit reached (9112 §9.5)"


def test_connection_goes_on_for_two_reasons_only() -> None:
    assert {reason for reason in Reason if reason.persists} == {Reason.PERSISTS_11, Reason.PERSISTS_10}


def test_what_persists_is_no_error() -> None:
    assert not any(reason.value.error for reason in Reason if reason.persists)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.CLOSE_RECEIVED, False),
        (Reason.PEER_CLOSED, False),
        (Reason.IDLE_408, False),
        (Reason.FAULTY_FRAMING, True),
        (Reason.INCOMPLETE, True),
        (Reason.LOCAL_FAULT, True),
        (Reason.CONNECT_REJECTED, True),
    ],
)
def test_error_is_said_of_broken_protocol_only(reason: Reason, error: bool) -> None:
    assert reason.value.error is error
