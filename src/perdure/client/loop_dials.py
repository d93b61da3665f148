"""The dials of one pool that are under way on an event loop: a task for each, so that nobody waits to begin.

RFC 9112 §9.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from perdure.client.errors import ClientClosed, ExchangeError
from perdure.client.loop_dialling import LoopDialler
from perdure.client.pooled_wire import PooledWire
from perdure.core.pool import Ticket

W = TypeVar("W", bound=PooledWire)


class LoopDials(Generic[W]):
    """Dials under way; what came of each is told once."""

    def __init__(
        self,
        dialler: LoopDialler[W],
        entered: Callable[[Ticket, W, float], None],
        failed: Callable[[Ticket, ExchangeError], None],
    ) -> None:
        """Dial nothing yet.

        Args:
            entered: called with the ticket, the wire, and the seconds that the dial took.
            failed: called with the ticket and the error.
        """
        self._dialler = dialler
        self._entered = entered
        self._failed = failed
        self._tasks: dict[asyncio.Task[None], Hashable] = {}

    def begin(self, ticket: Ticket) -> None:
        """Dial for a ticket, beside everything else."""
        task = asyncio.get_running_loop().create_task(self._dial(ticket))
        self._tasks[task] = ticket.origin
        task.add_done_callback(self._tasks.pop)

    async def wait(self, origin: Hashable) -> None:
        """Wait until those to one origin are over. Cancelled, it leaves them to go on."""
        tasks = [task for task, dialled in self._tasks.items() if dialled == origin]
        if tasks:
            await asyncio.wait(tasks)

    async def cancel(self) -> None:
        """Give all of them up, and wait until they are over."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _dial(self, ticket: Ticket) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            wire = await self._dialler.dial(ticket.origin)
        except ExchangeError as error:
            self._failed(ticket, error)
        except asyncio.CancelledError:
            self._failed(ticket, ClientClosed(f"{ticket.origin}: the client was closed"))
            raise
        else:
            self._entered(ticket, wire, loop.time() - began)
