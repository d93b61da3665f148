"""Settings of a forward proxy: what is wrong with them is told by the name they were given."""

from __future__ import annotations

import pytest

import perdure
from perdure.intermediary.passwords import hash_password
from perdure.intermediary.proxy_settings import PROXY, ProxySettings, split_proxy_settings

CHEAP = str(hash_password("wonderland", cost=4))


@pytest.mark.row("S7", "S12")
def test_defaults_are_safe_ones() -> None:
    own, hooks, server, client = split_proxy_settings({})
    assert (hooks.on_request, hooks.on_response) == (None, None)
    assert (own.ports(), own.allow, own.auth, own.parent) == (frozenset([443]), (), (), None)
    assert (own.proxy_connection, own.forwarded) == ("ignore", "leave")
    assert (server.idle_timeout, client.max_per_origin, client.max_total) == (75.0, 64, 1000)
    assert client.dial_rest == 0.0


def test_keywords_reach_the_side_they_are_for() -> None:
    own, _, server, client = split_proxy_settings(
        {"connect_ports": [8443], "idle_timeout": 5, "origin_idle_timeout": 6, "tunnel_timeout": 7}
    )
    assert (own.ports(), own.tunnel_timeout) == (frozenset([8443]), 7.0)
    assert (server.idle_timeout, client.idle_timeout) == (5.0, 6.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"allow": ["10.0.0.1/8"]}, r"^proxy: allow: a network expected, got '10.0.0.1/8'"),
        ({"deny": ["http://a"]}, r"^proxy: deny: a host, a \.domain"),
        ({"connect_ports": ["https"]}, r"^proxy: connect_ports: a port such as 443"),
        ({"auth": ["alice:secret"]}, r"^proxy: auth: of 'alice': a hash of"),
        ({"parent": "ftp://a"}, r"^proxy: parent: http://HOST:PORT or https://HOST:PORT expected"),
        ({"parent": "http://u:secret@a/b"}, r"^proxy: parent: .* expected, got 'a/b'$"),
        ({"parent": "http://u:secret@a:99999"}, r"^proxy: parent: a port from 1 to 65535 expected"),
        ({"parent": "a:0"}, r"^proxy: parent: a port from 1 to 65535 expected, got 'a:0'$"),
        ({"parent": "a"}, r"^proxy: parent: its port expected too, as in a:3128, got 'a'$"),
        (
            {"parent": "http://u:secret@[::1]"},
            r"^proxy: parent: its port .* as in \[::1\]:3128, got '\[::1\]'$",
        ),
        (
            {"parent": "https://a:/"},
            r"^proxy: parent: its port expected too, as in a:3128, got 'https://a:/'$",
        ),
        ({"parent_credentials": "client"}, r"^proxy: parent_credentials: a parent expected"),
        ({"origin_min_idle": 1}, r"^proxy: origin_min_idle: 0 expected"),
        ({"origin_server_name": "a"}, r"^proxy: origin_server_name: a parent expected"),
        ({"idle_timeout": -1}, r"idle_timeout: a number of seconds expected"),
        ({"forwarded": "never"}, r"forwarded: one of"),
    ],
)
def test_what_cannot_be_understood_is_named_and_no_secret_is_shown(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        perdure.Proxy(**given)  # type: ignore[arg-type]  # that is the point
    assert "secret" not in str(caught.value)


def test_an_unknown_name_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'alow'"):
        perdure.Proxy(alow=["a.test"])


def test_secrets_are_not_in_what_is_printed() -> None:
    settings = ProxySettings(auth=(f"alice:{CHEAP}",), parent="http://u:secret@a:1")
    assert "secret" not in repr(settings)
    assert "scrypt" not in repr(settings)


def test_the_section_has_each_name_once_for_flags_and_file() -> None:
    names = PROXY.settings()
    assert {"allow", "deny", "connect_ports", "auth", "parent", "http10", "origin_read_timeout"} <= set(names)
    assert names["allow"].repeatable
    assert PROXY.parse({"connect_ports": ["443", "8000-8080"]}) == {"connect_ports": ("443", "8000-8080")}
    assert PROXY.check({"connect_ports": [443, "any"]}, "f") == {"connect_ports": (443, "any")}
