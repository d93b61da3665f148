"""Clients that we did not write, against `perdure serve`."""

from __future__ import annotations

import re
import tempfile

import pytest

from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=15000",
)


def connections_curl_opens(url: str, *flags: str) -> str:
    """How many connections curl opened for each of three requests, one digit each."""
    targets = [word for _ in range(3) for word in ("-o", "/dev/null", url)]
    done = ours.run("curl", "-sS", "-w", "%{num_connects}", *flags, *targets)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.row("R91", "R93", "S6")
def test_curl_sends_three_requests_on_one_connection() -> None:
    peers.require("curl")
    with ours.serve("pages") as server:
        assert connections_curl_opens(f"{server.url}/small.txt") == "100"


@pytest.mark.row("R94", "R169", "S3")
def test_curl_in_http_10_keeps_the_connection_it_asked_to_keep() -> None:
    peers.require("curl")
    with ours.serve("pages") as server:
        flags = ("--http1.0", "-H", "Connection: keep-alive")
        assert connections_curl_opens(f"{server.url}/small.txt", *flags) == "100"


@pytest.mark.row("R95", "S1")
def test_curl_in_http_10_opens_a_connection_each_where_it_asks_for_none_to_be_kept() -> None:
    peers.require("curl")
    with ours.serve("pages") as server:
        assert connections_curl_opens(f"{server.url}/small.txt", "--http1.0") == "111"


@pytest.mark.row("R92", "R117")
def test_curl_opens_a_connection_each_when_it_sends_close() -> None:
    peers.require("curl")
    with ours.serve("pages") as server:
        assert connections_curl_opens(f"{server.url}/small.txt", "-H", "Connection: close") == "111"


@pytest.mark.row("S2", "S3", "R94")
@pytest.mark.parametrize("target", ["tests.real_programs.applications:counting", "pages"])
def test_ab_keeps_alive_ten_thousand_http_10_requests(target: str) -> None:
    ab = peers.require("ab")
    path = "/object" if target != "pages" else "/small.txt"
    with ours.serve(target, "--max-requests", "1000") as server:
        done = ours.run(ab, "-q", "-k", "-n", "10000", "-c", "32", f"{server.url}{path}")
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^([A-Z][\w -]+): +(\d+)", done.stdout, re.MULTILINE))
    # The last response of each thousand announces the close, and is not one kept alive.
    assert int(found["Complete requests"]) == 10000
    assert int(found["Failed requests"]) == 0
    assert int(found["Keep-Alive requests"]) >= 10000 - 10


def test_ab_is_kept_alive_every_single_time_when_nothing_limits_a_connection() -> None:
    ab = peers.require("ab")
    with ours.serve("pages", "--max-requests", "none") as server:
        done = ours.run(ab, "-q", "-k", "-n", "10000", "-c", "32", f"{server.url}/small.txt")
    assert "Keep-Alive requests:    10000" in done.stdout
    assert "Failed requests:        0" in done.stdout


def test_wrk_sees_no_error_in_two_seconds() -> None:
    wrk = peers.require("wrk")
    with ours.serve("tests.real_programs.applications:counting") as server:
        done = ours.run(wrk, "-t1", "-c32", "-d2", f"{server.url}/object")
    assert done.returncode == 0, done.stderr
    assert "Socket errors" not in done.stdout
    assert "Non-2xx" not in done.stdout
    requests = re.search(r"(\d+) requests in", done.stdout)
    assert requests is not None
    assert int(requests[1]) > 1000


@pytest.mark.row("S9", "R91")
def test_chromium_fetches_twelve_objects_over_few_connections() -> None:
    chromium = peers.require("chromium")
    with (
        ours.serve("tests.real_programs.applications:counting") as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        done = ours.run(
            chromium, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", "--dump-dom", f"{server.url}/"
        )
    result = re.search(r'id="result">(\d+) objects over (\d+) connections', done.stdout)
    assert result is not None, done.stdout + done.stderr[-2000:]
    objects, connections = int(result[1]), int(result[2])
    assert objects == 12
    assert 1 <= connections <= 6
