"""A tunnel through a proxy, on an event loop. See `tunnel` for what is said.

RFC 9110 §9.3.6.
"""

from __future__ import annotations

import asyncio

from perdure.client.errors import ProxyError
from perdure.client.tunnel import TunnelOpening
from perdure.wire.errors import WireError
from perdure.wire.loop import LoopWire


class TunnelWire(LoopWire):
    """Asks the proxy, until it has answered.

    Attributes:
        answered: set once the tunnel is open; its exception says why there will be none.
    """

    __slots__ = ("_opening", "answered")

    answered: asyncio.Future[None]

    def __init__(self, opening: TunnelOpening) -> None:
        super().__init__()
        self._opening = opening

    def wire_opened(self) -> None:
        """Ask."""
        self.answered = self.loop.create_future()
        self.write(self._opening.request)

    def data_received(self, octets: bytes) -> None:
        """Read the answer; what follows a good one is for the wire after this one."""
        if self.answered.done():
            return
        try:
            if self._opening.receive(octets):
                self.pause_reading()
                self.answered.set_result(None)
        except ProxyError as error:
            self.answered.set_exception(error)

    def end_received(self) -> None:
        """The proxy says nothing more."""
        self._end()

    def wire_lost(self, error: WireError | None) -> None:
        """The proxy is gone."""
        self._end()

    def _end(self) -> None:
        if self.answered.done():
            return
        try:
            self._opening.receive_end()
        except ProxyError as error:
            self.answered.set_exception(error)
