"""Notices what happens to sockets that a program keeps idle while it does something else.

A threaded program that sleeps reads nothing: a server's FIN on a pooled connection would leave
the socket in CLOSE_WAIT until the next request. One daemon thread, started with the first idle
wire, watches them all and tells their owner.

Busy programs must not pay for it: a wire that has just become idle is only noted, and handed to
the kernel when it is still idle a tick later. So a lease and a release cost two dictionary
operations, and the thread wakes per tick, not per request.

RFC 9112 §9.5 (a client ought to monitor an idle connection, and close it when the server does).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from perdure.wire.blocking import StreamWire

TICK_SECONDS = 0.04
"""The kernel is asked to watch a wire once it has been idle for one to two ticks: within 0.1 s."""

Spent = Callable[[StreamWire], None]


class IdleWatch:
    """Watches idle wires; safe to use from every thread, and in the child after a fork.

    Attributes:
        tick_seconds: as TICK_SECONDS.
    """

    _process: int
    _lock: threading.Lock
    _noted: dict[StreamWire, Spent]
    _watched: dict[StreamWire, Spent]
    _thread: threading.Thread | None
    _asleep: bool
    _closed: bool
    _calls: deque[Callable[[], None]]
    _bell: tuple[socket.socket, socket.socket] | None
    _selector: selectors.BaseSelector

    def __init__(self, tick_seconds: float = TICK_SECONDS) -> None:
        self.tick_seconds = tick_seconds
        self._begin()

    def watch(self, wire: StreamWire, spent: Spent) -> None:
        """Watch an idle wire; one that is watched already stays so.

        Args:
            spent: called once, in the watcher's thread and without any lock held, when octets,
                the end or an error arrive; the wire belongs to the callee then. Not called
                after `unwatch` returned True.
        """
        if wire.fileno() < 0:
            return
        with self._guard():
            if wire in self._watched:
                return
            self._noted[wire] = spent
            self._start_thread()
            if self._asleep:
                self._asleep = False
                self._wake()

    def unwatch(self, wire: StreamWire) -> bool:
        """Take a wire back before using or closing it.

        Returns:
            True: the wire is the caller's. False: it is not watched, or it is spent and its
            `spent` was called or is being called.
        """
        with self._guard():
            if self._noted.pop(wire, None) is not None:
                return True
            if self._watched.pop(wire, None) is None:
                return False
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._selector.unregister(wire.fileno())
            return True

    @property
    def busy(self) -> bool:
        """True while any thread, this one too, is in here: a finalizer must not enter then."""
        return self._guard().locked()

    def call(self, what: Callable[[], None]) -> None:
        """Call `what` in the watcher's thread soon, without any lock held; not at all if there is none.

        It takes no lock: a finalizer may call it anywhere.
        """
        if self._thread is None or self._process != os.getpid():
            return
        self._calls.append(what)
        with contextlib.suppress(OSError):  # it was closed meanwhile
            self._wake()

    def __len__(self) -> int:
        """How many wires are watched."""
        with self._guard():
            return len(self._noted) + len(self._watched)

    def close(self) -> None:
        """Stop the thread; forget the wires, which stay as they are. Idempotent."""
        with self._guard():
            thread, self._thread = self._thread, None
            self._closed = True
            self._noted.clear()
            self._watched.clear()
            self._calls.clear()
            if thread is not None:
                self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        self._release()

    # Under the lock, or in the watcher's thread.

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._noted = {}
        self._watched = {}
        self._thread = None
        self._asleep = False
        self._closed = False
        self._calls = deque()
        self._bell = None

    def _guard(self) -> threading.Lock:
        """Return the lock; in the child of a fork a new one, because nobody may hold the old one."""
        if self._process != os.getpid():
            # The parent's wires are the parent's, and its thread did not come along. Our copies
            # of its selector and bell only need closing.
            self._release()
            self._begin()
        return self._lock

    def _start_thread(self) -> None:
        if self._thread is not None or self._closed:
            return
        self._selector = selectors.DefaultSelector()
        self._bell = socket.socketpair()
        for end in self._bell:
            end.setblocking(False)
        self._selector.register(self._bell[0], selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="perdure-idle-watch", daemon=True)
        self._thread.start()

    def _release(self) -> None:
        if self._bell is None:
            return
        self._selector.close()
        for end in self._bell:
            end.close()
        self._bell = None

    def _wake(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):
                self._bell[1].send(b"!")

    def _run(self) -> None:
        """The thread: notes become watches a tick later; whatever is spent is told."""
        candidates: set[StreamWire] = set()
        while True:
            with self._lock:
                if self._is_closed():
                    return
                self._asleep = not self._noted
                asleep = self._asleep
            ready = self._selector.select(None if asleep else self.tick_seconds)
            with self._lock:
                if self._is_closed():
                    return
                told = self._collect(ready)
                candidates = self._promote(candidates)
            for wire, spent in told:
                _tell(partial(spent, wire))
            while self._calls:
                _tell(self._calls.popleft())

    def _is_closed(self) -> bool:
        return self._closed

    def _collect(self, ready: list[tuple[selectors.SelectorKey, int]]) -> list[tuple[StreamWire, Spent]]:
        """Take out the wires that are spent."""
        told: list[tuple[StreamWire, Spent]] = []
        for key, _ in ready:
            wire: StreamWire | None = key.data
            if wire is None:
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(64)  # type: ignore[union-attr]  # the bell is a socket
                continue
            # A TLS session ticket makes the socket ready, and the wire no less usable.
            if wire in self._watched and wire.readable():
                self._selector.unregister(key.fd)
                told.append((wire, self._watched.pop(wire)))
        return told

    def _promote(self, candidates: set[StreamWire]) -> set[StreamWire]:
        """Hand to the kernel what was noted a tick ago already; returns what to hand over next."""
        for wire in candidates & self._noted.keys():
            spent = self._noted.pop(wire)
            if wire.fileno() >= 0:
                self._register(wire)
                self._watched[wire] = spent
        return set(self._noted)

    def _register(self, wire: StreamWire) -> None:
        """Hand one wire to the kernel."""
        try:
            self._selector.register(wire.fileno(), selectors.EVENT_READ, wire)
        except KeyError:  # another wire had this number and was closed without `unwatch`
            self._selector.unregister(wire.fileno())
            self._selector.register(wire.fileno(), selectors.EVENT_READ, wire)


def _tell(what: Callable[[], None]) -> None:
    """Call the owner; its failure must not end the watch of the other wires."""
    try:
        what()
    except Exception as error:
        threading.excepthook(threading.ExceptHookArgs((type(error), error, None, threading.current_thread())))
