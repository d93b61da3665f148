"""How the server of a race ends connections, and what it says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LIMIT_SECONDS: Final = 0.5
DELAY_SECONDS: Final = 0.03
SPREAD_SECONDS: Final = 0.1
LANES: Final = 16


@dataclass(frozen=True)
class Variant:
    """One race.

    Attributes:
        name: for the command line.
        sentence: for the page.
        end: "FIN", "RST" or "408": how an idle connection ends.
        hint: the timeout that responses promise; None: they say nothing.
        first_limit: the idle limit until half of the requests were delivered.
        together: all lanes ask one origin at the same moment.
        failures_allowed: per origin, of requests that may not be repeated, by perdure.
    """

    name: str
    sentence: str
    end: str = "FIN"
    hint: int | None = None
    first_limit: float = LIMIT_SECONDS
    together: bool = False
    failures_allowed: int = 0


VARIANTS: Final = (
    Variant("fin", "closes with FIN"),
    Variant("rst", "closes with RST", end="RST"),
    Variant("408", "says 408, then closes", end="408"),
    Variant("hint", "promises `timeout=1`, closes with FIN", hint=1),
    Variant("change", "has a limit of 2 s, from midway on one of 0.5 s", first_limit=2.0, failures_allowed=1),
    Variant("lie", "promises `timeout=5`, closes with FIN", hint=5, failures_allowed=1),
    Variant("together", "closes with FIN; all lanes ask one origin at once", together=True),
)
