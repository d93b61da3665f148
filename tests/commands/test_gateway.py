"""`perdure gateway` as a process, in front of `perdure serve` as another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import Perdure
from tests.programs import ECHO, TOP, document, serving


@pytest.mark.slow
@pytest.mark.row("S8", "S11")
def test_both_hops_persist_and_each_counts_its_own(perdure: Perdure) -> None:
    with serving("serve", ECHO, folder=TOP) as origin, serving("gateway", "--to", origin.url) as gateway:
        totals = document(perdure("get", "-n", "40", "-c", "4", "--json", gateway.url))["totals"]
        assert (totals["answered"], totals["connections"]) == (40, 4)
        gateway.end()
        origin.end()
    assert (gateway.counted["connections"], gateway.counted["requests"]) == (4, 40)
    assert origin.counted["requests"] == 40
    assert 1 <= origin.counted["connections"] <= 4


@pytest.mark.slow
def test_settings_toward_origins_have_names_of_their_own(perdure: Perdure, tmp_path: Path) -> None:
    text = "[gateway]\nmax_requests = 5\norigin_max_requests = 2\n"
    (tmp_path / "perdure.toml").write_text(text, encoding="utf-8")
    with (
        serving("serve", ECHO, folder=TOP) as origin,
        serving("gateway", "--to", origin.url, "--config", "perdure.toml", folder=tmp_path) as gateway,
    ):
        perdure("get", "-n", "10", gateway.url)
        gateway.end()
        origin.end()
    assert (gateway.counted["connections"], origin.counted["connections"]) == (2, 5)


@pytest.mark.slow
def test_requests_are_spread_over_the_origins(perdure: Perdure) -> None:
    with (
        serving("serve", ECHO, folder=TOP) as first,
        serving("serve", ECHO, folder=TOP) as second,
        serving("gateway", "--to", first.url, "--to", second.url) as gateway,
    ):
        perdure("get", "-n", "10", gateway.url)
        gateway.end()
        first.end()
        second.end()
    assert first.counted["requests"] + second.counted["requests"] == 10
    assert min(first.counted["requests"], second.counted["requests"]) > 0


def test_origin_that_is_not_there_is_a_bad_gateway(perdure: Perdure) -> None:
    with serving("gateway", "--to", "http://127.0.0.1:1") as gateway:
        result = perdure("get", "-i", gateway.url)
    assert result.stdout.startswith("HTTP/1.1 502")
    assert result.returncode == 1
