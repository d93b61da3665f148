"""Scenarios are found by name, declare what they need, and hold."""

from __future__ import annotations

import re

import pytest

from perdure.lab.backend import CannotStage
from perdure.lab.perform import perform, why_no_namespaces
from perdure.lab.scenario import ALL_BACKENDS, UnknownScenario, load, scenario_names, scenario_title
from perdure.lab.verdict import Holds
from tests.lab.machine import needs_namespaces

LONG = {"site-locality"}
"""Minutes by the clock: played whole in memory alone; tests/lab/test_page.py has the part that is quicker."""
SLOW = {name: [pytest.mark.slow] for name in LONG}
IN_MEMORY = [
    pytest.param(name, marks=[pytest.mark.row(*load(name).rows), *SLOW.get(name, [])])
    for name in scenario_names()
    if "memory" in load(name).backends
]
ON_REAL_TCP = [name for name in scenario_names() if "namespaces" in load(name).backends and name not in LONG]
ON_LOOPBACK = ("keep-alive-handshake", "persistent-by-default", "serial-http10")
"""The short ones: on loopback the others differ from memory in nothing but the time they take."""


@pytest.mark.parametrize("name", scenario_names())
def test_scenario_declares_what_it_needs(name: str) -> None:
    scenario = load(name)
    assert scenario.title == scenario_title(name)
    assert not scenario.title.endswith(".")
    assert scenario.about
    assert scenario.rows
    assert all(re.fullmatch(r"S(?:[1-9]|1[0-6])", row) for row in scenario.rows)
    assert {end for link in scenario.links for end in (link.a, link.b)} <= set(scenario.hosts)
    assert set(scenario.backends) <= set(ALL_BACKENDS)


def test_every_system_of_the_source_texts_has_a_scenario() -> None:
    shown = {row for name in scenario_names() for row in load(name).rows}
    assert shown == {f"S{number}" for number in range(1, 17)}


@pytest.mark.parametrize("name", IN_MEMORY)
def test_scenario_holds_in_memory_and_is_the_same_twice(name: str) -> None:
    first, second = (perform(load(name), "memory") for _ in range(2))
    assert not first.error, first.trace or first.error
    assert [claim.text() for claim in first.claims if claim.holds is Holds.NO] == []
    assert first.holds is Holds.YES
    assert [act.document() for act in first.acts] == [act.document() for act in second.acts]


@pytest.mark.slow
@needs_namespaces
@pytest.mark.parametrize("name", ON_REAL_TCP)
def test_scenario_runs_on_the_kernels_tcp(name: str) -> None:
    """Its claims about time may fail on a busy machine; that it is played to its end may not."""
    outcome = perform(load(name), "namespaces")
    assert not outcome.error, outcome.trace or outcome.error
    assert any(claim.holds is Holds.YES for claim in outcome.claims)
    assert all(lane.packets for act in outcome.acts for lane in act.lanes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_LOOPBACK)
def test_scenario_runs_on_loopback(name: str) -> None:
    outcome = perform(load(name), "loopback")
    assert not outcome.error, outcome.trace or outcome.error
    assert any(claim.holds is Holds.YES for claim in outcome.claims)


def test_unknown_name_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(UnknownScenario, match=r"'fast-end'; expected one of: .*slow-start"):
        load("fast-end")
    with pytest.raises(UnknownScenario, match=r"'slowstart'; did you mean slow-start\?$"):
        load("slowstart")


def test_scenario_that_does_not_run_on_a_backend_says_where_it_does() -> None:
    scenario = load("slow-start")._replace(backends=("namespaces",))
    with pytest.raises(CannotStage, match="it runs on namespaces only, got memory: be root"):
        perform(scenario, "memory")


def test_why_there_are_no_namespaces_is_said_in_words() -> None:
    assert isinstance(why_no_namespaces(), str)
