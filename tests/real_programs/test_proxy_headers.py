"""PROXY headers toward origins that we did not write, plain and ahead of TLS."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SEEN = "$proxy_protocol_addr $proxy_protocol_port $connection $connection_requests"


def asked(url: str) -> tuple[list[str], set[str]]:
    """Ask twice over each of two connections of curl's: what the origin said, and our two ports."""
    curl = peers.require("curl")
    said, sources = [], set()
    for _ in range(2):
        form = "%{local_port}\n"
        done = ours.run(curl, "-sS", "-w", form, f"{url}/", "--next", "-sS", "-w", form, f"{url}/")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.split("\n")
        said += [lines[0], lines[2]]
        sources |= {lines[1], lines[3]}
    return said, sources


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_nginx_hears_who_the_client_is_once_for_each_connection(
    certificate: Path, version: str, secured: bool
) -> None:
    port = peers.free_port()
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};" if secured else ""
    proxied = (
        f"server {{ listen {peers.LOOPBACK}:{port} {'ssl' if secured else ''} proxy_protocol; {tls}\n"
        f'location / {{ return 200 "{SEEN}\\n"; }} }}'
    )
    scheme = "https" if secured else "http"
    flags = ("--origin-proxy-protocol", version, "--no-origin-verify")
    with (
        peers.nginx(http=proxied),
        ours.gateway(f"{scheme}://{peers.LOOPBACK}:{port}", flags=flags) as gateway,
    ):
        said, sources = asked(gateway.url)
    words = [line.split() for line in said]
    assert {word[0] for word in words} == {peers.LOOPBACK}
    assert {word[1] for word in words} == sources
    assert len(sources) == 2
    connections = [word[2] for word in words]
    assert connections[0] == connections[1] != connections[2] == connections[3]
    assert [word[3] for word in words] == ["1", "2", "1", "2"]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_hears_who_the_client_is(version: str) -> None:
    port = peers.free_port()
    listen = (
        f"\nlisten proxied\n    bind {peers.LOOPBACK}:{port} accept-proxy\n"
        '    http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] x x\\n"\n'
    )
    flags = ("--origin-proxy-protocol", version)
    with (
        peers.haproxy(9, backend=listen),
        ours.gateway(f"http://{peers.LOOPBACK}:{port}", flags=flags) as gateway,
    ):
        said, sources = asked(gateway.url)
    assert {re.sub(r" x x$", "", line) for line in said} == {f"{peers.LOOPBACK} {port}" for port in sources}
