"""Pipelined requests: one task answers what arrived together, as long as no application can tell.

A task for each request, and a turn of the event loop, cost as much as all the rest of a small
answer. While further requests have arrived, the task that answers one goes on with the next:

    begin ─▶ application ─returned─▶ next request ─▶ application ─▶ ... ─nothing waits─▶ flush, end
                 │ suspended             │ it changed its context, or cancelled its task; enough at once
                 ▼                       ▼
             `_turned` ────────────▶ the next request gets a task of its own

A task goes on only after an application that ran from beginning to end without giving way to the event
loop, quickly, and left the context's variables and the task's name as they were. What else an application
ties to its task (a done callback, a timer that cancels it) meets those behind it; they are of the same
client. Whoever minds sets `share_tasks` to false.

Invariant: while `driver` is set, the task or `_turned` takes up what is `_due` or `_upcoming`.

RFC 9112 §9.3.2.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Final

from perdure.core import Request
from perdure.server.connection import InboundConnection
from perdure.server.exchange import AsgiExchange
from perdure.server.registry import Registry

if TYPE_CHECKING:
    from perdure.server.asgi import Application, Scope
    from perdure.server.websocket import WebSocketExchange

MOST_AT_ONCE: Final = 16
"""Requests answered before other connections have their turn."""
SHARED_SECONDS: Final = 0.0015
"""After so long they have their turn too: applications may be slow without waiting. Between two ticks of
uvloop's clock, which counts whole milliseconds: a limit on a tick parted every sixth batch by chance."""


class PipelinedConnection(InboundConnection):
    """The half of `AsgiConnection` that runs the application.

    Attributes:
        application: answers the requests.
        exchange: what is under way; None between two exchanges.
        driver: the task that goes on with the next request by itself, if any.
        plain: the latest request that an application was given; the same one may come again.
    """

    __slots__ = (
        "_context",
        "_due",
        "_led_since",
        "_name",
        "_served",
        "_upcoming",
        "_variables",
        "application",
        "driver",
        "exchange",
        "plain",
    )

    def __init__(self, registry: Registry, application: Application) -> None:
        super().__init__(registry)
        self.application = application
        self.exchange: AsgiExchange | WebSocketExchange | None = None
        self.driver: asyncio.Task[None] | None = None
        self.plain: Request | None = None
        # A task that begins while another one's response ends must not inherit its variables (R122).
        self._context = contextvars.copy_context()
        self._due = False  # a response is complete, and what follows it not begun
        self._served = 0
        self._led_since = 0.0
        self._name = ""
        self._variables = self._context
        self._upcoming: tuple[AsgiExchange, Scope] | None = None

    @property
    def shares_tasks(self) -> bool:
        """Whether a task may answer more than one request."""
        return self.registry.settings.share_tasks

    def begin_again(self, request: Request) -> tuple[AsgiExchange, Scope]:
        """Begin an exchange for a request that says what `plain` said."""
        raise NotImplementedError

    def run_exchange(self, exchange: AsgiExchange, scope: Scope) -> None:
        """Run the application: in the task at work if there is one, else in a task of its own."""
        if self.driver is not None:
            self._upcoming = exchange, scope
            return
        context = self._context.copy()
        task = self.loop.create_task(drive(self, exchange, scope, context), context=context)
        if not task.done():  # as one that began at once may be (eager tasks)
            exchange.task = task
            self.registry.tasks.add(task)

    def finish(self, octets: bytes) -> None:
        """As `Answering.finish`; within a pipeline what follows is the driver's business."""
        if self.driver is None or self._cycling:
            super().finish(octets)
            return
        if self._noted is not None:
            self._note_end()
        if octets:
            self._cork.keep(octets)
        if not self.protocol.waiting_octets:
            self._cork.flush()  # what the application does after its response is no reason to wait
        self._due = True

    def _ended(self) -> None:
        if self._due:  # there is no next cycle that would count it
            self._due = False
            self.protocol.exchanges += 1
        super()._ended()

    # The driver's side.

    def lead(self, task: asyncio.Task[None], variables: contextvars.Context) -> None:
        """Let a task go on with what has arrived, until it waits; the variables are those it runs in."""
        self.driver = task
        self._variables = variables
        self._served = 1
        self._led_since = self.now()
        self._name = task.get_name()
        self.loop.call_soon(self._turned, context=self._context)

    def next_exchange(self) -> tuple[AsgiExchange, Scope] | None:
        """What the driver is to go on with; None if it is to end."""
        if not self._may_share():
            self.dismiss()
            return None
        self._served += 1
        while self._due:
            self._due = False
            if not self.writing_paused and not self.reading_paused:
                request = self.protocol.next_request()
                if request is not None and request is self.plain:
                    self.registry.requests += 1
                    if self.registry.access_log is not None:
                        self._note_begin(request)
                    return self.begin_again(request)
                if request is not None:
                    self._begin(request)
                    continue
            if not self.protocol.waiting_octets:
                self._cork.flush()
            self._go_on()
        upcoming, self._upcoming = self._upcoming, None
        if upcoming is None:
            self.dismiss()
        return upcoming

    def _may_share(self) -> bool:
        task = self.driver
        if task is None or self._served >= MOST_AT_ONCE or self.now() - self._led_since > SHARED_SECONDS:
            return False
        # CPython 3.11 keeps `_must_cancel` of a task that was cancelled and uncancelled.
        if task.cancelling() or getattr(task, "_must_cancel", False) or task.get_name() != self._name:
            return False
        before, after = self._context, self._variables
        if len(before) != len(after):
            return False
        if not before:  # as a rule: 1 µs less than to look through nothing
            return True
        # Identical, not equal: an equal list may be filled later.
        return all(variable in before and before[variable] is after[variable] for variable in after)

    def dismiss(self) -> None:
        """The driver ends, or waits: what follows gets a task of its own."""
        self.driver = None
        upcoming, self._upcoming = self._upcoming, None
        if upcoming is not None:
            self.run_exchange(*upcoming)
        if self._due:
            self._due = False
            if not self.protocol.waiting_octets:
                self._cork.flush()
            self._go_on()
        self._cork.flush_soon()

    def _turned(self) -> None:
        """The event loop came round: a driver that is still there waits for something."""
        if self.driver is not None:
            self.dismiss()


async def drive(
    connection: PipelinedConnection, exchange: AsgiExchange, scope: Scope, variables: contextvars.Context
) -> None:
    """Run the application on a request, and on those behind it; answer for it where it does not."""
    application, task = connection.application, exchange.task
    if task is None:  # it began at once (eager tasks)
        exchange.task = task = asyncio.current_task()
        assert task is not None
    upcoming: tuple[AsgiExchange, Scope] | None
    if connection.driver is None and connection.protocol.waiting_octets and connection.shares_tasks:
        connection.lead(task, variables)
    try:
        while True:
            try:
                await application(scope, exchange.receive, exchange.send)
                if connection.exchange is exchange:
                    exchange.returned()
            except Exception:
                exchange.failed()
            if connection.driver is not task:
                return
            upcoming = connection.next_exchange()
            if upcoming is None:
                return
            exchange, scope = upcoming
    except asyncio.CancelledError:
        exchange.cancelled()
        raise
    except BaseException:  # such as a group of them: the client must not wait for ever
        exchange.failed()
        raise
    finally:
        connection.registry.tasks.discard(task)
        if connection.driver is task:
            connection.dismiss()
