"""What a thread sleeps on until another one wakes it.

A finalizer may ring too, while its thread is in the midst of a wait for the same bell: `threading.Event`
would wait there for itself. A bare lock is one step of the interpreter, which nothing interrupts.
"""

from __future__ import annotations

import contextlib
import threading


class Bell:
    """Wakes one thread; a ring that nobody waits for is kept, and several are one."""

    __slots__ = ("_silent",)

    def __init__(self) -> None:
        self._silent = threading.Lock()  # held while nobody has rung
        self._silent.acquire()

    def ring(self) -> None:
        """Wake who waits, or the next one who does; callable from everywhere."""
        with contextlib.suppress(RuntimeError):  # it was rung already
            self._silent.release()

    def clear(self) -> None:
        """Forget a ring."""
        self._silent.acquire(blocking=False)

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, and take it; False if none came in time, at most `threading.TIMEOUT_MAX`."""
        return self._silent.acquire(timeout=seconds)
