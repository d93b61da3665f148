"""Happy eyeballs: several addresses, the first that answers wins.

The families alternate, beginning with the resolver's favourite; each further attempt starts
after `stagger` seconds, or at once when the one before it failed; the losers are closed.

RFC 8305 §4 (sorting), §5 (attempts).
"""

from __future__ import annotations

import asyncio
import socket

from perdure.wire.address import Target


async def race(targets: list[Target], stagger: float) -> socket.socket:
    """Return a connected, non-blocking socket to the first target that answers.

    Raises:
        OSError: of the last attempt that failed, when all failed.
    """
    waiting = list(targets)
    pending: set[asyncio.Task[socket.socket]] = set()
    error: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    winner: socket.socket | None = None
    try:
        while waiting or pending:
            if waiting:
                pending.add(asyncio.ensure_future(attempt(waiting.pop(0))))
            done, pending = await asyncio.wait(
                pending, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            winner, failure = _pick(done)
            if winner is not None:
                return winner
            error = failure or error
        raise error
    finally:
        try:
            await _give_up(pending)
        except BaseException:
            if winner is not None:  # who asked was cancelled: nobody takes it
                winner.close()
            raise


async def attempt(target: Target) -> socket.socket:
    """Connect one non-blocking socket; it is closed if that fails or is cancelled."""
    connecting = socket.socket(target.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, target.address)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _pick(done: set[asyncio.Task[socket.socket]]) -> tuple[socket.socket | None, OSError | None]:
    """Take the first socket of the attempts that ended; close the others; or the last failure."""
    winner: socket.socket | None = None
    failure: OSError | None = None
    for task in done:
        error = task.exception()
        if isinstance(error, OSError):
            failure = error
        elif error is not None:
            raise error
        elif winner is None:
            winner = task.result()
        else:
            task.result().close()
    return winner, failure


async def _give_up(pending: set[asyncio.Task[socket.socket]]) -> None:
    for task in pending:
        task.cancel()
    for result in await asyncio.gather(*pending, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()
