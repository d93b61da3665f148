"""A listener over real sockets: it accepts connections, and it comes to an end without losing any.

    accepting ──finish()──▶ the queue is empty ──close()──▶ refused

RFC 9112 §9.6 (a graceful end); `queue` says what a listening socket loses when it is merely closed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from perdure.wire.address import Address, url_of
from perdure.wire.bind import socket_address
from perdure.wire.queue import handshakes_take_time, refuse_handshakes, remove_file, somebody_waits

HANDSHAKE_SECONDS: Final = 0.25
"""How long a handshake may take that was under way when we stopped: a round trip, even a far one."""
FINISHING_SECONDS: Final = 5.0
"""How long to accept altogether: the queue may be another's too, who fills it on."""
LOOK_SECONDS: Final = 0.005
TURNS: Final = 4
"""After so many turns of either event loop, a connection that was accepted has its wire."""


class SocketListener:
    """Bound sockets that accept connections.

    Attributes:
        addresses: where it listens, ports resolved.
        owned: whether `close` also removes the file of a unix socket.
    """

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.addresses: list[Address] = [socket_address(bound) for bound in sockets]
        self.owned = False
        self.servers: list[asyncio.AbstractServer] = []
        self._sockets = sockets

    def urls(self, scheme: str) -> list[str]:
        """The addresses as URLs: "http://127.0.0.1:8000", "http://[::1]:8000", "http+unix:PATH"."""
        return [url_of(scheme, address) for address in self.addresses]

    async def finish(self) -> None:
        """Accept whoever waits, for a few seconds at most; nobody new, if the addresses are ours.

        Where they are not, whoever they belong to says when nobody new shall come (`release_sockets`).
        """
        if not self.servers:
            return
        if self.owned:
            self.owned = False  # a name that is free may be another's the next moment
            for bound in self._sockets:
                refuse_handshakes(bound)
        now = asyncio.get_running_loop().time
        began = now()
        under_way = began + HANDSHAKE_SECONDS if handshakes_take_time(self._sockets) else began
        until = began + FINISHING_SECONDS
        while now() < under_way or (somebody_waits(self._sockets) and now() < until):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)  # no event tells of a queue that is empty
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def close(self) -> None:
        """Accept no more; connections that came about live on. Idempotent."""
        if self.owned:
            self.owned = False
            for bound in self._sockets:
                remove_file(bound)
        for server in self.servers:
            server.close()
        self.servers.clear()

    async def wait_closed(self) -> None:
        """Wait until the addresses are free again; not for the connections to end."""
        self.close()
        # uvloop closes the descriptors in its next turn. (Server.wait_closed waits, from Python
        # 3.12 on, for the connections too.)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
