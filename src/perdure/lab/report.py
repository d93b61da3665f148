"""A report in a folder: what was measured as JSON, and every act as a picture.

DIR/report.json                      everything: machine, backend, claims, lanes (`document`)
DIR/SCENARIO-ACT.svg                 each act; ACT counts from 1
DIR/SCENARIO.pcap                    what the links carried, where the kernel's packets crossed them
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perdure.lab.packets import write_capture
from perdure.lab.perform import Outcome, machine
from perdure.lab.picture import draw
from perdure.lab.verdict import Holds


def document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything that was measured, for a machine."""
    return {
        "verdict": overall(outcomes).value,
        "machine": machine(),
        "scenarios": [outcome.document() for outcome in outcomes],
    }


def overall(outcomes: Sequence[Outcome]) -> Holds:
    """What becomes of all scenarios together."""
    found = {outcome.holds for outcome in outcomes}
    if Holds.NO in found:
        return Holds.NO
    return Holds.YES if Holds.YES in found else Holds.NOT_SHOWN


def write_report(folder: Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """Write a report; files of the same names are replaced.

    Returns:
        What was written.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "report.json"]
    written[0].write_text(json.dumps(document(outcomes), indent=1, ensure_ascii=False) + "\n", "utf-8")
    for outcome in outcomes:
        for number, act in enumerate(outcome.acts, 1):
            path = folder / f"{outcome.scenario.name}-{number}.svg"
            path.write_text(draw(act), "utf-8")
            written.append(path)
        if outcome.carried:
            path = folder / f"{outcome.scenario.name}.pcap"
            with path.open("wb") as file:
                write_capture(file, outcome.carried, outcome.epoch)
            written.append(path)
    return written
