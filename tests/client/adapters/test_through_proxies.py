"""httpx, httpx2 and requests through forward proxies: scripted ones, and what users are told.

RFC 9110 §9.3.6, RFC 9112 §3.2.2.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import requests

import perdure
from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.client.adapters.requests import Adapter
from perdure.wire.scripted import (
    CLIENT_END,
    FIN,
    REFUSED,
    RST,
    UNANSWERED,
    NoAnswer,
    Script,
    ScriptedNetwork,
    Sign,
    Until,
)
from perdure.wire.tls import client_context
from tests.client.adapters.conftest import Perform, Stage
from tests.client.conftest import BLANK, Peer, answer, last_words

HELLO = answer(b"hello")
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED_403 = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
BASIC = b"Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"


def reading() -> Script:
    """A proxy that reads the requests and answers them."""
    while True:
        yield Until(BLANK)
        yield HELLO


def tunnelling() -> Script:
    """A proxy that opens a tunnel; what answers then is the origin."""
    yield Until(BLANK)
    yield OPEN
    yield from reading()


def silent_proxy() -> Script:
    yield Until(BLANK)
    yield CLIENT_END


def with_credentials(place: str) -> str:
    return f"http://alice:secret@{place}"


def tunnel(place: str) -> perdure.Proxies:
    return perdure.Proxies(url=with_credentials(place), tunnel=True)


# --- httpx ---------------------------------------------------------------------------------


@pytest.mark.row("R21", "S8")
def test_absolute_form_and_one_connection(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for number in range(3):
            assert (await stage.ask(path=f"/{number}?q=1")).text == "hello"
        assert stage.statistics().dialled == 1
        heads = stage.heard().split(BLANK)[:3]
        assert [head.split(b"\r\n")[0] for head in heads] == [
            b"GET http://origin.test/%d?q=1 HTTP/1.1" % number for number in range(3)
        ]
        assert all(b"\r\nHost: origin.test\r\n" in head for head in heads)
        assert stage.heard().count(BASIC) == 3

    perform(scene, reading, as_proxy=with_credentials)


@pytest.mark.row("R21", "S8")
def test_what_is_in_a_tunnel_is_for_the_origin_alone(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(3):
            await stage.ask(headers={"Proxy-Authorization": "Basic b3RoZXI6b25l"})
        connect, *heads = stage.heard().split(BLANK)
        assert connect.startswith(b"CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\n")
        assert BASIC in connect + b"\r\n"
        assert [head.split(b"\r\n")[0] for head in heads[:3]] == [b"GET / HTTP/1.1"] * 3
        assert b"Proxy-" not in b"".join(heads)

    perform(scene, tunnelling, as_proxy=tunnel)


def test_a_proxy_of_httpx_may_have_credentials_and_headers(perform: Perform, package: Any) -> None:
    def proxy(place: str) -> Any:
        return package.Proxy(f"http://{place}", auth=("alice", "secret"), headers={"X-Zone": "one"})

    async def scene(stage: Stage) -> None:
        await stage.ask()
        assert BASIC in stage.heard()
        assert stage.heard().count(b"X-Zone: one\r\n") == 1

    perform(scene, reading, as_proxy=proxy)


def test_headers_of_a_proxy_are_not_said_inside_its_tunnel(package: Any) -> None:
    network = ScriptedNetwork([tunnelling])
    proxy = package.Proxy("http://proxy.test:3128", headers={"X-Zone": "one", "User-Agent": "own"})
    with package.Client(transport=Transport(network=network, proxy=proxy, verify=False)) as client:
        assert client.get("https://origin.test/").text == "hello"
    connect, inside = network.connections[0].client_octets.split(BLANK)[:2]
    assert connect.startswith(b"CONNECT origin.test:443 HTTP/1.1\r\n")
    assert b"\r\nX-Zone: one" in connect
    assert connect.count(b"User-Agent") == 1
    assert b"X-Zone" not in inside


def test_the_asterisk_becomes_an_absolute_form_without_a_path(perform: Perform) -> None:
    """RFC 9112 §3.2.4."""

    async def scene(stage: Stage) -> None:
        await stage.ask("OPTIONS", extensions={"target": b"*"})
        assert stage.heard().startswith(b"OPTIONS http://origin.test HTTP/1.1\r\n")

    perform(scene, reading, as_proxy=with_credentials)


@pytest.mark.parametrize(
    ("octets", "signs", "kind", "own"),
    [
        (REFUSED_403, (), "ProxyError", perdure.ProxyRefused),
        (b"HTTP/1.1 407 \r\n\r\n", (FIN,), "ProxyError", perdure.ProxyAuthenticationRequired),
        (b"rubbish\r\n\r\n", (), "ProxyError", perdure.ProxyError),
        (b"", (RST,), "ProxyError", perdure.ProxyError),
        (b"", (FIN,), "ProxyError", perdure.ProxyError),
    ],
)
def test_a_proxy_that_gives_no_tunnel_is_a_proxy_error_of_httpx(
    perform: Perform, octets: bytes, signs: Sequence[Sign], kind: str, own: type[perdure.Error]
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(getattr(stage.package, kind)) as caught:
            await stage.ask("POST", content=b"secret")
        assert type(caught.value.__cause__) is own
        assert "secret" not in str(caught.value)
        assert stage.statistics().connections == 0

    perform(scene, last_words(octets, *signs), as_proxy=tunnel)


def test_a_proxy_that_says_nothing_is_a_connect_timeout_of_httpx(perform: Perform) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(stage.package.ConnectTimeout, match="through http:"):
            await stage.ask(timeout=stage.package.Timeout(None, connect=2.0))

    perform(scene, silent_proxy, as_proxy=tunnel)


def test_a_proxy_that_cannot_be_reached_is_a_connect_error_of_httpx(package: Any) -> None:
    network = ScriptedNetwork([REFUSED])
    transport = Transport(network=network, proxy="http://alice:secret@proxy.test:3128")
    with (
        package.Client(transport=transport) as client,
        pytest.raises(package.ConnectError, match="refused") as caught,
    ):
        client.get("http://origin.test/")
    assert "secret" not in str(caught.value)


def test_origins_may_be_excepted(package: Any) -> None:
    network = ScriptedNetwork([reading, reading])
    proxies = perdure.Proxies(url="proxy.test:3128", no_proxy="near.test")
    with package.Client(transport=Transport(network=network, proxy=proxies)) as client:
        client.get("http://near.test/")
        client.get("http://far.test/")
    assert network.dialled == [("near.test", 80), ("proxy.test", 3128)]


def test_the_environment_is_asked_where_that_is_said(package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    for arguments, dialled in (
        ({}, ("origin.test", 80)),
        ({"proxy": perdure.Proxies()}, ("proxy.test", 3128)),
    ):
        network = ScriptedNetwork([reading])
        with package.Client(transport=Transport(network=network, **arguments)) as client:
            client.get("http://origin.test/")
        assert network.dialled == [dialled]
    monkeypatch.delenv("http_proxy")
    network = ScriptedNetwork([reading])
    with package.Client(transport=Transport(network=network, proxy=perdure.Proxies())) as client:
        client.get("http://origin.test/")
    assert network.dialled == [("origin.test", 80)]


@pytest.mark.parametrize("kind", [Transport, AsyncTransport])
def test_a_proxy_that_cannot_be_used_is_refused_at_once(package: Any, kind: type[Transport]) -> None:
    for proxy in ("", "socks5://proxy.test", "http://alice:secret@proxy.test/path"):
        with pytest.raises(ValueError, match=r"^proxy: expected http://HOST:PORT") as caught:
            kind(proxy=proxy)
        assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="uds beside proxy"):
        kind(proxy="http://proxy.test", uds="/run/origin.sock")
    context = client_context()
    with pytest.raises(ValueError, match="ssl_context"):
        kind(proxy=package.Proxy("https://proxy.test", ssl_context=context))


# --- requests ------------------------------------------------------------------------------


Ask = Callable[..., requests.Response]


def session_of(
    *scripts: Peer | NoAnswer, kind: type[Adapter] = Adapter, **settings: Any
) -> tuple[Ask, ScriptedNetwork]:
    """What asks, of a session whose proxies are these scripts."""
    network = ScriptedNetwork(scripts)
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"all": "alice:secret@proxy.test:3128"}
    for scheme in "http://", "https://":
        session.mount(scheme, kind(network=network, **settings))
    return functools.partial(session.request, verify=False), network


def heard(network: ScriptedNetwork) -> bytes:
    return bytes(network.connections[0].client_octets)


@pytest.mark.row("R21", "S8")
def test_a_session_speaks_absolute_form_over_one_connection() -> None:
    ask, network = session_of(reading)
    for number in range(3):
        assert ask("GET", f"http://origin.test:8080/{number}?q=ü").text == "hello"
    assert network.dialled == [("proxy.test", 3128)]
    heads = heard(network).split(BLANK)[:3]
    assert [head.split(b"\r\n")[0] for head in heads] == [
        b"GET http://origin.test:8080/%d?q=%%C3%%BC HTTP/1.1" % number for number in range(3)
    ]
    assert b"\r\nHost: origin.test:8080\r\n" in heads[0]
    assert heard(network).count(BASIC) == 3


@pytest.mark.row("R21", "S8")
def test_a_session_asks_for_a_tunnel_to_https() -> None:
    ask, network = session_of(tunnelling)
    for _ in range(3):
        assert ask("GET", "https://origin.test/a?b").text == "hello"
    connect, *heads = heard(network).split(BLANK)
    assert connect.startswith(b"CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n")
    assert BASIC in connect + b"\r\n"
    assert [head.split(b"\r\n")[0] for head in heads[:3]] == [b"GET /a?b HTTP/1.1"] * 3
    assert b"Proxy-" not in b"".join(heads)


@pytest.mark.parametrize(
    ("proxies", "dialled"),
    [
        ({"http": "http://other.test:1"}, ("other.test", 1)),
        ({"http://origin.test": "http://other.test:1", "http": "http://proxy.test"}, ("other.test", 1)),
        ({"https": "http://other.test:1", "all": ""}, ("origin.test", 80)),
    ],
)
def test_which_proxy_is_for_requests_to_say(proxies: dict[str, str], dialled: tuple[str, int]) -> None:
    ask, network = session_of(reading)
    assert ask("GET", "http://origin.test/", proxies=proxies).text == "hello"
    assert network.dialled == [dialled]


def test_what_a_subclass_wants_said_to_the_proxy_is_said_to_it_alone() -> None:
    class Own(Adapter):
        def proxy_headers(self, proxy: str) -> dict[str, str]:
            return {**super().proxy_headers(proxy), "X-Zone": "one"}

    ask, network = session_of(tunnelling, kind=Own)
    ask("GET", "https://origin.test/")
    connect, inside = heard(network).split(BLANK)[:2]
    assert b"\r\nX-Zone: one" in connect
    assert BASIC in connect + b"\r\n"
    assert b"X-Zone" not in inside
    ask, network = session_of(reading, kind=Own)
    ask("GET", "http://origin.test/")
    assert heard(network).count(b"\r\nX-Zone: one\r\n") == 1


@pytest.mark.parametrize("url", ["http://origin.test/", "https://origin.test/"])
@pytest.mark.parametrize("peer", [REFUSED, UNANSWERED])
def test_a_proxy_that_cannot_be_reached_is_a_proxy_error_of_requests(peer: NoAnswer, url: str) -> None:
    ask, _ = session_of(peer)
    with pytest.raises(requests.exceptions.ProxyError) as caught:
        ask("GET", url, timeout=2.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", iter([b"once"])])
@pytest.mark.parametrize(
    "peer",
    [
        last_words(REFUSED_403),
        last_words(b"HTTP/1.1 407 \r\n\r\n", FIN),
        last_words(b"rubbish\r\n\r\n"),
        last_words(b"", RST),
        silent_proxy,
    ],
)
def test_a_proxy_that_gives_no_tunnel_is_a_proxy_error_of_requests(peer: Peer, content: Any) -> None:
    ask, network = session_of(peer)
    with pytest.raises(requests.exceptions.ProxyError) as caught:
        ask("POST", "https://origin.test/", data=content, timeout=2.0)
    assert "secret" not in str(caught.value)
    assert b"POST" not in heard(network)


@pytest.mark.parametrize("proxy", ["socks5://proxy.test", "http://alice:secret@proxy.test/path"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_credentials(proxy: str) -> None:
    ask, network = session_of(reading)
    with pytest.raises(requests.exceptions.InvalidProxyURL, match="expected http://HOST:PORT") as caught:
        ask("GET", "http://origin.test/", proxies={"http": proxy})
    assert "secret" not in str(caught.value)
    assert not network.dialled
