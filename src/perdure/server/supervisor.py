"""Keeps N worker processes running that share a port.

    start ─▶ fork N ─▶ watch ──a worker ends──▶ restart it (at once; ever later if they end quickly)
                         ├────── SIGHUP ──────▶ start each one's successor, then drain it
                         └─ SIGTERM, SIGINT ──▶ drain all; a second signal cuts off, then kills

The supervisor binds the sockets, one set for each worker (SO_REUSEPORT: the kernel spreads the
connections), and keeps them. A worker that dies or is replaced leaves its queue of connections to
its successor, so none is lost. Every signal is blocked and waited for, so nothing is interrupted.

RFC 9112 §9.6 (a drain announces every close).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from perdure.core import Error
from perdure.server.serve import ListeningServer
from perdure.wire.bind import BoundSocket, release_sockets
from perdure.wire.clock import now

logger = logging.getLogger("perdure.server")

ServerFactory = Callable[[Sequence[BoundSocket] | None], ListeningServer]
"""Makes the server of one process; the argument is what it listens on, None for its own binds."""
Announcement = Callable[[list[str]], None]
"""Told once, with the URLs, when connections are accepted."""

ENDING: Final = (signal.SIGTERM, signal.SIGINT)
QUICK_SECONDS: Final = 1.0
"""A worker that ends sooner than this was not able to serve."""
QUICK_ENDS_ALLOWED: Final = 5
"""In a row, for each worker; then the supervisor gives up."""
LONGEST_BACKOFF_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
"""How often to look whether a starting worker is ready; only then does the supervisor poll."""
KILLING_SECONDS: Final = 5.0
"""From the second signal to SIGKILL, for a worker that does not even hear signals."""


@dataclass(slots=True)
class Worker:
    """One forked process."""

    pid: int
    slot: int
    since: float
    """Monotonic seconds."""
    replaced: bool = False
    """True once its end is wanted: another one has taken its place, or all shall end."""


class _ToldToEnd(Exception):
    """A signal came while a worker was starting."""


class Supervisor:
    """Keeps workers running; see the module.

    Args:
        factory: makes the server, in the worker.
        announce: told the URLs of the first worker.
        slots: the sockets of each worker.
        serve: serves in the worker until SIGTERM.
        renew: called at SIGHUP, here, before anything is replaced; False: nothing is to be.
        release: closes our copies of the sockets at the end.
        renewed: called at SIGHUP, here, once every worker has a successor.
    """

    def __init__(
        self,
        factory: ServerFactory,
        announce: Announcement,
        slots: Sequence[Sequence[BoundSocket]],
        serve: Callable[[ListeningServer, Announcement], None],
        renew: Callable[[], bool] | None = None,
        release: Callable[[Iterable[BoundSocket]], None] = release_sockets,
        renewed: Callable[[], None] = lambda: None,
    ) -> None:
        self._factory = factory
        self._announce = announce
        self._slots = slots
        self._serve = serve
        self._renew = renew
        self._release = release
        self._renewed = renewed
        # Only this process holds the writing end: workers read its end as ours.
        self._alive_reading, self._alive_writing = os.pipe()
        self._workers: dict[int, Worker] = {}
        self._quick_ends = 0

    def run(self) -> int:
        """Start the workers and stay until told to end: the exit status.

        Raises:
            Error: the first worker could not start.
        """
        watched = {*ENDING, signal.SIGHUP, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        try:
            self._start_first()
            while True:
                received = signal.sigwait(watched)
                if received == signal.SIGHUP:
                    self._replace_all()
                elif received != signal.SIGCHLD:
                    return self._end(0)
                self._reap()
                if self._quick_ends > QUICK_ENDS_ALLOWED * len(self._slots):
                    logger.error("workers end as soon as they start; giving up")
                    return self._end(1)
                self._restart_missing()
        except _ToldToEnd:
            return self._end(0)
        except Error:
            self._end(1)
            raise
        finally:
            os.close(self._alive_writing)
            os.close(self._alive_reading)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)

    def _start_first(self) -> None:
        urls = self._start(0)
        for slot in range(1, len(self._slots)):
            self._start(slot)
        self._announce(urls.split("\n"))

    def _start(self, slot: int) -> str:
        """Fork a worker and wait until it accepts connections: its URLs.

        Raises:
            Error: it ended before; it is gone.
            _ToldToEnd: we shall end before; it is among the workers.
        """
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._be_worker(slot, writing)
        os.close(writing)
        self._workers[pid] = Worker(pid, slot, now())
        try:
            said = self._hear(reading)
        finally:
            os.close(reading)
        if said and not said.startswith("!"):
            return said
        os.waitpid(pid, 0)
        del self._workers[pid]
        raise Error(said[1:] or f"worker {pid} ended before it accepted connections")

    def _hear(self, reading: int) -> str:
        """What a worker says until it is ready or has ended."""
        os.set_blocking(reading, False)
        said = b""
        while True:
            try:
                piece = os.read(reading, 65536)
            except BlockingIOError:
                if signal.sigtimedwait(ENDING, POLL_SECONDS) is not None:
                    raise _ToldToEnd from None
                continue
            if not piece:
                return said.decode()
            said += piece

    def _be_worker(self, slot: int, writing: int) -> NoReturn:
        """Serve in the child."""
        status = 1
        try:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            os.close(self._alive_writing)
            threading.Thread(target=_end_with, args=(self._alive_reading,), daemon=True).start()
            own = self._slots[slot]
            for bound in {bound for others in self._slots for bound in others if bound not in own}:
                bound.close()

            def announce(urls: list[str]) -> None:
                os.write(writing, "\n".join(urls).encode())
                os.close(writing)

            self._serve(self._factory(own), announce)
            status = 0
        except BaseException as error:
            if not isinstance(error, Error):
                logger.exception("worker %d failed", os.getpid())
            _tell(writing, f"!{error}")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is None or worker.replaced:
                continue
            quick = now() - worker.since < QUICK_SECONDS
            self._quick_ends = self._quick_ends + 1 if quick else 0
            logger.warning("worker %d %s", pid, _told(os.waitstatus_to_exitcode(status)))

    def _restart_missing(self) -> None:
        served = {worker.slot for worker in self._workers.values() if not worker.replaced}
        missing = sorted(set(range(len(self._slots))) - served)
        while missing:
            if self._quick_ends:
                delay = min(LONGEST_BACKOFF_SECONDS, 0.1 * 2**self._quick_ends)
                if signal.sigtimedwait(ENDING, delay) is not None:
                    raise _ToldToEnd
            try:
                self._start(missing[0])
                missing.pop(0)
            except Error as error:
                self._quick_ends += 1
                logger.error("a worker could not start: %s", error)
                if self._quick_ends > QUICK_ENDS_ALLOWED * len(self._slots):
                    os.kill(os.getpid(), signal.SIGCHLD)  # the loop looks, and gives up
                    return

    def _replace_all(self) -> None:
        """Start each one's successor, then drain it: its queue is never without somebody who accepts."""
        if self._renew is not None and not self._renew():
            return
        replaced = True
        for worker in [worker for worker in self._workers.values() if not worker.replaced]:
            try:
                self._start(worker.slot)
            except Error as error:
                logger.error("worker %d stays, its successor could not start: %s", worker.pid, error)
                replaced = False
                continue
            worker.replaced = True
            os.kill(worker.pid, signal.SIGTERM)
        if replaced:
            self._renewed()

    def _end(self, status: int) -> int:
        for worker in self._workers.values():
            worker.replaced = True
        # Nobody new comes to the queues, which the workers empty before they close the last copies.
        self._release({bound for slot in self._slots for bound in slot})
        self._tell_all(signal.SIGTERM)
        cut = False
        while self._workers:
            watched = {*ENDING, signal.SIGCHLD}
            if cut:
                received = signal.sigtimedwait(watched, KILLING_SECONDS)
                number = signal.SIGKILL if received is None else received.si_signo
            else:
                number = signal.sigwait(watched)
            self._reap()
            if number == signal.SIGKILL:
                self._tell_all(signal.SIGKILL)
            elif number != signal.SIGCHLD:
                cut = True
                self._tell_all(signal.SIGTERM)  # told a second time, they cut off what is left
        return status

    def _tell_all(self, number: int) -> None:
        for pid in self._workers:
            os.kill(pid, number)


def _end_with(alive_reading: int) -> None:
    """Drain once the supervisor is gone, however it went: nobody would ever tell us to."""
    os.read(alive_reading, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(writing: int, text: str) -> None:
    try:
        os.write(writing, text.encode())
    except OSError:  # it was ready before, and the pipe is closed
        return


def _told(status: int) -> str:
    """How a worker ended, in words."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
