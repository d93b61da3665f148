"""Run a scenario on a backend, and say what came of it."""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.core.errors import Error
from perdure.lab.backend import Backend, CannotStage
from perdure.lab.backend_loopback import LoopbackBackend
from perdure.lab.backend_memory import MemoryBackend
from perdure.lab.backend_namespaces import NamespaceBackend
from perdure.lab.lanes import Timeline
from perdure.lab.link import Carried
from perdure.lab.scenario import Scenario
from perdure.lab.stage import Stage
from perdure.lab.table import Table
from perdure.lab.verdict import Claim, Holds, verdict
from perdure.wire.clock import now, wall_clock
from perdure.wire.namespace import Namespace, NamespacesUnavailable

BACKENDS: Final[dict[str, Callable[[], Backend]]] = {
    "memory": MemoryBackend,
    "namespaces": NamespaceBackend,
    "loopback": LoopbackBackend,
}
EMULATED: Final = {
    "memory": "in memory, in virtual time: handshakes are a round trip, and there is no slow start, no loss "
    "and no packet; times are computed, not measured",
    "loopback": "on loopback, where a relay delays octets: handshakes are a pause of one round trip, and "
    "slow start, loss and packets are not shown",
    "namespaces": "",
}
"""What a report must say of figures from each backend."""

HOW_TO: Final = {"namespaces": ": be root, or put unshare --user --map-root-user --net before the command"}
"""What whoever lacks a backend can do about it."""


@dataclass(slots=True)
class Outcome:
    """What came of one scenario.

    Attributes:
        backend: the name of where it ran.
        acts: what happened.
        claims: what was expected of it, and what was measured.
        tables: figures side by side.
        error: why it could not be played to its end, in one line; "" if it was. trace: its traceback.
        seconds: how long it took, by the clock on the wall.
        carried: the frames that its links carried, where they were the kernel's.
        epoch: the wall-clock time at which the clock of its event loop was 0; 0 in virtual time.
    """

    scenario: Scenario
    backend: str
    acts: list[Timeline] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    error: str = ""
    trace: str = ""
    seconds: float = 0.0
    carried: list[Carried] = field(default_factory=list)
    epoch: float = 0.0

    @property
    def holds(self) -> Holds:
        """What becomes of it as a whole."""
        return Holds.NO if self.error else verdict(self.claims)

    def document(self) -> dict[str, Any]:
        """For a machine."""
        scenario = self.scenario
        return {
            "name": scenario.name,
            "title": scenario.title,
            "rows": list(scenario.rows),
            "backend": self.backend,
            "emulated": EMULATED[self.backend],
            "verdict": self.holds.value,
            "claims": [claim.document() for claim in self.claims],
            "tables": [table.document() for table in self.tables],
            "error": self.error or None,
            "seconds": round(self.seconds, 3),
            "acts": [act.document() for act in self.acts],
        }


def why_no_namespaces() -> str:
    """Say why this machine or user cannot make hosts of network namespaces; "" where it can."""
    # In a thread of its own: who may enter a namespace may not be allowed to come back (user_namespaces(7)).
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_try_namespaces).result()


def _try_namespaces() -> str:
    try:
        probe = Namespace.create("probe")
    except NamespacesUnavailable as error:
        return str(error)
    try:
        probe.run("ip", "-batch", "-", text="link add name v0 type veth peer name v1\nlink set dev lo up\n")
        probe.set_kernel("net.ipv4.tcp_no_metrics_save", 1)
    except NamespacesUnavailable as error:
        return str(error)
    except OSError as error:
        return f"cannot enter a network namespace and come back: {error.strerror}"
    finally:
        probe.close()
    return ""


def best_backend() -> str:
    """The name of the backend that measures most on this machine, for this user."""
    return "loopback" if why_no_namespaces() else "namespaces"


def perform(
    scenario: Scenario, backend_name: str, progress: Callable[[str], None] = lambda text: None
) -> Outcome:
    """Play a scenario to its end.

    Args:
        backend_name: of `BACKENDS`.
        progress: told the name of each act as it begins.

    Returns:
        What came of it, whatever goes wrong in it: an error is part of the outcome.

    Raises:
        CannotStage: it cannot run on this backend at all.
    """
    if backend_name not in scenario.backends:
        wanted = ", ".join(scenario.backends)
        raise CannotStage(f"it runs on {wanted} only, got {backend_name}{HOW_TO.get(wanted, '')}")
    backend = BACKENDS[backend_name]()
    outcome = Outcome(scenario, backend_name)
    stage = Stage(backend, scenario.links, progress)
    outcome.acts, outcome.claims, outcome.tables = stage.acts, stage.claims, stage.tables
    began = now()
    try:
        backend.run(_play(scenario, backend, stage))
    except CannotStage:
        raise
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {' '.join(str(error).split())}"
        outcome.trace = "" if isinstance(error, Error) else traceback.format_exc()
    outcome.seconds = now() - began
    if isinstance(backend, NamespaceBackend):
        outcome.carried = backend.carried
    if not isinstance(backend, MemoryBackend):
        outcome.epoch = wall_clock() - now()
    return outcome


async def _play(scenario: Scenario, backend: Backend, stage: Stage) -> None:
    try:
        await backend.open(scenario.hosts, scenario.links, scenario.congestion)
        await scenario.play(stage)
    finally:
        await backend.close()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
