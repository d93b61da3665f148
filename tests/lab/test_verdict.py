"""Claims and verdicts."""

from __future__ import annotations

import pytest

from perdure.lab.verdict import Claim, Holds, seconds_text, verdict

GOOD = Claim("hang", "5.0 s", "5.0 s", Holds.YES, "RFC 9112 §9.6")
BAD = Claim("hang", "5.0 s", "none", Holds.NO)
UNSEEN = Claim("packets", "fewer", "not shown on memory", Holds.NOT_SHOWN)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([GOOD, GOOD], Holds.YES),
        ([GOOD, BAD, UNSEEN], Holds.NO),
        ([GOOD, UNSEEN], Holds.YES),
        ([UNSEEN], Holds.NOT_SHOWN),
        ([], Holds.NOT_SHOWN),
    ],
)
def test_one_failure_fails_all_and_something_must_be_shown(claims: list[Claim], expected: Holds) -> None:
    assert verdict(claims) is expected


def test_claim_is_one_line() -> None:
    assert GOOD.text() == "holds      hang: 5.0 s  RFC 9112 §9.6"
    assert BAD.text() == "fails      hang: none (expected 5.0 s)"
    assert BAD.document()["holds"] == "fails"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0521, "0.052 s"), (1.5, "1.50 s"), (12.34, "12.3 s"), (0.0, "0.000 s")]
)
def test_seconds_are_written_with_the_digits_that_matter(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
