"""Performing: whatever goes wrong in a scenario is part of its outcome."""

from __future__ import annotations

import json

import pytest

from perdure.lab.backend import CannotStage
from perdure.lab.perform import best_backend, machine, perform, why_no_namespaces
from perdure.lab.stage import Stage
from perdure.lab.verdict import Holds
from perdure.wire.namespace import Namespace, NamespacesUnavailable
from tests.lab.playing import played, scenario_of


def test_error_fails_the_scenario_and_keeps_what_was_claimed_before() -> None:
    async def play(stage: Stage) -> None:
        stage.expect("first", 1, 1)
        raise RuntimeError("the stage\nis on fire")

    outcome = perform(scenario_of(play), "memory")
    assert outcome.holds is Holds.NO
    assert outcome.error == "RuntimeError: the stage is on fire"
    assert "RuntimeError" in outcome.trace
    assert len(outcome.claims) == 1


def test_scenario_that_waits_for_ever_in_virtual_time_is_told_apart() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("nobody comes") as act:
            listener = await act.listen("server")
            await (await listener.accept()).receive_exactly(1)

    outcome = perform(scenario_of(play), "memory")
    assert outcome.error.startswith("TimeoutError")


def test_outcome_is_a_document_of_json() -> None:
    async def play(stage: Stage) -> None:
        stage.expect("first", 1, 1)

    document = json.loads(json.dumps(played(play).document()))
    assert (document["verdict"], document["backend"], document["rows"]) == ("holds", "memory", ["S1"])
    assert "virtual time" in document["emulated"]
    assert set(machine()) == {"system", "kernel", "machine", "processors", "python"}


def test_what_a_backend_cannot_stage_is_no_outcome() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("") as act:
            await act.run("client", ["curl"])

    with pytest.raises(CannotStage):
        perform(scenario_of(play), "memory")


def test_without_namespaces_loopback_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Namespace:
        raise NamespacesUnavailable("cannot make a network namespace: Operation not permitted")

    monkeypatch.setattr(Namespace, "create", refuse)
    assert why_no_namespaces() == "cannot make a network namespace: Operation not permitted"
    assert best_backend() == "loopback"


def test_who_may_enter_a_namespace_and_not_come_back_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def enter(self: Namespace, *command: str, text: str = "") -> str:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Namespace, "create", lambda name: Namespace(name, -1))
    monkeypatch.setattr(Namespace, "run", enter)
    assert why_no_namespaces() == "cannot enter a network namespace and come back: Operation not permitted"
