"""What does forwarding cost, kernel included, beside HAProxy, nginx, an aiohttp gateway and mitmproxy?

The gateway runs alone on one core; the load (wrk, 64 connections, ten browser-like fields) and the
origin run on another. CPU is what the kernel's scheduler counted for the gateway's processes. The
gateways take turns within each round; printed are the medians of the rounds, and of the ratios of
perdure to each peer of the same round. "hooks" is our gateway with hooks that do nothing, for which
no head may be remembered; "relay" copies octets with the same event loop, one connection for one.

    repeats   CPU of a GET whose head is the one before
    differs   CPU of a GET whose target and one field are new each time
    answers   the same, and Date, ETag and length of the answer are new each time, too
    1 GiB     one download: octets a second by the clock, and CPU; perdure, haproxy, nginx, relay
    idle      perdure alone: CPU of a GET with 5,000 idle connections beside none, memory of each

    scripts/bench gateway
    python bench/bench_gateway.py --rounds 5 --seconds 2 --only perdure,haproxy --case repeats,differs
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gateways import load
from bench.gateways.load import GATEWAY, GIBIBYTE, OTHERS, Cost, cpu_seconds, free_port, running
from bench.gateways.subjects import NAMES, command_of

GETS = ("repeats", "differs", "answers")
CASES = (*GETS, "1 GiB", "idle")
LARGE_FOR = ("perdure", "haproxy", "nginx", "relay")
IDLE_CONNECTIONS = 5000
Figures = dict[tuple[str, str], list[float]]
"""By case and gateway, one for each round."""


def requests(name: str, origin: int, seconds: int, cases: list[str], folder: Path, into: Figures) -> None:
    """Measure kinds of GET that one gateway asks of one origin."""
    port = free_port()
    command = command_of(name, port, origin, folder)
    if command is None:
        return
    with running(command, GATEWAY, port, folder) as process:
        load.ask(port, 1, False, folder)
        for case in cases:
            found = load.cost(process, port, seconds, case != "repeats", folder)
            into[case, name].append(found.microseconds)
            into[f"{case}, GET/s", name].append(found.rate)


def large(name: str, origin: int, folder: Path, into: Figures) -> None:
    """Measure the download through one gateway."""
    port = free_port()
    command = command_of(name, port, origin, folder)
    if command is None:
        return
    with running(command, GATEWAY, port, folder) as process:
        load.download(port, GIBIBYTE // 16)
        before = cpu_seconds(process)
        into["1 GiB, MiB/s", name].append(1024 / load.download(port, GIBIBYTE))
        into["1 GiB, CPU s", name].append(cpu_seconds(process) - before)


def idle(origin: int, seconds: int, folder: Path, into: Figures) -> None:
    """Measure a GET beside idle connections and without them, in turn, and what each of them holds."""
    port = free_port()
    command = command_of("perdure", port, origin, folder)
    assert command is not None
    with running(command, GATEWAY, port, folder) as process:
        load.ask(port, 1, False, folder)
        alone = [load.cost(process, port, seconds, False, folder)]
        before = load.memory_octets(process)
        with load.idle_connections(port, IDLE_CONNECTIONS):
            into["idle, KiB each", "perdure"].append(
                (load.memory_octets(process) - before) / IDLE_CONNECTIONS / 1024
            )
            crowded = load.cost(process, port, seconds, False, folder)
        alone.append(load.cost(process, port, seconds, False, folder))
        into["idle, CPU of a GET beside them / without", "perdure"].append(_ratio(crowded, alone))


def _ratio(crowded: Cost, alone: list[Cost]) -> float:
    return crowded.microseconds / statistics.fmean(cost.microseconds for cost in alone)


def measure(options: argparse.Namespace, folder: Path) -> Figures:
    """Measure everything that was asked for, round by round."""
    into: Figures = defaultdict(list)
    names = [name for name in NAMES if not options.only or name in options.only.split(",")]
    cases = [case for case in CASES if not options.case or case in options.case.split(",")]
    for name in [name for name in names if command_of(name, 1, 1, folder) is None]:
        print(f"left out, not installed: {name}")
        names.remove(name)
    small, various, big = free_port(), free_port(), free_port()
    origin = [sys.executable, "-m", "bench.gateways.origin"]
    with (
        running([*origin, "small", str(small)], OTHERS, small, folder),
        running([*origin, "various", str(various)], OTHERS, various, folder),
        running([*origin, "large", str(big)], OTHERS, big, folder),
    ):
        for _ in range(options.rounds):
            for name in names:
                if gets := [case for case in cases if case in GETS[:2]]:
                    requests(name, small, options.seconds, gets, folder, into)
                if "answers" in cases:
                    requests(name, various, options.seconds, ["answers"], folder, into)
                if "1 GiB" in cases and name in LARGE_FOR:
                    large(name, big, folder, into)
            if "idle" in cases and "perdure" in names:
                idle(small, options.seconds, folder, into)
    return into


def table(into: Figures) -> None:
    """Print medians, spreads, and what perdure takes of each peer's."""
    formats: dict[str, Callable[[float], str]] = {"MiB/s": "{:.0f}".format, "GET/s": "{:.0f}".format}
    previous = ""
    for case, name in sorted(into, key=lambda key: (key[0], NAMES.index(key[1]))):
        if case != previous:
            print(f"\n{case if ',' in case else f'{case}, µs CPU'}")
        previous = case
        figures, ours = into[case, name], into.get((case, "perdure"))
        show = formats.get(case.rpartition(" ")[2], "{:.2f}".format)
        spread = f"{show(min(figures))} to {show(max(figures))}"
        line = f"  {name:10} {show(statistics.median(figures)):>10}   {spread:>20}"
        if ours and name != "perdure" and len(ours) == len(figures):
            ratio = statistics.median(own / other for own, other in zip(ours, figures, strict=True))
            line += f"   perdure / {name} {ratio:.2f}"
        print(line)


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="", help=f"gateways, separated by commas, of {', '.join(NAMES)}")
    parser.add_argument("--case", default="", help=f"cases, separated by commas, of {', '.join(CASES)}")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is needed (Debian: wrk)")
    load.raise_descriptors()
    if len(load.CORES) > 1:
        os.sched_setaffinity(0, [OTHERS])
    with tempfile.TemporaryDirectory() as place:
        table(measure(options, Path(place)))


if __name__ == "__main__":
    main()
