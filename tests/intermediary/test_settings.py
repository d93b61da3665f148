"""Both sides of a gateway, from one set of names."""

from __future__ import annotations

from typing import Any

import pytest

import perdure
from perdure.intermediary.proxy_settings import PROXY
from perdure.intermediary.settings import GATEWAY, split_settings


def test_names_go_to_their_side() -> None:
    own, server, client = split_settings(
        {"idle_timeout": 5.0, "origin_idle_timeout": 6.0, "origin_verify": False, "host": "origin"}
    )
    assert (server.idle_timeout, client.idle_timeout) == (5.0, 6.0)
    assert (own.origin_verify, own.host) == (False, "origin")


def test_gateway_keeps_more_connections_than_a_client_and_believes_silence_less() -> None:
    client = split_settings({}).client
    assert (client.max_per_origin, client.max_total) == (64, 1000)
    assert (client.max_age, client.max_requests, client.unlearned_idle_timeout) == (3600.0, 1000, 15.0)
    assert split_settings({"origin_max_per_origin": 2}).client.max_per_origin == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("idle_timeout", -3, "idle_timeout: a number of seconds expected, got -3"),
        ("origin_idle_timeout", -3, "origin_idle_timeout: a number of seconds expected, got -3"),
        ("pseudonym", 3, "pseudonym: a text expected, got 3"),
        ("origin_verify", "no", 'origin_verify: true or false expected, got "no"'),
    ],
)
def test_what_is_wrong_is_told_by_the_name_that_was_given(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        perdure.Gateway("http://127.0.0.1:9", "127.0.0.1:0", **{name: value})


@pytest.mark.parametrize("name", ["nonsense", "origin_nonsense"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        split_settings({name: 1})


def test_file_and_flags_know_the_same_names_and_defaults() -> None:
    settings = GATEWAY.settings()
    assert settings["origin_max_per_origin"].default == 64
    assert settings["idle_timeout"].default == 75.0
    own, *_, server, client = GATEWAY.build({"origin_read_timeout": 3.0, "forwarded": "append"})
    assert (own.forwarded, server.idle_timeout, client.read_timeout, client.max_total) == (
        "append", 75.0, 3.0, 1000,
    )  # fmt: skip


def test_tunnels_are_for_websockets_and_for_an_hour_unless_set() -> None:
    own = split_settings({}).gateway
    assert (own.protocols(), own.tunnel_timeout) == ([b"websocket"], 3600.0)
    own = split_settings({"upgrade": ["WebSocket", "TLS/1.0", "tcp"], "tunnel_timeout": None}).gateway
    assert (own.protocols(), own.tunnel_timeout) == ([b"websocket", b"tls/1.0", b"tcp"], None)
    assert split_settings({"upgrade": []}).gateway.protocols() == []
    (own, *_) = GATEWAY.build(GATEWAY.parse({"upgrade": ["none"], "tunnel_timeout": "none"}))
    assert (own.protocols(), own.tunnel_timeout) == ([], None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("web socket", "upgrade: the name of a protocol expected, such as websocket, got 'web socket'"),
        ("", "upgrade: the name of a protocol expected, such as websocket, got ''"),
        ("h2c", "upgrade: h2c carries requests past every rule of the gateway; it cannot be passed"),
        (
            "HTTP/2.0",
            "upgrade: HTTP/2.0 carries requests past every rule of the gateway; it cannot be passed",
        ),
    ],
)
def test_protocols_that_cannot_be_passed_are_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        split_settings({"upgrade": [name]})


def test_what_has_no_effect_toward_origins_is_no_setting_there() -> None:
    assert "origin_relay_timeout" not in {**GATEWAY.settings(), **PROXY.settings()}
    with pytest.raises(TypeError, match="origin_relay_timeout"):
        perdure.Gateway(
            routes=[
                {"path": "/a", "to": ["http://a.test"], "origin_relay_timeout": 1.0, "origin_read_timeout": 2}
            ]
        )
