"""Settings of the serving side, and what the core is told of them."""

from __future__ import annotations

import dataclasses

import pytest

from perdure.core import Announce
from perdure.core.limits import SERVER_LIMITS
from perdure.core.terms import DEFAULT_TERMS
from perdure.server.settings import ServerSettings


def test_the_defaults_of_the_core_are_those_of_the_settings() -> None:
    limits = ServerSettings().limits()
    for name in ("max_line", "max_fields", "max_head", "max_body", "drain_body"):
        assert getattr(limits, name) == getattr(SERVER_LIMITS, name)


def test_terms_say_whole_seconds_so_that_no_more_is_promised_than_kept() -> None:
    terms = ServerSettings(idle_timeout=2.9, max_requests=7, announce="http10", http10="ignore").terms()
    assert (terms.persist, terms.keep_alive_timeout, terms.max_requests) == (True, 2, 7)
    assert (terms.announce, terms.http_10_honoured) == (Announce.HTTP_10, False)
    assert not ServerSettings(idle_timeout=0.0).terms().persist
    assert DEFAULT_TERMS.http_10_honoured


def test_settings_cannot_be_changed_behind_a_running_server() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServerSettings().idle_timeout = 1.0  # type: ignore[misc]  # frozen, and mypy knows
