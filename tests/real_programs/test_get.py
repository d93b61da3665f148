"""`perdure get` against origins that we did not write."""

from __future__ import annotations

import json
import re

import pytest

from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.mark.row("S8", "S9", "R108")
def test_a_hundred_requests_over_four_connections_are_96_reuses() -> None:
    with peers.nginx() as origin:
        done = ours.perdure("get", "-n", "100", "-c", "4", f"{origin.url}/small.txt")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b4 connections\b", done.stdout)
    assert re.search(r"\b96 reused\b|\b96 reuses\b", done.stdout)


@pytest.mark.row("S1", "R99", "R182")
def test_an_http_10_server_costs_a_connection_each_and_each_close_has_its_reason() -> None:
    with peers.http_server() as origin:
        done = ours.perdure("get", "-n", "100", "-c", "4", f"{origin.url}/small.txt")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b100 connections\b", done.stdout)
    assert re.search(r"\b100\b.*HTTP/1.0 without the keep-alive option", done.stdout)


def test_the_same_figures_come_as_json() -> None:
    with peers.nginx() as origin:
        done = ours.perdure("get", "--json", "-n", "20", "-c", "2", f"{origin.url}/small.txt")
    document = json.loads(done.stdout)
    assert len(document["requests"]) == 20


@pytest.mark.row("R46", "R169", "S2")
def test_http_10_keep_alive_is_asked_for_and_used() -> None:
    with peers.apache() as origin:
        done = ours.perdure("get", "--http1.0", "-n", "5", f"{origin.url}/small.txt")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b1 connection\b", done.stdout)


def test_a_refused_connection_is_one_line_and_status_2() -> None:
    url = f"http://{peers.LOOPBACK}:{peers.free_port()}/"
    done = ours.perdure("get", url)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "refused" in done.stderr
