"""An outcome of one act, for tests of what is written about outcomes."""

from __future__ import annotations

from perdure.lab.perform import Outcome
from perdure.lab.table import Table
from perdure.lab.verdict import Claim, Holds
from tests.lab.lanes import exchange_timeline
from tests.lab.playing import scenario_of

TABLE = Table(
    "a <page>", ("strategy", "seconds", "packets"), [("serial", 2.5, 400), ("persistent", 1.25, 90)]
)


async def nothing(stage: object) -> None:
    """Nothing happens."""


def outcome(holds: Holds = Holds.YES) -> Outcome:
    """One lane, one claim, one table."""
    claims = [Claim("a <claim>", "1", "1", holds)]
    return Outcome(scenario_of(nothing), "namespaces", [exchange_timeline()], claims, [TABLE])
