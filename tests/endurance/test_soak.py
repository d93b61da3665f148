"""A minute of mixed traffic, five in CI or as PERDURE_SOAK_SECONDS says; scripts/soak takes half an hour."""

from __future__ import annotations

import faulthandler
import os
import sys

import pytest

from tests.endurance.soak import soak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what is left is read from /proc"),
]

SECONDS = float(os.environ.get("PERDURE_SOAK_SECONDS", "300" if os.environ.get("CI") == "true" else "60"))
CONNECTIONS = 1000


@pytest.mark.row("R103", "R120", "R121", "R122", "R183", "S7", "S16")
def test_every_answer_belongs_to_its_request_and_nothing_is_left_of_a_thousand_connections() -> None:
    # It may be told to take longer than a test that hangs is left alone.
    assert sys.__stderr__ is not None
    faulthandler.dump_traceback_later(3 * SECONDS + 300, exit=True, file=sys.__stderr__)
    outcome = soak(SECONDS, CONNECTIONS, seed=1)
    assert not outcome.complaints(), outcome.summary()
