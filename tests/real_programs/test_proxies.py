"""The client through real forward proxies: Squid, tinyproxy and Apache, to http and https origins."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import perdure
from perdure.wire.network import run
from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]  # Apache takes its time to end

APACHE = ("proxy", "proxy_http", "proxy_connect", "authn_core", "authn_file", "auth_basic", "authz_user")
TO_ANYWHERE = "ProxyRequests On\nProxyVia Off\nAllowCONNECT 1-65535\n<Proxy *>\n{}\n</Proxy>\n"
ALICE = "alice:$apr1$salt$9uPt162m7hukKrFwAAV7p."
"""The line of a password file for alice, whose password is "wonderland"."""
Proxies = Callable[[], contextlib.AbstractContextManager[peers.Peer]]


def squid() -> contextlib.AbstractContextManager[peers.Peer]:
    return peers.squid()


def tinyproxy() -> contextlib.AbstractContextManager[peers.Peer]:
    return peers.tinyproxy()


def apache() -> contextlib.AbstractContextManager[peers.Peer]:
    return peers.apache(modules=APACHE, more=TO_ANYWHERE.format("Require all granted"))


def ask(url: str, times: int, how: str, **settings: Any) -> list[perdure.Response]:
    """Ask some times in a row, with one of the clients."""
    if how == "blocking":
        with perdure.Client(**settings) as client:
            return [client.get(url) for _ in range(times)]

    async def asking() -> list[perdure.Response]:
        async with perdure.AsyncClient(**settings) as client:
            return [await client.get(url) for _ in range(times)]

    return run(asking(), prefer_uvloop=how == "uvloop")


@pytest.mark.row("R21", "S8")
@pytest.mark.parametrize("how", ["blocking", "asyncio", "uvloop"])
@pytest.mark.parametrize("proxies", [squid, tinyproxy, apache])
@pytest.mark.parametrize(
    ("scheme", "tunnel"),
    [("http", False), ("http", True), ("https", False)],
    ids=["absolute", "tunnel", "tls"],
)
def test_a_tunnel_persists_through_every_proxy_and_absolute_form_through_those_that_do(
    proxies: Proxies, scheme: str, tunnel: bool, how: str, origin: dict[str, str], roots: str
) -> None:
    with proxies() as proxy:
        responses = ask(
            origin[scheme] + "/small.txt",
            5,
            how,
            proxy=perdure.Proxies(url=proxy.url, tunnel=tunnel),
            ca_file=roots,
        )
    assert [(response.status, response.text) for response in responses] == [(200, "small\n")] * 5
    persists = tunnel or scheme == "https" or proxies is not tinyproxy  # which persists with nobody
    uses = [response.connection.uses for response in responses]
    assert uses == ([1, 2, 3, 4, 5] if persists else [1] * 5)


@pytest.mark.row("S8")
@pytest.mark.parametrize("how", ["blocking", "asyncio", "uvloop"])
def test_a_thousand_requests_over_one_tunnel(how: str, origin: dict[str, str], roots: str) -> None:
    with squid() as proxy:
        responses = ask(
            origin["https"] + "/small.txt", 1000, how, proxy=proxy.url, ca_file=roots, max_age=None
        )
    assert {response.status for response in responses} == {200}
    assert {response.connection.id for response in responses} == {1}
    assert [response.connection.uses for response in responses] == list(range(1, 1001))


@contextmanager
def tls_proxy(certificate: Path) -> Iterator[str]:
    """Apache as a proxy that is itself spoken to in TLS: its URL."""
    engine = f"SSLEngine on\nSSLCertificateFile {certificate}\n"
    more = engine + TO_ANYWHERE.format("Require all granted")
    with peers.apache(modules=(*APACHE, "socache_shmcb", "ssl"), more=more) as proxy:
        yield proxy.url.replace("http:", "https:")


@pytest.mark.parametrize("how", ["blocking", "asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("scheme", "tunnel"),
    [("http", False), ("http", True), ("https", False)],
    ids=["absolute", "tunnel", "tls"],
)
def test_the_proxy_itself_is_spoken_to_in_tls(
    scheme: str, tunnel: bool, how: str, origin: dict[str, str], roots: str, certificate: Path
) -> None:
    with tls_proxy(certificate) as url:
        for path, octets in ("/small.txt", 6), ("/large.bin", 262144):
            responses = ask(
                origin[scheme] + path, 20, how, proxy=perdure.Proxies(url=url, tunnel=tunnel), ca_file=roots
            )
            assert {(response.status, len(response.content)) for response in responses} == {(200, octets)}
            assert [response.connection.uses for response in responses] == list(range(1, 21))


@contextmanager
def guarded() -> Iterator[peers.Peer]:
    """Apache as a proxy that wants credentials."""
    require = (
        'AuthType Basic\nAuthName "proxy"\nAuthBasicProvider file\nAuthUserFile passwords\nRequire valid-user'
    )
    with peers.apache(modules=APACHE, more=TO_ANYWHERE.format(require)) as proxy:
        (proxy.folder / "passwords").write_text(ALICE + "\n")
        yield proxy


@pytest.mark.parametrize("how", ["blocking", "asyncio", "uvloop"])
def test_credentials_are_said_to_the_proxy(how: str, origin: dict[str, str], roots: str) -> None:
    with guarded() as proxy:
        named = proxy.url.replace("http://", "http://alice:wonderland@")
        for scheme in "http", "https":
            assert ask(origin[scheme], 1, how, proxy=named, ca_file=roots)[0].status == 200
        assert ask(origin["http"], 1, how, proxy=proxy.url)[0].status == 407
        with pytest.raises(perdure.ProxyAuthenticationRequired) as caught:
            ask(origin["https"], 1, how, proxy=proxy.url, ca_file=roots)
        assert (caught.value.status, caught.value.request_sent) == (407, "no")
        assert b"<title>407 Proxy Authentication Required" in caught.value.content


@pytest.mark.parametrize("how", ["blocking", "asyncio", "uvloop"])
def test_a_proxy_that_cannot_reach_the_origin_says_so(how: str, roots: str) -> None:
    nowhere = f"{peers.LOOPBACK}:{peers.free_port()}"
    with squid() as proxy:
        assert ask(f"http://{nowhere}", 1, how, proxy=proxy.url)[0].status == 503
        with pytest.raises(perdure.ProxyRefused, match="refused the tunnel: 503") as caught:
            ask(f"https://{nowhere}", 1, how, proxy=proxy.url, ca_file=roots)
        assert b"ERR_CONNECT_FAIL" in caught.value.content


@pytest.mark.row("S8")
def test_get_goes_through_a_proxy_as_curl_does(origin: dict[str, str], roots: str) -> None:
    with squid() as proxy:
        through = ["get", "-n", "5", "--proxy", proxy.url, "--cacert", roots]
        for more in ["-p", origin["http"]], [origin["http"]], [origin["https"]]:
            done = ours.perdure(*through, *more[:-1], more[-1] + "/small.txt")
            assert done.returncode == 0, done.stderr
            assert re.search(r"\b1 connection opened .*, 4 reuses\b", done.stdout)
        refused = ours.perdure(*through, f"https://{peers.LOOPBACK}:{peers.free_port()}")
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
        assert "the proxy refused the tunnel: 503" in refused.stderr
    without = ours.perdure(
        "get", "--proxy", proxy.url, "--noproxy", "127.0.0.0/8", origin["http"] + "/small.txt"
    )
    assert (without.returncode, without.stdout) == (0, "small\n")
    pipelined = ours.perdure("get", "--pipeline", "4", "--proxy", proxy.url, origin["http"])
    assert pipelined.returncode == 2
