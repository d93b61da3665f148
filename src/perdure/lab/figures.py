"""What several scenarios came to, for a machine: the same document for `--json` and for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from perdure.lab.perform import Outcome, machine
from perdure.lab.verdict import Holds

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def document(
    outcomes: Sequence[Outcome], left_out: Mapping[str, str] = NOTHING, *, interrupted: bool = False
) -> dict[str, Any]:
    """Everything that was measured, and on what.

    Args:
        left_out: why scenarios could not run, by name.
        interrupted: whether it was ended before the last scenario.
    """
    return {
        "verdict": overall(outcomes).value,
        "machine": machine(),
        "scenarios": [outcome.document() for outcome in outcomes],
        "left_out": [{"name": name, "why": why} for name, why in left_out.items()],
        "interrupted": interrupted,
    }


def overall(outcomes: Sequence[Outcome]) -> Holds:
    """What becomes of all scenarios: one that fails fails them, and something must have been shown."""
    found = {outcome.holds for outcome in outcomes}
    if Holds.NO in found:
        return Holds.NO
    return Holds.YES if Holds.YES in found else Holds.NOT_SHOWN
