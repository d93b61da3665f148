"""The real programs that other tests rely on come up, answer and go away again."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests import peers

pytestmark = [pytest.mark.peer, pytest.mark.slow]

Start = Callable[[], AbstractContextManager[peers.Peer]]
StartGateway = Callable[[int], AbstractContextManager[peers.Peer]]
ORIGINS: list[Start] = [peers.nginx, peers.apache, peers.lighttpd, peers.http_server]
GATEWAYS: list[StartGateway] = [peers.haproxy, peers.varnish]
PROXIES: list[Start] = [peers.squid, peers.tinyproxy]


def get(port: int, target: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    """One GET with the standard library's client, which knows nothing of perdure.

    It names the keep-alive option, because Apache sends its hint to nobody else.
    """
    connection = http.client.HTTPConnection(peers.LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", target, headers={"Connection": "keep-alive"})
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


@pytest.mark.parametrize("start", ORIGINS, ids=lambda start: str(start.__name__))
def test_origin_serves_its_pages_and_is_gone_afterwards(start: Start) -> None:
    with start() as origin:
        assert get(origin.port, "/small.txt")[:2] == (200, peers.PAGES["small.txt"])
    assert origin.process.poll() is not None
    assert not peers.accepts_connections(origin.port)


@pytest.mark.parametrize("start", GATEWAYS, ids=lambda start: str(start.__name__))
def test_gateway_fetches_from_the_origin_behind_it(start: StartGateway) -> None:
    with peers.http_server() as origin, start(origin.port) as gateway:
        assert get(gateway.port, "/small.txt")[:2] == (200, peers.PAGES["small.txt"])
    assert not peers.accepts_connections(gateway.port)


@pytest.mark.parametrize("start", PROXIES, ids=lambda start: str(start.__name__))
def test_forward_proxy_fetches_what_the_absolute_form_names(start: Start) -> None:
    with peers.http_server() as origin, start() as proxy:
        assert get(proxy.port, f"{origin.url}/small.txt")[:2] == (200, peers.PAGES["small.txt"])
    assert not peers.accepts_connections(proxy.port)


def test_uvicorn_serves_an_application_of_the_tests() -> None:
    with peers.uvicorn("tests.peers_application:application") as origin:
        assert get(origin.port, "/any")[:2] == (200, b"GET /any")


def test_apache_sends_the_hint_it_was_configured_with() -> None:
    with peers.apache(keep_alive_timeout=3, max_requests=9) as origin:
        fields = get(origin.port, "/small.txt")[2]
    assert fields["Keep-Alive"] == "timeout=3, max=9"


def test_nginx_takes_more_directives() -> None:
    with peers.nginx(server="keepalive_timeout 2s 2s;") as origin:
        fields = get(origin.port, "/small.txt")[2]
    assert fields["Keep-Alive"] == "timeout=2"


def test_program_that_ends_at_once_is_reported_with_what_it_wrote() -> None:
    with pytest.raises(peers.PeerFailed, match="unknown directive"), peers.nginx(server="nonsense;"):
        pass


def test_absent_program_fails_where_peers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SEARCH", "")
    monkeypatch.setenv("PERDURE_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="curl is not on this machine"):
        peers.require("curl")


def test_absent_program_skips_where_peers_are_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SEARCH", "")
    monkeypatch.delenv("PERDURE_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="curl is not on this machine"):
        peers.require("curl")


@pytest.mark.parametrize("name", ["curl", "wget", "git", "ab", "wrk", "chromium"])
def test_program_that_only_asks_is_there(name: str, peer: Callable[[str], str]) -> None:
    assert peer(name).endswith(name)
