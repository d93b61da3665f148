"""Settings: names, defaults, and values that cannot be."""

from __future__ import annotations

import math

import pytest

import perdure
from perdure.client.settings import ClientSettings
from perdure.core import HTTP_10, HTTP_11


def test_the_defaults_are_those_that_are_documented() -> None:
    settings = ClientSettings()
    pool = settings.pool(0.5)
    assert (pool.max_per_origin, pool.max_total, pool.idle_timeout, pool.max_age) == (8, 100, 55.0, 600.0)
    assert (settings.connect_timeout, settings.read_timeout, settings.pool_timeout) == (10.0, 60.0, 30.0)
    assert pool.age_phase == 0.5
    assert settings.limits().max_head == 262144
    assert settings.terms().persist


def test_the_version_is_one_that_is_spoken() -> None:
    assert ClientSettings().version == HTTP_11
    assert ClientSettings(http_version="1.0").version == HTTP_10


@pytest.mark.parametrize(
    "settings", [{"http_version": "2"}, {"max_total": 0}, {"order": "spread", "max_age": None}]
)
def test_values_that_cannot_be_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected|would never end"):
        perdure.Client(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_what_is_wrong_is_named_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"^idle_timeout: a number of seconds expected, got -3$"):
        perdure.Client(idle_timeout=-3)
    with pytest.raises(ValueError, match=r"^idle_timeout: a number of seconds expected, got Infinity$"):
        perdure.Client(idle_timeout=math.inf)


def test_a_wait_may_be_endless() -> None:
    assert ClientSettings(read_timeout=math.inf, pool_timeout=math.inf).read_timeout == math.inf


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="keepalive"):
        perdure.AsyncClient(keepalive=True)
