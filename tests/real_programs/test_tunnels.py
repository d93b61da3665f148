"""A tunnel of `perdure proxy` that carries much: curl at one end, nginx or `perdure serve` at the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import peers
from tests.real_programs import ours

pytestmark = [pytest.mark.peer, pytest.mark.slow]

GIBIBYTE = 1 << 30
GROWTH_ALLOWED = 16 << 20
ANYWHERE = ("--allow", peers.LOOPBACK, "--connect-ports", "any")


def test_a_gibibyte_comes_down_a_tunnel_in_constant_memory() -> None:
    peers.require("curl")
    with peers.nginx() as origin, ours.proxy(*ANYWHERE) as proxy:
        with (origin.folder / "pages" / "large").open("wb") as large:
            large.truncate(GIBIBYTE)
        before = ours.reset_peak_memory(proxy)
        done = ours.run(
            "curl", "-sS", "--proxytunnel", "--proxy", proxy.url, "--output", "/dev/null",
            "--write-out", "%{size_download}", f"{origin.url}/large",
        )  # fmt: skip
        growth = ours.peak_memory(proxy) - before
    assert (done.stdout, done.stderr) == (str(GIBIBYTE), "")
    assert growth < GROWTH_ALLOWED


def test_a_gibibyte_goes_up_a_tunnel_in_constant_memory(tmp_path: Path) -> None:
    peers.require("curl")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(GIBIBYTE)
    with (
        ours.serve("tests.real_programs.applications:swallowing") as origin,
        ours.proxy(*ANYWHERE) as proxy,
    ):
        before = ours.reset_peak_memory(proxy)
        done = ours.run(
            "curl",
            "-sS",
            "--proxytunnel",
            "--proxy",
            proxy.url,
            "--upload-file",
            str(large),
            f"{origin.url}/put",
        )
        growth = ours.peak_memory(proxy) - before
    assert (done.stdout, done.stderr) == (str(GIBIBYTE), "")
    assert growth < GROWTH_ALLOWED
