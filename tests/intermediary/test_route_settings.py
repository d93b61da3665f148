"""Routes as they are written: checked, completed, and refused with the name of what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perdure.client.errors import InvalidURL
from perdure.config import ConfigError, Part, read_file
from perdure.core import Response
from perdure.intermediary.origin_settings import OriginSettings
from perdure.intermediary.route_settings import (
    Defaults,
    Plan,
    RouteSettings,
    WithRoutes,
    plan_routes,
    read_place,
)
from perdure.intermediary.settings import GATEWAY, GatewaySettings

A = "http://127.0.0.1:9000"


def planned(*routes: dict[str, Any], to: tuple[str, ...] = (), **others: Any) -> list[Plan]:
    client = OriginSettings(read_timeout=7.0)
    return plan_routes(routes, to, Defaults(GatewaySettings(pseudonym="p"), client, others))


def test_route_that_says_nothing_is_as_the_gateway() -> None:
    (plan,) = planned(to=(A,), balance="hash", fail_count=5)
    assert (plan.settings.host, plan.settings.path) == ("*", "/")
    assert [str(place.key) for place in plan.places] == [A]
    assert (plan.balance.balance, plan.health.fail_count) == ("hash", 5)
    assert (plan.side.client.read_timeout, plan.side.gateway.pseudonym) == (7.0, "p")


def test_route_overrides_whatever_concerns_its_origins() -> None:
    def hook(response: Response) -> None:
        """Look at it."""

    route = {
        "to": [A],
        "balance": "round-robin",
        "fail_rest": 9,
        "origin_max_per_origin": 3,
        "origin_verify": False,
        "send_host": "origin",
        "max_body": 100,
        "on_response": hook,
    }
    (plan,) = planned(route, balance="hash", fail_count=5, on_response=None)
    assert plan.balance.balance == "round-robin"
    assert (plan.health.fail_rest, plan.health.fail_count) == (9.0, 5)
    assert (plan.side.client.max_per_origin, plan.side.client.read_timeout) == (3, 7.0)
    assert (plan.side.gateway.origin_verify, plan.side.gateway.host) == (False, "origin")
    assert (plan.settings.max_body, plan.side.on_response) == (100, hook)


def test_routes_with_the_same_settings_are_on_the_same_side() -> None:
    first, second, third = planned(
        {"path": "/a", "to": [A]},
        {"path": "/b", "to": [A], "balance": "hash"},
        {"path": "/c", "to": [A], "origin_read_timeout": 1},
    )
    assert first.side == second.side != third.side


def test_origins_of_the_gateway_are_a_further_route() -> None:
    plans = planned({"path": "/a", "to": [A]}, to=("http://b", "http://c"))
    assert [plan.settings.path for plan in plans] == ["/a", "/"]
    assert len(plans[1].places) == 2


WRONG = [
    ({"to": []}, "routes[1].to: the URL of an origin expected, got none"),
    ({"to": ["127.0.0.1:9000"]}, "routes[1].to: "),
    ({"to": [A + " weight=0"]}, 'routes[1].to: "URL" or "URL weight=NUMBER" (1 to 999) expected'),
    ({"to": [A + " wait=1"]}, "routes[1].to: "),
    ({"to": [A, A + "/"]}, "routes[1].to: different origins expected, one is named twice"),
    ({"to": [A], "host": "a b"}, "routes[1].host: "),
    ({"to": [A], "path": "a"}, "routes[1].path: "),
    ({"to": [A], "balance": "best"}, "routes[1].balance: one of "),
    ({"to": [A], "hash_on": "x"}, "routes[1].hash_on: "),
    ({"to": [A], "health_path": "x"}, "routes[1].health_path: "),
    ({"to": [A], "origin_read_timeout": -1}, "routes[1].origin_read_timeout: a number of seconds expected"),
    ({"to": [A], "origin_verify": "no"}, "routes[1].origin_verify: true or false expected"),
    ({"to": [A], "on_request": "x"}, "routes[1].on_request: MODULE:NAME expected"),
    ({"to": [A], "max_body": "big"}, "routes[1].max_body: "),
]


@pytest.mark.parametrize(("route", "words"), WRONG)
def test_what_is_wrong_is_told_with_the_number_of_the_route_and_the_name(
    route: dict[str, Any], words: str
) -> None:
    with pytest.raises((ValueError, InvalidURL)) as caught:
        planned(route)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("name", ["hots", "origin_hots", "idle_timeout", "pseudonym"])
def test_what_is_no_setting_of_a_route_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=rf"routes\[2\]: no such setting of a route: '{name}'"):
        planned({"to": [A]}, {"to": [A], name: 1})


def test_two_routes_for_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match=r"routes\[2\]: host and path are those of routes\[1\]"):
        planned({"host": "A.example", "to": [A]}, {"host": "a.example.", "to": [A]})


def test_weight_is_read_behind_the_url() -> None:
    assert read_place("http://a weight=3").weight == 3
    assert read_place(" http://a  weight=12 ").weight == 12
    assert read_place("http+unix:/run/a").key.unix_path == "/run/a"


def test_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(InvalidURL) as caught:
        read_place("http://user:secret@a weight=x")
    assert "secret" not in str(caught.value)


# In a file.

SECTION = WithRoutes("gateway", (Part(RouteSettings), *GATEWAY.parts))


def read(tmp_path: Path, text: str) -> dict[str, Any]:
    file = tmp_path / "perdure.toml"
    file.write_text(text)
    return read_file(file, [SECTION])["gateway"]


def test_routes_are_tables_of_the_gateway(tmp_path: Path) -> None:
    table = '[[gateway.routes]]\npath = "/a"\nto = ["http://a"]\norigin_max_per_origin = 4\n'
    values = read(tmp_path, '[gateway]\nbalance = "hash"\n' + table)
    assert values["routes"] == [{"path": "/a", "to": ("http://a",), "origin_max_per_origin": 4}]
    assert values["balance"] == "hash"
    assert "routes" not in SECTION.settings(), "which are the flags"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes = 3", "gateway.routes: tables [[gateway.routes]] expected, got 3"),
        ('routes = ["a"]', "gateway.routes: tables [[gateway.routes]] expected"),
        (
            "[[gateway.routes]]\n[[gateway.routes]]\npaht = 1",
            "gateway.routes[2].paht: no such setting; did you mean path?",
        ),
        ("[[gateway.routes]]\nidle_timeout = 1", "gateway.routes[1].idle_timeout: no such setting"),
        ("[[gateway.routes]]\npseudonym = 'x'", "gateway.routes[1].pseudonym: no such setting"),
        (
            "[[gateway.routes]]\norigin_read_timeout = '1'",
            "gateway.routes[1].origin_read_timeout: a number of seconds",
        ),
        ("[[gateway.routes]]\nto = 3", "gateway.routes[1].to: a list"),
    ],
)
def test_errors_in_a_file_name_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"[gateway]\n{text}\n")
    assert f"perdure.toml: {words}" in str(caught.value)
