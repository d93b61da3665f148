"""What several scenarios came to."""

from __future__ import annotations

import json

from perdure.lab.figures import document, overall
from perdure.lab.verdict import Holds
from tests.lab.outcomes import outcome


def test_one_scenario_that_fails_fails_all() -> None:
    assert overall([outcome(), outcome(Holds.NO)]) is Holds.NO
    assert overall([outcome(), outcome(Holds.NOT_SHOWN)]) is Holds.YES
    assert overall([outcome(Holds.NOT_SHOWN)]) is Holds.NOT_SHOWN


def test_document_names_machine_and_scenarios_and_is_json() -> None:
    figures = json.loads(json.dumps(document([outcome()])))
    assert figures["verdict"] == "holds"
    assert figures["machine"]["kernel"]
    assert figures["scenarios"][0]["acts"][0]["lanes"][0]["ended_by"] == "server"
