"""The rows and totals of `perdure get`."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from perdure.commands.report import HEADER, Row, Totals, close_lines
from perdure.core import Reason

NEW = Row(1, "http://a/", 200, 1234, 0.0015, 3)
REUSED = NEW._replace(number=2, reused=True, idle_seconds=1.25)
FAILED = Row(3, "http://a/", None, 0, 0.5, None, ends=Reason.PEER_RESET, error="the peer reset it")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (NEW, "      1     200      1234      1.50           3  new           -  -"),
        (REUSED, "      2     200      1234      1.50           3  reused    1.250  -"),
        (
            FAILED,
            "      3  failed         0    500.00           -  -             -  peer_reset  the peer reset it",
        ),
    ],
)
def test_row_is_aligned_with_the_header(row: Row, text: str) -> None:
    assert row.text() == text
    ends = "-" if row.ends is None else row.ends.word
    column = HEADER.index("ends")
    assert text[column:].split("  ")[0] == ends


def test_row_of_several_urls_says_which() -> None:
    assert NEW.text(with_url=True) == f"{NEW.text()}  http://a/"


def test_row_for_a_machine_names_the_reason_by_its_word() -> None:
    assert json.loads(json.dumps(FAILED.document()))["ends"] == "peer_reset"
    assert NEW.document()["ends"] is None
    assert NEW.document()["error"] is None


def test_totals_are_added_up_from_the_rows() -> None:
    totals = Totals(
        opened=2, seconds=0.5, connect_seconds=[0.001, 0.003], closes=Counter({Reason.POOL_CLOSED: 2})
    )
    totals.count([NEW, REUSED, FAILED, NEW._replace(status=404)])
    assert (totals.requests, totals.answered, totals.good, totals.reused) == (4, 3, 2, 1)
    assert totals.lines() == [
        "4 requests in 0.500 s (8/s): 3 answered, 1 failed, 1 with status 400 or above",
        "2 connections opened (2.00 ms each), 1 reuse (saved about 2 ms)",
        "      2 closed  pool_closed       the pool was closed (9112 §9.5)",
    ]
    assert totals.document()["closes"] == {"pool_closed": 2}


def test_totals_of_nothing_divide_by_nothing() -> None:
    assert Totals().rate == 0.0


def test_nothing_is_said_to_be_saved_that_was_not_measured() -> None:
    assert Totals(opened=1, reused=3).lines()[1] == "1 connection opened, 3 reuses"
    assert Totals(opened=1, connect_seconds=[0.5]).lines()[1] == "1 connection opened (500.00 ms), 0 reuses"


def test_commonest_reason_comes_first() -> None:
    lines = close_lines({Reason.PEER_CLOSED: 1, Reason.HTTP_10: 7, Reason.CLOSE_RECEIVED: 1})
    assert [line.split()[2] for line in lines] == ["http_10", "close_received", "peer_closed"]
