"""Five thousand connections that send an octet a second each, and one that behaves."""

from __future__ import annotations

import sys

import pytest

from tests import peers
from tests.endurance import health
from tests.endurance.drip import Dripping, Part, dripping
from tests.endurance.latency import Latency, measure
from tests.endurance.plain import wait_until
from tests.endurance.programs import LOOPS, serve
from tests.endurance.soak import allow_descriptors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are counted in /proc"),
]

DRIPPING = 5000
FLAGS = ("--head-timeout", "600", "--body-grace", "600", "--max-requests", "none")
REQUESTS = 3000
WARM_UP_REQUESTS = 300
"""While they are answered, the server accepts those that drip, which all came at once."""
ROUNDS = range(3, 13)
"""At least three: the best of one or two may be bad luck of the one and good luck of the other."""
SECONDS = 30.0


def measure_while_dripping(port: int, where: int, part: Part) -> tuple[Latency, Dripping]:
    """How long requests to a port take while others drip to `where`, or to themselves if that is 0."""
    with dripping(where, DRIPPING, part) as said:
        measure(port, WARM_UP_REQUESTS)
        latency = measure(port, REQUESTS)
    return latency, said


def fall_quiet(server: peers.Peer, descriptors: int) -> None:
    """Wait until the server has let go of those that dripped."""
    assert wait_until(lambda: health.descriptors(server.process.pid) <= descriptors, SECONDS)


@pytest.mark.row("R112")
@pytest.mark.parametrize("part", ["head", "content"])
@pytest.mark.parametrize("loop", LOOPS)
def test_five_thousand_that_drip_do_not_double_the_p99_of_one_who_behaves(loop: str, part: Part) -> None:
    # What sending 5,000 octets a second costs the machine is measured apart, by a program that sends as
    # many to itself. Whatever else the machine does can only add to a latency, and it changes from one round
    # to the next, so the best rounds of both are compared: what dripping itself costs, every round pays.
    without, during = [], []
    allow_descriptors()
    with serve(*FLAGS, loop=loop) as server:
        at_first = health.descriptors(server.process.pid)
        for done in range(1, ROUNDS.stop):
            fall_quiet(server, at_first)
            without.append(measure_while_dripping(server.port, 0, part)[0])
            latency, said = measure_while_dripping(server.port, server.port, part)
            during.append(latency)
            assert said.ended == 0
            assert said.octets > 500
            best, best_without = (min(latency.p99 for latency in rounds) for rounds in (during, without))
            if done >= ROUNDS.start and best <= 2 * best_without:
                break
        else:
            pytest.fail(f"without: {[*map(str, without)]}, during: {[*map(str, during)]}")
        fall_quiet(server, at_first)
