"""`perdure gateway` between clients and origins that we did not write."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]

GIBIBYTE = 1 << 30
GROWTH_ALLOWED = 32 << 20


def ab_through(gateway: peers.Peer, requests: int = 10000) -> None:
    """Send requests over 64 client connections that are kept alive; none fails."""
    ab = peers.require("ab")
    done = ours.run(ab, "-q", "-k", "-n", str(requests), "-c", "64", f"{gateway.url}/small.txt")
    assert done.returncode == 0, done.stderr
    assert f"Complete requests:      {requests}" in done.stdout
    assert "Failed requests:        0" in done.stdout
    assert "Non-2xx responses" not in done.stdout


def nginx_with_log() -> AbstractContextManager[peers.Peer]:
    """nginx that logs, for each request, the connection it came on."""
    directives = "keepalive_requests 100000; access_log connections.log numbers;"
    return peers.nginx(http="log_format numbers $connection;", server=directives)


@pytest.mark.row("S7", "S8", "S11")
def test_ten_thousand_requests_over_64_clients_use_at_most_64_connections_to_nginx() -> None:
    with nginx_with_log() as origin, ours.gateway(origin.url) as gateway:
        ab_through(gateway)
        lines = (origin.folder / "connections.log").read_text().split()
    assert len(lines) == 10000
    assert 1 <= len(set(lines)) <= 64


@pytest.mark.row("S7", "S8", "S11")
def test_ten_thousand_requests_over_64_clients_use_at_most_64_connections_to_apache() -> None:
    # %k counts the requests before this one on its connection: 0 is the first. With all of its
    # threads busy Apache closes connections that are kept alive, so it gets enough of them.
    threads = "ThreadLimit 128\nThreadsPerChild 128\nMaxRequestWorkers 256"
    log = 'LogFormat "%k" kept\nCustomLog kept.log kept'
    with (
        peers.apache(max_requests=0, more=f"{threads}\n{log}") as origin,
        ours.gateway(origin.url) as gateway,
    ):
        ab_through(gateway)
        origin.stop()  # writes what is left of the log
        lines = (origin.folder / "kept.log").read_text().split()
    assert len(lines) == 10000
    assert 1 <= lines.count("0") <= 64


@pytest.mark.row("S1", "R182")
def test_an_http_10_origin_never_has_more_than_64_connections_open_at_once() -> None:
    # http.server's accept queue holds five; the kernel lets more wait for up to a minute.
    flags = ("--origin-max-per-origin", "4")
    with peers.http_server() as origin, ours.gateway(origin.url, flags=flags) as gateway:
        with ours.most_connections_to(origin.port) as most:
            ab_through(gateway)
        assert len(re.findall(r'"GET /small.txt HTTP/1.1" 200', origin.log())) == 10000
    assert 1 <= most.seen <= 64


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_gibibyte_streams_down_in_constant_memory(framing: str) -> None:
    peers.require("curl")
    with (
        ours.serve("tests.real_programs.applications:swallowing") as ours_origin,
        peers.nginx() as origin,
    ):
        with (origin.folder / "pages" / "large").open("wb") as large:
            large.truncate(GIBIBYTE)
        url = origin.url if framing == "length" else ours_origin.url
        with ours.gateway(url) as gateway:
            target = "large" if framing == "length" else "1024"
            before = ours.reset_peak_memory(gateway)
            done = ours.run(
                "curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", f"{gateway.url}/{target}"
            )
            growth = ours.peak_memory(gateway) - before
    assert (done.stdout, done.stderr) == (str(GIBIBYTE), "")
    assert growth < GROWTH_ALLOWED


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_gibibyte_streams_up_in_constant_memory(framing: str, tmp_path: Path) -> None:
    peers.require("curl")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(GIBIBYTE)
    how = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    with (
        ours.serve("tests.real_programs.applications:swallowing") as origin,
        ours.gateway(origin.url) as gateway,
    ):
        before = ours.reset_peak_memory(gateway)
        done = ours.run("curl", "-sS", *how, "-T", str(large), f"{gateway.url}/put")
        growth = ours.peak_memory(gateway) - before
    assert (done.stdout, done.stderr) == (str(GIBIBYTE), "")
    assert growth < GROWTH_ALLOWED


@pytest.mark.row("R124")
def test_a_refused_origin_is_a_502_and_the_client_connection_lives() -> None:
    peers.require("curl")
    with ours.gateway(f"http://{peers.LOOPBACK}:{peers.free_port()}") as gateway:
        url = f"{gateway.url}/"
        targets = ["-o", "/dev/null", url, "-o", "/dev/null", url]
        done = ours.run("curl", "-sS", "-w", "%{http_code} %{num_connects}\n", *targets)
    assert done.stdout.splitlines() == ["502 1", "502 0"]
