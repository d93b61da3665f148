"""What the kernel says of a process (Linux): descriptors, memory, time on the processor, children."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a process holds."""

    descriptors: int
    resident_octets: int
    processor_seconds: float


def resources(process: int) -> Resources:
    """What a process holds now."""
    return Resources(descriptors(process), resident_octets(process), processor_seconds(process))


def descriptors(process: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))


def resident_octets(process: int) -> int:
    """How much memory of a process is resident."""
    return _status(process, "VmRSS") * 1024


def processor_seconds(process: int) -> float:
    """Seconds on a processor, in the kernel or not, since a process began."""
    words = _statistics(process)
    return (int(words[11]) + int(words[12])) / TICKS_A_SECOND


def children(process: int) -> list[int]:
    """The processes that a process has started and that have not ended; zombies do not count."""
    path = Path(f"/proc/{process}/task/{process}/children")
    return [child for child in map(int, path.read_text().split()) if is_running(child)]


def is_running(process: int) -> bool:
    """Whether there is such a process and it has not ended."""
    try:
        return _state(process) != "Z"
    except OSError:
        return False


def _statistics(process: int) -> list[str]:
    """The words of /proc/PID/stat behind the name, which may hold anything."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _state(process: int) -> str:
    """One letter: Z has ended, T is stopped."""
    return _statistics(process)[0]


def _status(process: int, name: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def stop(process: int) -> None:
    """Let a process do nothing; return once it does nothing."""
    os.kill(process, signal.SIGSTOP)
    while _state(process) != "T":
        os.sched_yield()


def go_on(process: int) -> None:
    """Let a stopped process go on."""
    os.kill(process, signal.SIGCONT)
