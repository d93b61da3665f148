"""What may be written as a timeout."""

from __future__ import annotations

import math

import pytest

from perdure.client.settings import ClientSettings
from perdure.client.timeouts import Timeout, TimeoutSource, timeout_of, with_timeouts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (5, Timeout(5, 5, 5, 5)),
        (0.5, Timeout(0.5, 0.5, 0.5, 0.5)),
        ((3, 60), Timeout(3, 60)),
        ((3, None), Timeout(3, None)),
        ((1, 2, 3, 4), Timeout(1, 2, 3, 4)),
        ({"read": 9}, Timeout(read=9)),
        (Timeout(pool=math.inf), Timeout(pool=math.inf)),
        (None, None),
    ],
)
def test_forms_of_a_timeout(source: TimeoutSource | None, expected: Timeout | None) -> None:
    assert timeout_of(source) == expected


@pytest.mark.parametrize("source", [-1, math.nan, True, (1, 2, 3), (1, "x"), {"total": 3}, {"read": -1}])
def test_what_is_no_timeout_is_refused(source: TimeoutSource) -> None:
    with pytest.raises(ValueError, match="timeout: expected"):
        timeout_of(source)


def test_a_word_is_no_timeout() -> None:
    with pytest.raises(TypeError, match="timeout: expected"):
        timeout_of("5")  # type: ignore[arg-type]  # what is shown


def test_a_clients_timeout_takes_the_place_of_its_settings_where_it_says_something() -> None:
    settings = with_timeouts(ClientSettings(read_timeout=7.0), {"connect": 2, "pool": math.inf})
    assert (settings.connect_timeout, settings.read_timeout, settings.pool_timeout) == (2, 7.0, math.inf)
    assert with_timeouts(settings, None) is settings
