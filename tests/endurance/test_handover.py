"""A gateway is replaced under load and no request fails: a short `scripts/handover`."""

from __future__ import annotations

import sys

import pytest

from tests.endurance.handover import Handover, run

SECONDS = 8
PAUSE_SECONDS = 0.5
AT_LEAST = 50
"""However busy the machine."""


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc")
@pytest.mark.row("R115", "S6", "S16")
@pytest.mark.parametrize("way", ["SIGHUP", "SIGTERM"])
def test_no_request_fails_while_gateways_are_replaced(way: str) -> None:
    done = run(way, AT_LEAST, PAUSE_SECONDS, SECONDS, tell=lambda _: None)
    assert done.failed == {}
    assert min(done.requests.values()) > AT_LEAST
    assert done.replaced > 0


def test_failures_are_told_by_whom_and_how_often() -> None:
    done = Handover("SIGHUP")
    done.count("wrk", 100, read_errors=0, refused=2)
    done.count("wrk", 50, read_errors=1, refused=1)
    assert done.total == 150
    assert done.failed == {"wrk: refused": 3, "wrk: read errors": 1}
    assert done.told() == (
        "SIGHUP: 150 requests in 0 s (wrk 150), replaced 0 times\n"
        "  failed: wrk: refused 3, wrk: read errors 1"
    )
