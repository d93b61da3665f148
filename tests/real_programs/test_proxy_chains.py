"""`perdure proxy` among proxies that we did not write: their child, their parent, before and behind them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests import peers
from tests.real_programs import ours
from tests.real_programs.test_proxies import ALICE, APACHE, TO_ANYWHERE
from tests.real_programs.test_proxy import PLAIN, curl

pytestmark = [pytest.mark.peer, pytest.mark.slow]

OPEN = ("--allow", "127.0.0.0/8", "--connect-ports", "any")
VIA = ("-o", "/dev/null", "-w", "%header{via}")
COUNTED = ("-w", "%{http_code} %{num_connects}\n")
Proxies = Callable[..., AbstractContextManager[peers.Peer]]


def thrice(url: str) -> list[str]:
    """What curl takes to ask for something three times and keep nothing."""
    return [word for _ in range(3) for word in ("-o", "/dev/null", url)]


def reads(through: str, origin: dict[str, str], roots: str) -> None:
    """Show that pages come whole through a proxy, http and https, on one connection of the client's."""
    for scheme in "http", "https":
        asked = ("-x", through, "--cacert", roots)
        assert curl(*asked, origin[scheme] + "/small.txt") == "small\n"
        said = curl(*asked, *COUNTED, *thrice(origin[scheme] + "/large.bin"))
        assert said.splitlines() == ["200 1", "200 0", "200 0"]


def apache() -> AbstractContextManager[peers.Peer]:
    return peers.apache(modules=APACHE, more=TO_ANYWHERE.format("Require all granted"))


@pytest.mark.row("R21", "R124", "S11")
@pytest.mark.parametrize("parent", [peers.squid, peers.tinyproxy, apache, lambda: ours.proxy(*OPEN)],
    ids=["squid", "tinyproxy", "apache", "perdure"])  # fmt: skip
def test_another_proxy_is_our_parent(parent: Proxies, origin: dict[str, str], roots: str) -> None:
    with parent() as outer, ours.proxy(*OPEN, "--parent", outer.url) as proxy:
        reads(proxy.url, origin, roots)
        refused = f"http://{peers.LOOPBACK}:{peers.free_port()}"
        code = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{http_code}", refused)
        assert code in ("500", "502", "503", "504")  # of the parent's own choice


@pytest.mark.row("R11", "S11", "S12")
@pytest.mark.parametrize("child", ["squid", "tinyproxy"])
def test_we_are_the_parent_of_another_proxy(child: str, origin: dict[str, str], roots: str) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(ours.proxy(*OPEN))
        if child == "squid":
            peer = f"cache_peer {peers.LOOPBACK} parent {proxy.port} 0 no-query default no-digest"
            inner = stack.enter_context(peers.squid(f"{peer}\nnever_direct allow all"))
        else:
            inner = stack.enter_context(peers.tinyproxy(f"Upstream http {peers.LOOPBACK}:{proxy.port}"))
        for scheme in "http", "https":
            asked = ("-x", inner.url, "--cacert", roots)
            assert curl(*asked, origin[scheme] + "/small.txt") == "small\n"
            said = curl(*asked, *COUNTED, *thrice(origin[scheme] + "/large.bin"))
            keeps = child == "squid" or scheme == "https"
            assert said.splitlines() == ["200 1", *(["200 0"] * 2 if keeps else ["200 1"] * 2)]
        assert "1.1 perdure" in curl("-x", inner.url, *VIA, origin["http"] + "/small.txt")


def test_a_parent_that_wants_credentials_gets_those_of_its_url(origin: dict[str, str], roots: str) -> None:
    require = (
        'AuthType Basic\nAuthName "proxy"\nAuthBasicProvider file\nAuthUserFile passwords\nRequire valid-user'
    )
    with peers.apache(modules=APACHE, more=TO_ANYWHERE.format(require)) as outer:
        (outer.folder / "passwords").write_text(ALICE + "\n")
        named = outer.url.replace("http://", "http://alice:wonderland@")
        with ours.proxy(*OPEN, "--parent", named) as proxy:
            reads(proxy.url, origin, roots)
        show = ("-o", "/dev/null", "-w", "%{http_code} %header{proxy-status}")
        with ours.proxy(*OPEN, "--parent", outer.url) as proxy:
            said = curl("-x", proxy.url, *show, origin["http"] + "/small.txt")
            assert said == "502 perdure; error=proxy_configuration_error; received-status=407"
        handing = ("--parent", outer.url, "--parent-credentials", "client")
        with ours.proxy(*OPEN, *handing) as proxy:
            asked = ("-x", proxy.url, "-U", "alice:wonderland", "--cacert", roots)
            for scheme in "http", "https":
                assert curl(*asked, origin[scheme] + "/small.txt") == "small\n"
            assert curl("-x", proxy.url, *show, origin["http"] + "/small.txt").startswith("407")


@pytest.mark.row("R19", "R102")
def test_nginx_hands_requests_to_us(origin: dict[str, str]) -> None:
    authority = origin["http"].removeprefix("http://")
    with ours.proxy(*OPEN) as proxy:
        # Two steps, as nginx takes a replacement that begins with http:// for a redirect.
        absolute = f'rewrite ^(.*)$ "://{authority}$1"; rewrite ^(.*)$ "http$1" break;'
        upstream = f"upstream proxy {{ server {peers.LOOPBACK}:{proxy.port}; keepalive 4; }}"
        for version, lines in ("1.1", 'proxy_set_header Connection "";'), ("1.0", ""):
            location = (
                f"location / {{ {absolute} proxy_pass http://proxy; proxy_http_version {version}; {lines} }}"
            )
            with peers.nginx(location, upstream) as front:
                said = curl(*COUNTED, *thrice(f"{front.url}/large.bin"))
                assert said.splitlines() == ["200 1", "200 0", "200 0"]
                assert "1.1 perdure" in curl(
                    "-o", "/dev/null", "-w", "%header{via}", f"{front.url}/small.txt"
                )


@pytest.mark.row("R19")
def test_haproxy_hands_requests_to_us(origin: dict[str, str]) -> None:
    with ours.proxy(*OPEN) as proxy:
        absolute = f"http-request set-uri {origin['http']}%[pathq]"
        with peers.haproxy(proxy.port, backend=f"http-reuse always\n    {absolute}") as front:
            said = curl(*COUNTED, *thrice(f"{front.url}/large.bin"))
            assert said.splitlines() == ["200 1", "200 0", "200 0"]
            assert "1.1 perdure" in curl(*VIA, f"{front.url}/small.txt")


def test_haproxy_spreads_clients_over_us_with_the_proxy_protocol(origin: dict[str, str], roots: str) -> None:
    flags = (*OPEN, "--proxy-protocol", peers.LOOPBACK)
    with ours.proxy(*flags) as proxy:
        tcp = "mode tcp\n    server told 127.0.0.1:{port} send-proxy-v2\n    use-server told if TRUE"
        with peers.haproxy(proxy.port, defaults="mode tcp", backend=tcp.format(port=proxy.port)) as front:
            reads(front.url, origin, roots)


@pytest.mark.row("R124", "S11")
@pytest.mark.parametrize("server", ["haproxy", "nginx", "gateway"])
def test_gateways_are_our_origins(server: str, origin: dict[str, str]) -> None:
    port = int(origin["http"].rpartition(":")[2])
    kinds: dict[str, Callable[[], AbstractContextManager[peers.Peer]]] = {
        "haproxy": lambda: peers.haproxy(port),
        "nginx": lambda: peers.nginx(f"location / {{ proxy_pass {origin['http']}; }}"),
        "gateway": lambda: ours.gateway(origin["http"]),
    }
    with kinds[server]() as gateway, ours.proxy(*OPEN) as proxy:
        said = curl("-x", proxy.url, *COUNTED, *thrice(f"{gateway.url}/large.bin"))
        assert said.splitlines() == ["200 1", "200 0", "200 0"]
        assert curl("-x", proxy.url, f"{gateway.url}/small.txt") == "small\n"


@pytest.mark.row("R137")
def test_a_proxy_that_is_its_own_parent_ends_in_508(origin: dict[str, str], roots: str) -> None:
    def command(folder: Path, port: int) -> list[str]:
        bind = f"{peers.LOOPBACK}:{port}"
        return [*ours.COMMAND, "proxy", "--bind", bind, *OPEN, "--parent", f"http://{bind}"]

    with peers.running("perdure-proxy", command) as proxy:
        show = ("-o", "/dev/null", "-w", "%{http_code} %{http_connect}")
        assert curl("-x", proxy.url, *show, origin["http"]) == "508 000"
        done = ours.run(*PLAIN, "curl", "-s", "-x", proxy.url, "--cacert", roots, *show, origin["https"])
        assert done.stdout == "000 508"
