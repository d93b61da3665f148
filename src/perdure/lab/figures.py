"""What several scenarios came to, for a machine: the same document for `--json` and for a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perdure.lab.perform import Outcome, machine
from perdure.lab.verdict import Holds


def document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    return {
        "verdict": overall(outcomes).value,
        "machine": machine(),
        "scenarios": [outcome.document() for outcome in outcomes],
    }


def overall(outcomes: Sequence[Outcome]) -> Holds:
    """What becomes of all scenarios: one that fails fails them, and something must have been shown."""
    found = {outcome.holds for outcome in outcomes}
    if Holds.NO in found:
        return Holds.NO
    return Holds.YES if Holds.YES in found else Holds.NOT_SHOWN
