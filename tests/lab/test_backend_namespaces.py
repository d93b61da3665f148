"""The backend in network namespaces: the kernel's own TCP over a link in user space."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from perdure.lab.backend import CannotStage
from perdure.lab.lanes import Kind, Timeline
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.perform import perform
from perdure.lab.stage import Stage
from tests.lab.machine import needs_namespaces
from tests.lab.playing import LINK, played, scenario_of

pytestmark = [pytest.mark.slow, needs_namespaces]


async def fetch(stage: Stage, octets: int) -> None:
    async with stage.act("fetch") as act:
        await act.serve("server", objects_of(octets))
        client = await act.client("client")
        assert len((await client.get(act.url("server"))).content) == octets
        act.stop_clock()


def fetched(octets: int, link: Link) -> Timeline:
    [act] = played(lambda stage: fetch(stage, octets), "namespaces", links=(link,)).acts
    return act


def test_handshake_and_packets_are_the_kernels() -> None:
    act = fetched(10, LINK)
    [lane] = act.lanes
    assert [each.kind for each in lane.crossings[:3]] == [Kind.SYN, Kind.SYN_ACK, Kind.ACK]
    assert lane.established_at - lane.began_at >= 0.1
    assert lane.crossings[0].frame_octets == 74
    assert act.seconds >= 0.2


def test_slow_start_lets_ten_packets_go_in_the_first_round_trip() -> None:
    [lane] = fetched(100_000, LINK).lanes
    sent = [each for each in lane.crossings if each.sender == "server" and each.octets]
    first = [each for each in sent if each.sent_at < sent[0].sent_at + 0.05]
    assert len(first) == 10  # RFC 6928 §2
    assert all(each.octets <= 1448 for each in sent)  # the kernel cuts segments apart itself


def test_lost_packets_are_sent_again_by_the_kernel() -> None:
    [lane] = fetched(200_000, Link(a="client", b="server", rtt=0.01, loss=0.05, seed=5)).lanes
    assert any(each.arrived_at is None for each in lane.crossings)
    assert any(each.again for each in lane.crossings)
    assert lane.octets("server") > 200_000


def test_rate_is_that_of_the_link() -> None:
    act = fetched(100_000, Link(a="client", b="server", rtt=0.01, rate=1_000_000))
    assert act.seconds > 100_000 * 8 / 1_000_000


def test_real_programs_run_on_hosts_and_time_wait_is_the_kernels() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("a real program") as act:
            await act.serve("server", objects_of(10), max_requests=1)
            code = f"import urllib.request as u; print(len(u.urlopen({act.url('server')!r}).read()))"
            status, out, _ = await act.run("client", [sys.executable, "-c", code])
            assert (status, out) == (0, b"10\n")
            await act.rest(0.2)
            assert act.waiting_connections("server") == 1
            process = act.start("client", [sys.executable, "-c", "import time; time.sleep(60)"])
            with pytest.raises(CannotStage, match="no-such-program"):
                await act.run("client", ["no-such-program"])
        assert process.returncode is not None

    [act] = played(play, "namespaces").acts
    assert act.lanes[0].messages[0].text == "GET / HTTP/1.1"


def test_nothing_is_left_behind_whatever_happens() -> None:
    async def fails(stage: Stage) -> None:
        async with stage.act("fails"):
            raise RuntimeError("on purpose")

    before = _children(), _descriptors()
    assert perform(scenario_of(fails), "namespaces").error
    assert (_children(), _descriptors()) == before


def test_congestion_control_that_the_kernel_has_not_is_said() -> None:
    async def play(stage: Stage) -> None: ...

    with pytest.raises(CannotStage, match="no-such-control"):
        perform(scenario_of(play)._replace(congestion="no-such-control"), "namespaces")


def _children() -> set[str]:
    return set(Path("/proc/thread-self/children").read_text("ascii").split())


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
