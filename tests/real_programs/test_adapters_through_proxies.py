"""The adapters through real forward proxies, to origins that count their connections: Squid and Apache."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import requests

from perdure.client.adapters.httpx import AsyncTransport, Transport
from perdure.client.adapters.requests import Adapter
from perdure.wire.network import run
from tests import peers
from tests.client.adapters.local_origin import Origin, authority, authority_file, origin, tls_origin
from tests.real_programs.test_proxies import guarded

__all__ = ["authority", "authority_file", "origin", "tls_origin"]

pytestmark = [pytest.mark.peer, pytest.mark.slow]  # Apache takes its time to end

Ask = Callable[..., list[int]]
"""(URLs, proxy, authorities) → a status for each, over one client."""


def with_httpx(name: str) -> Ask:
    def ask(urls: list[str], proxy: str, roots: str) -> list[int]:
        package = importlib.import_module(name)
        with package.Client(transport=Transport(proxy=proxy, verify=roots)) as client:
            return [client.get(url).status_code for url in urls]

    return ask


def with_async_httpx(urls: list[str], proxy: str, roots: str) -> list[int]:
    async def asking() -> list[int]:
        package: Any = importlib.import_module("httpx")
        async with package.AsyncClient(transport=AsyncTransport(proxy=proxy, verify=roots)) as client:
            return [(await client.get(url)).status_code for url in urls]

    return run(asking(), prefer_uvloop=True)


def with_requests(urls: list[str], proxy: str, roots: str) -> list[int]:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": proxy, "https": proxy}
        session.verify = roots
        session.mount("http://", Adapter())
        session.mount("https://", Adapter())
        return [session.get(url).status_code for url in urls]


ASKS = [
    pytest.param(with_httpx("httpx"), "httpx", id="httpx"),
    pytest.param(with_httpx("httpx2"), "httpx2", id="httpx2"),
    pytest.param(with_async_httpx, "httpx", id="async"),
    pytest.param(with_requests, "requests.exceptions", id="requests"),
]


@pytest.mark.row("R21", "S8")
@pytest.mark.parametrize(("ask", "package"), ASKS)
def test_a_tunnel_and_absolute_form_persist_through_squid(
    ask: Ask, package: str, origin: Origin, tls_origin: Origin, authority_file: str
) -> None:
    before = tls_origin.accepted
    with peers.squid() as proxy:
        urls = [origin.url + "/get", tls_origin.url + "/get"] * 5
        assert ask(urls, proxy.url, authority_file) == [200] * 10
    assert tls_origin.accepted - before == 1


@pytest.mark.parametrize(("ask", "package"), ASKS)
def test_credentials_are_said_to_apache_and_what_it_refuses_is_a_proxy_error(
    ask: Ask, package: str, origin: Origin, tls_origin: Origin, authority_file: str
) -> None:
    with guarded() as proxy:
        named = proxy.url.replace("http://", "http://alice:wonderland@")
        assert ask([origin.url + "/get", tls_origin.url + "/get"], named, authority_file) == [200, 200]
        assert ask([origin.url + "/get"], proxy.url, authority_file) == [407]
        with pytest.raises(importlib.import_module(package).ProxyError, match="407"):
            ask([tls_origin.url + "/get"], proxy.url, authority_file)
