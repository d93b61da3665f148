"""A server as a process: signals, and workers that share a port.

    run ─ one worker ─▶ serve here until SIGTERM or SIGINT, drain, exit 0
      └── N workers ──▶ Supervisor: forks N, restarts those that die (with back-off),
                        replaces them one by one at SIGHUP, drains them at SIGTERM

The supervisor binds the sockets, one set for each worker (SO_REUSEPORT: the kernel spreads the
connections), and keeps them. A worker that dies or is replaced leaves its queue of connections to
its successor, so none is lost. A second signal ends everything at once.

RFC 9112 §9.6 (a drain announces every close).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from perdure.core import Error, Reason
from perdure.server.serve import ListeningServer
from perdure.wire.address import address_text
from perdure.wire.bind import BoundSocket, bind_sockets, release_sockets, socket_address
from perdure.wire.clock import now
from perdure.wire.network import run as run_loop

logger = logging.getLogger("perdure.server")

ServerFactory = Callable[[Sequence[BoundSocket] | None], ListeningServer]
"""Makes the server of one process; the argument is what it listens on, None for its own binds."""
Announcement = Callable[[list[str]], None]
"""Told once, with the URLs, when connections are accepted."""

ENDING: Final = (signal.SIGTERM, signal.SIGINT)
LONGEST_BACKOFF_SECONDS: Final = 30.0


async def serve_until_signal(server: ListeningServer, announce: Announcement) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal cuts off what is left.

    Raises: what `server.start` raises.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            server.registry.end_all(Reason.DRAIN_TIMEOUT)
        asked.set()

    for number in ENDING:
        loop.add_signal_handler(number, on_signal)
    try:
        await server.start()
        announce(server.urls)
        await asked.wait()
        await server.close()
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)


def run(
    factory: ServerFactory, announce: Announcement, *, binds: Sequence[str] = (), workers: int = 1
) -> int:
    """Run a server in this process, or in `workers` processes below it.

    Args:
        factory: makes the server; called in the process that runs it.
        announce: told the URLs once connections are accepted.
        binds: what the workers listen on, if there is more than one.
        workers: processes.

    Returns:
        The exit status: 0 after a drain, 1 if the workers cannot be kept running.

    Raises: what `start` raises, in the single process, or for the first worker.
    """
    if workers <= 1:
        run_loop(serve_until_signal(factory(None), announce))
        return 0
    slots = bind_slots(binds, workers)
    try:
        return Supervisor(factory, announce, slots).run()
    finally:
        release_sockets({bound for slot in slots for bound in slot})


def bind_slots(binds: Sequence[str], workers: int) -> list[list[BoundSocket]]:
    """Bind one set of sockets for each worker; unix sockets, which cannot share, are one for all.

    Raises:
        AddressInUse, BindFailed: nothing is bound.
    """
    slots: list[list[BoundSocket]] = [[] for _ in range(workers)]
    try:
        for bind in binds:
            first = bind_sockets(bind, reuse_port=not bind.startswith("unix:"))
            slots[0] += first
            for slot in slots[1:]:
                if bind.startswith("unix:"):
                    slot += first
                else:
                    for bound in first:  # the port is known now, though any free one was asked for
                        slot += bind_sockets(address_text(socket_address(bound)), reuse_port=True)
    except BaseException:
        release_sockets({bound for slot in slots for bound in slot})
        raise
    return slots


@dataclass(slots=True)
class Worker:
    """One forked process."""

    pid: int
    slot: int
    since: float
    """Monotonic seconds."""
    replaced: bool = False
    """True once another one has taken its place and it drains."""


class Supervisor:
    """Keeps N workers running; see the module."""

    def __init__(
        self, factory: ServerFactory, announce: Announcement, slots: Sequence[Sequence[BoundSocket]]
    ) -> None:
        self._factory = factory
        self._announce = announce
        self._slots = slots
        self._workers: dict[int, Worker] = {}
        self._quick_deaths = 0

    def run(self) -> int:
        """Start the workers and stay until they are told to end."""
        watched = {*ENDING, signal.SIGHUP, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        try:
            for slot in range(len(self._slots)):
                self._start(slot, first=slot == 0)
            while True:
                received = signal.sigwait(watched)
                if received == signal.SIGCHLD:
                    self._reap()
                    if self._quick_deaths > 5 * len(self._slots):
                        logger.error("workers end as soon as they start; giving up")
                        return self._end(1)
                    self._restart_missing()
                elif received == signal.SIGHUP:
                    self._replace_all()
                else:
                    return self._end(0)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)

    def _start(self, slot: int, first: bool = False) -> None:
        """Fork a worker and wait until it accepts connections, or has ended."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._be_worker(slot, writing, first)
        os.close(writing)
        self._workers[pid] = Worker(pid, slot, now())
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        if first and said.startswith(b"!"):
            os.waitpid(pid, 0)
            del self._workers[pid]
            raise Error(said[1:].decode())
        if first and said:
            self._announce(said.decode().split("\n"))

    def _be_worker(self, slot: int, writing: int, first: bool) -> None:
        """Serve in the child; never returns."""
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        own = self._slots[slot]
        for bound in {bound for others in self._slots for bound in others if bound not in own}:
            bound.close()

        def announce(urls: list[str]) -> None:
            os.write(writing, "\n".join(urls).encode())
            os.close(writing)

        status = 0
        try:
            run_loop(serve_until_signal(self._factory(self._slots[slot]), announce))
        except Error as error:
            status = 1
            if first:
                os.write(writing, f"!{error}".encode())
            else:
                logger.error("worker %d: %s", os.getpid(), error)
        except BaseException:
            status = 1
            logger.exception("worker %d failed", os.getpid())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is None or worker.replaced:
                continue
            quick = now() - worker.since < 1.0
            self._quick_deaths = self._quick_deaths + 1 if quick else 0
            logger.warning("worker %d ended with status %d", pid, os.waitstatus_to_exitcode(status))

    def _restart_missing(self) -> None:
        served = {worker.slot for worker in self._workers.values() if not worker.replaced}
        for slot in sorted(set(range(len(self._slots))) - served):
            if self._quick_deaths:
                delay = min(LONGEST_BACKOFF_SECONDS, 0.1 * 2**self._quick_deaths)
                # An ending signal must not wait for the back-off.
                if signal.sigtimedwait(ENDING, delay) is not None:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            self._start(slot)

    def _replace_all(self) -> None:
        """Start each one's successor, then drain it: its queue is never without somebody who accepts."""
        for worker in [worker for worker in self._workers.values() if not worker.replaced]:
            self._start(worker.slot)
            worker.replaced = True
            os.kill(worker.pid, signal.SIGTERM)

    def _end(self, status: int) -> int:
        self._tell(signal.SIGTERM)
        # Nobody accepts any more: refuse connections instead of letting them queue.
        release_sockets({bound for slot in self._slots for bound in slot})
        while self._workers:
            received = signal.sigwait({*ENDING, signal.SIGCHLD})
            if received == signal.SIGCHLD:
                for worker in self._workers.values():
                    worker.replaced = True
                self._reap()
            else:
                self._tell(signal.SIGTERM)  # the second one: workers cut off what is left
        return status

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)
