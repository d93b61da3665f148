"""Settings of the serving side, and what the core is told of them."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import pytest

from perdure.core import Announce
from perdure.core.limits import SERVER_LIMITS
from perdure.core.terms import DEFAULT_TERMS
from perdure.server.serve import Server
from perdure.server.settings import ServerSettings
from tests.server.stand import hello


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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("idle_timeout", -3, "idle_timeout: a number of seconds expected, got -3"),
        ("idle_timeout", "75", 'idle_timeout: a number of seconds expected, got "75"'),
        ("idle_timeout", math.inf, "idle_timeout: a number of seconds expected, got Infinity"),
        ("max_requests", 0, 'max_requests: a number, at least 1, or "none" expected, got 0'),
        ("max_fields", True, "max_fields: a number, at least 1, expected, got true"),
        ("body_min_rate", 0.0, "body_min_rate: a number of octets a second, above 0, expected, got 0.0"),
        ("announce", "no", 'announce: one of "always", "http10", "never" expected, got "no"'),
        ("proxy_protocol", [4], "proxy_protocol: a list, each a text, expected, got [4]"),
    ],
)
def test_what_python_gives_is_checked_as_a_file_or_a_flag_is(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        Server(hello, **{name: value})


def test_what_python_gives_gets_the_type_that_the_setting_says() -> None:
    given: dict[str, Any] = {
        "idle_timeout": 30,
        "proxy_protocol": ["::1"],
        "access_log_file": "log",
        "access_log": "json",
    }
    settings = ServerSettings(**given, max_age=None)
    assert (settings.idle_timeout, type(settings.idle_timeout)) == (30.0, float)
    assert (settings.proxy_protocol, settings.max_age) == (("::1",), None)
    assert settings.access_log_file == Path("log")
    assert ServerSettings(access_log="json", access_log_file=Path("log")).access_log_file == Path("log")


def test_a_file_for_a_log_that_is_off_is_an_error() -> None:
    with pytest.raises(ValueError, match=r'^access_log_file: "combined" or "json" expected in access_log'):
        ServerSettings(access_log_file=Path("log"))
