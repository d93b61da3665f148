"""What an operator may set toward origins alone, and what of it contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.client.settings import ClientSettings
from perdure.intermediary.gateway import Gateway
from perdure.intermediary.origin_settings import DEFAULTS, OriginSettings, origin_settings_of


def test_settings_of_a_client_say_nothing_of_these() -> None:
    assert origin_settings_of(ClientSettings(max_total=7)) is DEFAULTS
    own = OriginSettings(reuse="safe")
    assert origin_settings_of(own) is own


def test_pool_is_told_of_its_mode_and_its_queue() -> None:
    pool = OriginSettings(reuse="always", max_waiting=0, max_per_origin=3).pool(0.5)
    assert (pool.reuse, pool.max_waiting, pool.max_per_origin, pool.age_phase) == ("always", 0, 3, 0.5)
    assert (DEFAULTS.pool().reuse, DEFAULTS.pool().max_waiting) == ("aggressive", None)


@pytest.mark.parametrize(
    ("settings", "apart"),
    [({}, False), ({"reuse": "never"}, True), ({"proxy_protocol": "v2"}, True), ({"reuse": "safe"}, False)],
)
def test_connections_are_apart_where_they_belong_to_clients(settings: dict[str, Any], apart: bool) -> None:
    assert OriginSettings(**settings).apart is apart


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"origin_reuse": "often"}, "origin_reuse: "),
        ({"origin_max_waiting": -1}, "origin_max_waiting: a number, 0 or more, or"),
        ({"origin_tls_key": "key.pem"}, "origin_tls_key: without tls_cert"),
        ({"origin_min_idle": 2, "origin_reuse": "never"}, "origin_min_idle: "),
        ({"origin_min_idle": 65}, "origin_min_idle: more than max_per_origin"),
    ],
)
def test_what_is_wrong_is_told_by_the_name_that_was_given(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        Gateway("http://127.0.0.1:9", "127.0.0.1:0", **settings)
