"""A row that does not exist is a mistake in a test, and stops the run before any test has run."""

from __future__ import annotations

import pytest

from tests.conftest import checked_row


@pytest.mark.parametrize("name", ["R1", "R92", "R183", "S1", "S16"])
def test_row_that_exists_is_taken(name: str) -> None:
    assert checked_row(name, "here") == name


@pytest.mark.parametrize("name", ["R0", "R184", "R092", "r92", "92", "S17", "T1", "", 92, None])
def test_row_that_does_not_exist_is_a_usage_error(name: object) -> None:
    with pytest.raises(pytest.UsageError, match="is no row; expected R1 to R183 or S1 to S16"):
        checked_row(name, "here")
