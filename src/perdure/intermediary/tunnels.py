"""How tunnels are opened, and which of them there are.

    tunnels.join(near, far, response, early)          # 101: the far side is there, perhaps with first octets
    tunnels.open(near, dialling, response, refused)   # CONNECT: `await dialling` gives the far side, or
                                                      # raises ExchangeError, which `refused` answers

`near` is the `GatewayConnection` with the request. A far side is dialled by

    dialler = LoopDialler(settings, network, lambda origin: FarWire(tunnels, settings.write_timeout), tls)
    dialler.dial(Origin("http", host, port))                       # or through a parent proxy, whose refusal
    dialler.dial(Origin("http", host, port, proxy=NextProxy(..., tunnel=True)))     # is a ProxyRefused

`refused` gets the error and answers, by `near.refuse_with` for instance. Whatever it answers, a CONNECT that
gets no 2xx ends the client's connection, and nothing that came behind it is read: core sees to that. While
the far side is dialled, `near.exchange` is the `Opening`; if the client leaves, or a shutdown takes too
long, dialling is cancelled.

What came from the client before the response that opens the tunnel waits, bounded by `pipeline_octets`; it is
the tunnel's from that response on, and nobody's if there is another one.

RFC 9110 §9.3.6; RFC 9931 §3.1 (why octets that come too early wait).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from perdure.client.errors import ConnectError, ExchangeError
from perdure.core import FieldLine, LocalViolation, Reason, Response
from perdure.intermediary.tunnel import FarWire, Relay
from perdure.server.answering import Phase

if TYPE_CHECKING:
    from perdure.intermediary.inbound import GatewayConnection

logger = logging.getLogger("perdure.gateway")

CLOSING_SECONDS: Final = 1.0
"""How long the far sides may take to be gone, once every client's connection is."""


class Opening:
    """A tunnel whose far side is being connected: what `exchange` of the client's connection is meanwhile."""

    __slots__ = ("_near", "_refused", "_response", "_task", "_tunnels")

    def __init__(
        self,
        near: GatewayConnection,
        tunnels: Tunnels,
        response: Response,
        refused: Callable[[ExchangeError], None],
    ) -> None:
        self._near = near
        self._tunnels = tunnels
        self._response = response
        self._refused = refused
        self._task: asyncio.Task[None]

    def begin(self, dialling: Coroutine[Any, Any, FarWire]) -> None:
        """Wait for the far side in a task of its own."""
        task = self._task = self._near.loop.create_task(self._open(dialling))
        tasks = self._near.registry.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # Cancelled before its first step, the task has not come to await it.
        task.add_done_callback(lambda _: dialling.close())

    async def _open(self, dialling: Coroutine[Any, Any, FarWire]) -> None:
        near = self._near
        try:
            far = await dialling
        except ExchangeError as error:
            near.exchange = None
            self._refused(error)
            return
        except Exception as error:  # whatever it was, the client must not wait for ever
            logger.exception("connection %d: a tunnel could not be opened", near.number)
            near.exchange = None
            self._refused(ConnectError(str(error)))
            return
        self._tunnels.join(near, far, self._response)

    def aborted(self, reason: Reason) -> None:
        """The client is gone."""
        self._near.exchange = None
        self._task.cancel()

    def content(self, octets: bytes, end: bool, trailers: Sequence[FieldLine]) -> None:
        """The content of a CONNECT means nothing; it is read and dropped. RFC 9110 §9.3.6."""

    def client_full(self) -> None:
        """Nothing is written yet."""

    def client_drained(self) -> None:
        """Nothing is written yet."""


class Tunnels:
    """The tunnels of one gateway or proxy.

    Attributes:
        timeout: seconds without an octet after which a tunnel is ended; None: never.
        open_ones: the tunnels that are open; far_wires: their far sides, and those that are closing.
    """

    __slots__ = ("_all_gone", "far_wires", "open_ones", "timeout")

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self.open_ones: set[Relay] = set()
        self.far_wires: set[FarWire] = set()
        self._all_gone: asyncio.Future[None] | None = None

    def open(
        self,
        near: GatewayConnection,
        dialling: Coroutine[Any, Any, FarWire],
        response: Response,
        refused: Callable[[ExchangeError], None],
    ) -> None:
        """Connect a far side, then send the response and join the two.

        Args:
            near: has the request, and has not answered it.
            dialling: gives the far side.
            response: 2xx to CONNECT; fields that frame content are left out.
            refused: called instead where there is no far side; has to answer.

        RFC 9110 §9.3.6.
        """
        opening = near.exchange = Opening(near, self, response, refused)
        opening.begin(dialling)

    def join(
        self,
        near: GatewayConnection,
        far: FarWire,
        response: Response,
        early: bytes = b"",
        ended: Callable[[], None] | None = None,
    ) -> None:
        """Send the response that opens the tunnel, and join the two.

        Args:
            near: has the request, and has not answered it.
            far: connected; nothing was read from it but `early`.
            response: 101, or 2xx to CONNECT.
            ended: called once the end of the tunnel is decided, or that it does not begin.

        Raises:
            LocalViolation: the client did not ask for that; nothing was sent, the far side is reset.

        RFC 9110 §7.8, §9.3.6.
        """
        relay = near.exchange = Relay(near, far, self, ended)
        self.open_ones.add(relay)
        try:
            near.open_tunnel(response, relay.outward)
        except LocalViolation:
            self._forget(relay, near, far)
            raise
        if near.phase is Phase.TUNNEL:
            relay.begin(early)
        elif not relay.over:
            self._forget(relay, near, far)

    def _forget(self, relay: Relay, near: GatewayConnection, far: FarWire) -> None:
        """Undo what never began."""
        relay.forget()
        near.exchange = None
        far.abort()

    def far_gone(self, far: FarWire) -> None:
        """Forget a far side that is lost."""
        self.far_wires.discard(far)
        waiting = self._all_gone
        if waiting is not None and not self.far_wires and not waiting.done():
            waiting.set_result(None)

    async def aclose(self, grace: float = CLOSING_SECONDS) -> None:
        """Wait for the far sides to be gone; reset those that are not after the grace, in seconds."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(grace, self._abort_all)
        try:
            while self.far_wires:
                self._all_gone = loop.create_future()
                await self._all_gone
        finally:
            timer.cancel()
            self._all_gone = None

    def _abort_all(self) -> None:
        for far in list(self.far_wires):
            far.abort()
