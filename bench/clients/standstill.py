"""Whether the process stood still: a busy machine may not run it when it wants to run.

Whoever measures a race has to know: a server that stands still ends connections late, and a client that does
so sends late what it decided in time. Neither is the client's doing.
"""

from __future__ import annotations

import threading
import time
from typing import Final, Self

STEP_SECONDS: Final = 0.02


class Standstill:
    """Measures for the length of a `with`.

    Attributes:
        longest: seconds by which a step of this process came late.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(STEP_SECONDS):
            now = time.monotonic()
            self.longest = max(self.longest, now - before - STEP_SECONDS)
            before = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
