"""`perdure demo`: what persistent connections save, measured here and now.

    client (this process) ──▶ gateway ──▶ origin, each a process of its own, on loopback

The same number of requests goes through twice: over connections that persist on both hops, and with a close
announced after every exchange. Both servers count their own connections and requests; the client counts its
own; the operating system counts the processor time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

from perdure.commands.command import Command, Read
from perdure.commands.outcome import NO, YES, CouldNot, Manner, one_line, print_json
from perdure.config import Count, Part, Seconds, Section

ORIGIN: Final = "perdure.commands.demo_origin:application"
ANY_PORT: Final = ("--bind", "127.0.0.1:0", "--drain-grace", "0", "--json")
PATIENCE: Final = 10.0
"""Seconds for one response, which takes a millisecond or so."""
PERSISTENT: Final[tuple[str, ...]] = ()
CLOSING: Final = ("--idle-timeout", "0")
CLOSING_TOWARD_ORIGIN: Final = (*CLOSING, "--no-origin-persist")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `perdure demo` has."""

    keep: bool = False
    """Leave an origin and a gateway running afterwards, until Ctrl-C."""
    seconds: Seconds = 2.0
    """How long to send requests over persistent connections; then as many without."""
    connections: Count = 8
    """Requests at the same time."""


class Measured(NamedTuple):
    """What one run came to."""

    requests: int
    failed: int
    seconds: float
    client_connections: int
    """From the client to the gateway, counted by the gateway."""
    origin_connections: int
    """From the gateway to the origin, counted by the origin."""
    client_cpu: float
    """Seconds of processor time."""
    gateway_cpu: float
    origin_cpu: float

    @property
    def handshakes(self) -> int:
        """TCP handshakes on both hops."""
        return self.client_connections + self.origin_connections

    @property
    def reuse(self) -> float:
        """The share of requests, on both hops, on a connection that had been used before."""
        sent = 2 * self.requests
        return (sent - self.handshakes) / sent if sent else 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0


class Child:
    """A server of ours in a process of its own.

    Attributes:
        url: where it listens.
        cpu: seconds of processor time since it listened, once it has ended.
    """

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "perdure", *arguments]
        # A file and no pipe: nobody reads it before the end, and a full pipe would block the child.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the child
        # A session of its own: Ctrl-C reaches us alone, and we end it in order.
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, start_new_session=True
        )
        self.cpu = 0.0
        listening = self._read()
        if "urls" not in listening:
            self._process.wait()
            self._errors.seek(0)
            errors = self._errors.read()
            self._close()
            raise CouldNot(f"perdure {arguments[0]} did not start: {one_line(errors) or 'it said nothing'}")
        self.url = str(listening["urls"][0])
        self._starting_cpu = cpu_of(self._process.pid)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        document: dict[str, Any] = json.loads(line) if line else {}
        return document

    def stop(self) -> dict[str, Any]:
        """Let it drain; return what it counted. {} when it had ended before."""
        if self._process.returncode is not None:
            return {}
        self._process.send_signal(signal.SIGTERM)
        counted = self._read()
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime - self._starting_cpu
        self._close()
        return counted

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
            self._close()

    def _close(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a running process; 0.0 where the system does not tell (proc(5))."""
    try:
        figures = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Child]:
    """A server in a process, which is gone afterwards, whatever happens."""
    child = Child(*arguments)
    try:
        yield child
    finally:
        child.kill()


@contextlib.contextmanager
def chain(origin: Sequence[str], gateway: Sequence[str]) -> Iterator[tuple[Child, Child]]:
    """An origin with a gateway in front of it; the arguments are further settings of each."""
    with (
        running("serve", ORIGIN, *ANY_PORT, *origin) as first,
        running("gateway", "--to", first.url, *ANY_PORT, *gateway) as second,
    ):
        yield first, second


def run(manner: Manner, read: Read) -> int:
    """Measure with and without persistence, and say what was saved."""
    (options,) = read()
    if not manner.json:
        print(
            f"client, gateway and origin on loopback, {options.connections} requests at a time: "
            f"{options.seconds:g} s over persistent connections, then as many with a close after each\n",
            flush=True,
        )
    with interruptible():
        persistent = measure(PERSISTENT, PERSISTENT, True, options, None)
        closing = measure(CLOSING, CLOSING_TOWARD_ORIGIN, False, options, persistent.requests)
        if manner.json:
            print_json({"persistent": persistent._asdict(), "closing": closing._asdict()})
        else:
            print("\n".join(table(persistent, closing)), flush=True)
        if options.keep:
            stay(manner)
    return NO if persistent.failed or closing.failed else YES


def stay(manner: Manner) -> None:
    """Keep an origin and a gateway running until Ctrl-C."""
    with chain(PERSISTENT, PERSISTENT) as (origin, gateway), contextlib.suppress(KeyboardInterrupt):
        if manner.json:
            print_json({"gateway": gateway.url, "origin": origin.url})
        else:
            print(f"\nstays up: gateway {gateway.url}, origin {origin.url}; Ctrl-C ends it", flush=True)
        signal.pause()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, so that no process is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def measure(
    origin: Sequence[str], gateway: Sequence[str], persist: bool, options: DemoOptions, count: int | None
) -> Measured:
    """Send requests through a chain of its own.

    Args:
        origin, gateway: further settings of each.
        persist: whether the client's connections persist.
        count: how many requests; None: as many as the seconds of the options allow.
    """
    with chain(origin, gateway) as (first, second):
        cpu = os.times()
        sent = run_client(second.url, persist, options, count)
        spent = os.times()
        at_gateway = second.stop()
        at_origin = first.stop()
        return Measured(
            sent.requests,
            sent.failed,
            sent.seconds,
            at_gateway.get("connections", 0),
            at_origin.get("connections", 0),
            spent.user + spent.system - cpu.user - cpu.system,
            second.cpu,
            first.cpu,
        )


class Traffic(NamedTuple):
    """What the client saw of a run."""

    requests: int
    failed: int
    seconds: float


def run_client(url: str, persist: bool, options: DemoOptions, count: int | None) -> Traffic:
    """Send requests from a thread, because an event loop may swallow what a signal raises in it."""
    from concurrent.futures import ThreadPoolExecutor

    from perdure.wire.network import run as run_loop

    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(run_loop, send_requests(url, persist, options, count, stop)).result()
        finally:
            stop.set()


async def send_requests(
    url: str, persist: bool, options: DemoOptions, count: int | None, stop: threading.Event
) -> Traffic:
    """Send requests, several at a time, for some seconds or up to some number, or until told to stop."""
    import asyncio

    from perdure.client.aio import AsyncClient
    from perdure.client.errors import ExchangeError
    from perdure.wire.clock import now

    begun = failed = 0
    began = now()
    end = began + options.seconds if count is None else float("inf")

    async def work() -> None:
        nonlocal begun, failed
        while now() < end and (count is None or begun < count) and not stop.is_set():
            begun += 1
            try:
                response = await client.get(url)
            except ExchangeError:
                failed += 1
            else:
                failed += response.status != 200

    async with AsyncClient(
        persist=persist, max_per_origin=options.connections, read_timeout=PATIENCE
    ) as client:
        await asyncio.gather(*(work() for _ in range(options.connections)))
        seconds = now() - began
    return Traffic(begun, failed, seconds)


def table(persistent: Measured, closing: Measured) -> list[str]:
    """What was measured, aligned, and what was saved."""
    rows: list[tuple[str, str, str, str]] = [("", "persistent", "close each", "saved")]
    rows.append(("requests", str(persistent.requests), str(closing.requests), ""))
    for name, mine, other in (
        ("connections client to gateway", persistent.client_connections, closing.client_connections),
        ("connections gateway to origin", persistent.origin_connections, closing.origin_connections),
        ("handshakes", persistent.handshakes, closing.handshakes),
    ):
        rows.append((name, str(mine), str(other), str(other - mine)))
    rows.append(("requests on a reused connection", f"{persistent.reuse:.1%}", f"{closing.reuse:.1%}", ""))
    saved = f"{closing.seconds - persistent.seconds:.2f} s"
    rows.append(("time", f"{persistent.seconds:.2f} s", f"{closing.seconds:.2f} s", saved))
    rows.append(("requests per second", f"{persistent.rate:.0f}", f"{closing.rate:.0f}", ""))
    for name in ("client", "gateway", "origin"):
        mine_ms, other_ms = (
            1000 * getattr(run, f"{name}_cpu") / max(run.requests, 1) for run in (persistent, closing)
        )
        saved = f"{other_ms - mine_ms:.2f} ms"
        rows.append((f"processor time per request, {name}", f"{mine_ms:.2f} ms", f"{other_ms:.2f} ms", saved))
    if persistent.failed or closing.failed:
        rows.append(("failed", str(persistent.failed), str(closing.failed), ""))
    return [f"{name:<36}{mine:>12}{other:>12}{saved:>12}".rstrip() for name, mine, other, saved in rows]


COMMAND: Final = Command(
    Section("demo", (Part(DemoOptions),)),
    help="Show what persistent connections save: an origin, a gateway, and real traffic through them.\n\nThe "
    "same requests go through twice, over connections that persist and over one for each request. All "
    "figures are measured in that moment, on this machine, over loopback, where a handshake costs least.",
    example="perdure demo --keep",
    run=run,
)
