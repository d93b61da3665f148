"""Playing a scenario that stands in a test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from perdure.lab.link import Link
from perdure.lab.perform import Outcome, perform
from perdure.lab.scenario import Scenario
from perdure.lab.stage import Stage

LINK = Link(a="client", b="server", rtt=0.1)


def scenario_of(
    play: Callable[[Stage], Awaitable[None]],
    hosts: tuple[str, ...] = ("client", "server"),
    links: tuple[Link, ...] = (LINK,),
) -> Scenario:
    """A scenario that runs everywhere."""
    backends = ("memory", "namespaces", "loopback")
    return Scenario("test", "A test", "", ("S1",), hosts, links, "reno", backends, play)


def played(
    play: Callable[[Stage], Awaitable[None]],
    backend: str = "memory",
    hosts: tuple[str, ...] = ("client", "server"),
    links: tuple[Link, ...] = (LINK,),
) -> Outcome:
    """What came of it; whatever it raised is raised here."""
    outcome = perform(scenario_of(play, hosts, links), backend)
    assert not outcome.error, outcome.trace or outcome.error
    return outcome
