"""What several servers did, told as one."""

from __future__ import annotations

import json

import pytest

from perdure.commands.outcome import Manner
from perdure.commands.totals import Totals
from perdure.core import Reason
from perdure.server.registry import Registry
from perdure.server.settings import ServerSettings


def registry(opened: int, requests: int, closes: dict[Reason, int]) -> Registry:
    counted = Registry(ServerSettings())
    counted.opened, counted.requests = opened, requests
    counted.closes.update(closes)
    return counted


def test_the_numbers_of_all_servers_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    with Totals() as totals:
        totals.note(registry(2, 7, {Reason.PEER_CLOSED: 1, Reason.DRAIN: 1}))
        totals.note(registry(3, 9, {Reason.PEER_CLOSED: 3}))
        totals.tell(Manner(json=True))
    assert json.loads(capsys.readouterr().out) == {
        "event": "ended",
        "connections": 5,
        "requests": 16,
        "closes": {"peer_closed": 4, "drain": 1},
    }


def test_nothing_is_told_where_no_server_has_served(capsys: pytest.CaptureFixture[str]) -> None:
    with Totals() as totals:
        totals.tell(Manner(json=True))
    assert capsys.readouterr().out == ""
