"""A report in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from perdure.lab.perform import Outcome
from perdure.lab.report import document, overall, write_report
from perdure.lab.verdict import Claim, Holds
from tests.lab.frames import CLIENT, SERVER, carried, frame
from tests.lab.lanes import exchange_timeline
from tests.lab.playing import scenario_of


async def nothing(stage: object) -> None:
    """Nothing happens."""


def outcome(holds: Holds = Holds.YES) -> Outcome:
    return Outcome(scenario_of(nothing), "namespaces", [exchange_timeline()], [Claim("a", "1", "1", holds)])


def test_report_has_figures_pictures_and_packets(tmp_path: Path) -> None:
    captured = outcome()
    captured.carried = [carried(1.0, frame(CLIENT, SERVER, 2))]
    written = write_report(tmp_path / "new" / "out", [captured])
    assert [path.name for path in written] == ["report.json", "test-1.svg", "test.pcap"]
    figures = json.loads(written[0].read_text("utf-8"))
    assert figures["scenarios"][0]["acts"][0]["lanes"][0]["ended_by"] == "server"
    assert written[1].read_text("utf-8").startswith("<svg")
    assert written[2].stat().st_size == 24 + 16 + 54


def test_one_scenario_that_fails_fails_all() -> None:
    assert overall([outcome(), outcome(Holds.NO)]) is Holds.NO
    assert overall([outcome(), outcome(Holds.NOT_SHOWN)]) is Holds.YES
    assert overall([outcome(Holds.NOT_SHOWN)]) is Holds.NOT_SHOWN
    assert document([outcome()])["verdict"] == "holds"
