"""A server as a process: signals, and workers that share a port.

    run ─ one worker ─▶ serve here until SIGTERM or SIGINT, drain, exit 0
      └── N workers ──▶ Supervisor (see there)

A second SIGTERM or SIGINT cuts off what is left. SIGHUP makes the server anew (so it reads its
configuration again): a server that can adopt what its successor would be, as a gateway can, keeps its
connections; otherwise the successor listens on the same sockets before the predecessor drains, and no
request is lost. Sockets that systemd opened for us take the place of our own binds.

RFC 9112 §9.6 (a drain announces every close).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from perdure.core import Reason
from perdure.server.serve import ListeningServer
from perdure.server.supervisor import Announcement, ServerFactory, Supervisor
from perdure.wire.address import address_text
from perdure.wire.bind import BoundSocket, bind_sockets, leave_sockets, release_sockets, socket_address
from perdure.wire.descriptors import raise_descriptor_limit
from perdure.wire.network import run as run_loop
from perdure.wire.systemd import inherited_sockets, notify

logger = logging.getLogger("perdure.server")

__all__ = ["Announcement", "ServerFactory", "bind_slots", "run", "serve_until_signal"]

Ended: TypeAlias = Callable[[ListeningServer], None]
Closing: TypeAlias = "dict[asyncio.Task[None], ListeningServer]"
"""Servers by the tasks that close them."""
ENDING: Final = (signal.SIGTERM, signal.SIGINT)
RENEWING: Final = getattr(signal, "SIGHUP", None)  # Windows has none
CUTTING_SECONDS: Final = 3.0
"""How long what is left may take to end once it was cut off."""


def forget(server: ListeningServer) -> None:
    """Tell nobody that a server has ended."""


def tell_nobody() -> None:
    """Tell nobody that a server was made anew."""


def run(
    factory: ServerFactory,
    announce: Announcement,
    *,
    binds: Sequence[str] = (),
    workers: int = 1,
    share_port: bool = False,
    renew: Callable[[], bool] | None = None,
    renewed: Callable[[], None] = tell_nobody,
    ended: Ended = forget,
) -> int:
    """Run a server in this process, or in `workers` processes below it.

    Args:
        factory: makes the server; called in the process that runs it, once more for each SIGHUP.
        announce: told the URLs once connections are accepted.
        binds: what to listen on; without any, the server's own business (and not with workers).
        workers: processes.
        share_port: whether others that do the same, such as our successor, may listen on our addresses.
        renew: called at SIGHUP before a server is made anew, in the process that was told; False
            where that failed, so that everything stays as it was.
        renewed: told there once the server, or that of every worker, is the new one.
        ended: told of each server that has ended, in the process that ran it.

    Returns:
        The exit status: 0 after a drain, 1 if the workers cannot be kept running.

    Raises:
        AddressInUse, BindFailed, StartupFailed: before any connection was accepted.
    """
    raise_descriptor_limit()
    inherited = inherited_sockets()
    slots = [inherited] * workers if inherited else bind_slots(binds, workers, share_port)
    # systemd keeps its own copies: who waits there waits for the next process that it starts.
    release = leave_sockets if inherited else release_sockets
    try:
        if workers > 1:
            serve = partial(serve_as_worker, ended=ended)
            return Supervisor(factory, _notifying(announce), slots, serve, renew, release, renewed).run()

        def make() -> ListeningServer:
            # Each server closes its own; ours stay open for its successor.
            copies = [bound.dup() for bound in slots[0]]
            try:
                return factory(copies or None)
            except BaseException:
                for copy in copies:
                    copy.close()
                raise

        def make_anew() -> ListeningServer | None:
            return None if renew is not None and not renew() else make()

        successor = make_anew if slots[0] else None
        before_closing = partial(release, slots[0])
        told = _notifying(announce)
        run_loop(serve_until_signal(make(), told, successor, before_closing, renewed=renewed, ended=ended))
        return 0
    finally:
        release({bound for slot in slots for bound in slot})


def _notifying(announce: Announcement) -> Announcement:
    def announce_and_notify(urls: list[str]) -> None:
        announce(urls)
        notify("READY=1")

    return announce_and_notify


def bind_slots(binds: Sequence[str], workers: int, share_port: bool = False) -> list[list[BoundSocket]]:
    """Bind one set of sockets for each worker; unix sockets, which cannot share, are one for all.

    Raises:
        AddressInUse, BindFailed: nothing is bound.
    """
    slots: list[list[BoundSocket]] = [[] for _ in range(workers)]
    try:
        for bind in binds:
            shared = (workers > 1 or share_port) and not bind.startswith("unix:")
            if shared and not share_port:
                # Sharing a port, we would not notice that somebody else shares it too.
                release_sockets(bind_sockets(bind))
            first = bind_sockets(bind, reuse_port=shared)
            slots[0] += first
            for slot in slots[1:]:
                if not shared:
                    slot += first
                    continue
                for bound in first:  # the port is known now, though any free one was asked for
                    slot += bind_sockets(address_text(socket_address(bound)), reuse_port=True)
    except BaseException:
        release_sockets({bound for slot in slots for bound in slot})
        raise
    return slots


def serve_as_worker(server: ListeningServer, announce: Announcement, ended: Ended = forget) -> None:
    """Serve in a process below a supervisor: only that tells it to end."""
    # A terminal's Ctrl-C reaches every process; ours is told by SIGTERM, once for each Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if server.registry.access_log is not None:
        server.registry.access_log.name_worker(os.getpid())
    run_loop(serve_until_signal(server, announce, ending=(signal.SIGTERM,), ended=ended))


async def serve_until_signal(
    server: ListeningServer,
    announce: Announcement,
    successor: Callable[[], ListeningServer | None] | None = None,
    before_closing: Callable[[], None] = lambda: None,
    *,
    ending: Sequence[signal.Signals] = ENDING,
    renewed: Callable[[], None] = tell_nobody,
    ended: Ended = forget,
) -> None:
    """Serve until told to end, then drain; told again, cut off what is left.

    Args:
        successor: makes the server that takes over at SIGHUP, or gives None where everything stays as it was;
            None itself: SIGHUP ends as SIGTERM does.
        before_closing: called once it is told to end, before anything ends: releases the sockets that the
            servers' own are copies of, so that nobody new comes to the queue which they empty.
        renewed: called once a successor has taken over, or was adopted.
        ended: told of each server once it has closed.

    Raises: what `server.start` raises.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[int] = asyncio.Queue()
    renewing = (RENEWING,) if RENEWING is not None and signal.SIGINT in ending else ()
    watched = (*ending, *renewing)
    for number in watched:
        _watch(loop, number, told)
    try:
        closing = await _serve(server, announce, successor, told, renewed, ended)
        notify("STOPPING=1")
        before_closing()
        await _wait_closed(closing, told)
    finally:
        for number in watched:
            _unwatch(loop, number)


async def _serve(
    server: ListeningServer,
    announce: Announcement,
    successor: Callable[[], ListeningServer | None] | None,
    told: asyncio.Queue[int],
    renewed: Callable[[], None],
    ended: Ended,
) -> Closing:
    """Serve until told to end: the servers, as they close."""
    closing: Closing = {}
    if await _unless_told(server.start(), told):
        return closing
    announce(server.urls)
    while await told.get() == RENEWING and successor is not None:
        try:
            following = successor()
            if following is None:
                continue
            if server.adopt(following):
                following.abandon()
                renewed()
                logger.info("goes on with what was read anew; no connection was closed for it")
                continue
            # Both have connections for a while, and are told apart by their numbers.
            following.registry.numbers = server.registry.numbers
            await following.start()
        except Exception as error:
            logger.error("making the server anew failed, so it stays as it was: %s", error)
            continue
        closing[asyncio.create_task(_close(server, ended))] = server
        server = following
        renewed()
    closing[asyncio.create_task(_close(server, ended))] = server
    return closing


async def _close(server: ListeningServer, ended: Ended) -> None:
    try:
        await server.close()
    finally:
        ended(server)


async def _unless_told(starting: Coroutine[Any, Any, None], told: asyncio.Queue[int]) -> bool:
    """Start, unless told to end before that is done; whether so. Raises what starting raises."""
    start = asyncio.create_task(starting)
    end = asyncio.create_task(told.get())
    await asyncio.wait([start, end], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        start.cancel()
        await asyncio.wait([start])
        return True
    if not end.cancel():
        told.put_nowait(end.result())
    start.result()
    return False


async def _wait_closed(closing: Closing, told: asyncio.Queue[int]) -> None:
    """Wait for servers that are closing; told to end once more, cut them off."""
    if not closing:
        return
    closed: asyncio.Future[Any] = asyncio.gather(*closing)
    again: asyncio.Future[Any] = asyncio.create_task(_told_to_end(told))
    await asyncio.wait([closed, again], return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not closed.done():
        for server in closing.values():
            server.registry.end_all(Reason.DRAIN_TIMEOUT)
        await asyncio.wait([closed], timeout=CUTTING_SECONDS)
        if not closed.done():
            closed.cancel()
            await asyncio.wait([closed])
            return
    closed.result()


async def _told_to_end(told: asyncio.Queue[int]) -> None:
    while await told.get() == RENEWING:
        logger.info("not made anew: it is about to end")


def _watch(loop: asyncio.AbstractEventLoop, number: int, told: asyncio.Queue[int]) -> None:
    try:
        loop.add_signal_handler(number, told.put_nowait, number)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(told.put_nowait, number))


def _unwatch(loop: asyncio.AbstractEventLoop, number: int) -> None:
    try:
        loop.remove_signal_handler(number)
    except NotImplementedError:
        signal.signal(number, signal.SIG_DFL)
