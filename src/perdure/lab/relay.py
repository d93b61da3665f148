"""The blind relay: a proxy of the nineties that copies octets and understands none of them.

    client ──▶ blind relay ──▶ server      one request; what follows it on the connection is never looked at
           ◀──             ◀──             every octet of the server, until the server closes

It passes `Connection: Keep-Alive` on in both directions. So the server believes that the relay wants to keep
the connection, the client believes that of the relay, and the relay waits for a close that nobody means: the
next request of the client stays unread until somebody's patience ends (S10). RFC 9112 C.2.2 tells the story.

Never for anything but experiments.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from perdure.core import RemoteViolation, ServerConnection, State
from perdure.wire.errors import WireError
from perdure.wire.loop import LoopWire
from perdure.wire.network import Listener, Network

DIAL_SECONDS: Final = 30.0


class BlindRelay:
    """Listens on a network and relays to one place.

    Attributes:
        connections: of clients, in order; each tells what became of it.
    """

    def __init__(self, network: Network, bind: str, host: str, port: int) -> None:
        """Make a relay; `start` makes it listen.

        Args:
            bind: where it listens, such as "127.0.0.1:8000".
            host, port: where the octets go.
        """
        self.connections: list[RelayedClient] = []
        self._network = network
        self._bind = bind
        self._target = (host, port)
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Listen. Raises BindFailed."""
        self._listener = await self._network.listen(self._make, self._bind)

    async def close(self) -> None:
        """Stop listening, and end every connection at once."""
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        for client in self.connections:
            client.give_up()

    def _make(self) -> RelayedClient:
        client = RelayedClient(self._network, *self._target)
        self.connections.append(client)
        return client


class RelayedClient(LoopWire):
    """The connection of one client.

    Attributes:
        request_octets: that went on to the server: those of its first request.
        ignored_octets: that came behind it, and that nobody reads.
        client_ended_at: when the client ended its side, which is not passed on; math.inf if it did not.
        server_ended_at: when the server did, which ends both.
    """

    def __init__(self, network: Network, host: str, port: int) -> None:
        super().__init__()
        self.request_octets = 0
        self.ignored_octets = 0
        self.client_ended_at = math.inf
        self.server_ended_at = math.inf
        self._network = network
        self._target = (host, port)
        self._request = ServerConnection()  # only to see where the first request ends
        self._served = False
        self._before = bytearray()
        self._server: _ServerSide | None = None
        self._dialling: asyncio.Task[None] | None = None

    def wire_opened(self) -> None:
        """A client came: go to the server."""
        self._dialling = self.loop.create_task(self._dial())

    def data_received(self, octets: bytes) -> None:
        """Pass the first request on; ignore the rest."""
        passed = self._part_of_request(octets)
        self.request_octets += len(passed)
        self.ignored_octets += len(octets) - len(passed)
        if self._server is None:
            self._before += passed
        elif passed:
            self._server.write(passed)

    def end_received(self) -> None:
        """The client ended its side; a relay that waits for the server does not see it."""
        self.client_ended_at = self.now()

    def wire_lost(self, error: WireError | None) -> None:
        """Nor does it see that the client is gone."""
        self.client_ended_at = min(self.client_ended_at, self.now())

    def server_said(self, octets: bytes) -> None:
        """Copy what the server says."""
        self.write(octets)

    def server_ended(self) -> None:
        """The close that it has waited for."""
        self.server_ended_at = min(self.server_ended_at, self.now())
        if self._server is not None:
            self._server.close()
        self.close()

    def give_up(self) -> None:
        """End both connections at once."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self._server is not None:
            self._server.abort()
        self.abort()

    async def _dial(self) -> None:
        host, port = self._target
        try:
            self._server = await self._network.dial(
                lambda: _ServerSide(self), host, port, timeout=DIAL_SECONDS
            )
        except WireError:
            self.close()
            return
        if self._before:
            self._server.write(bytes(self._before))
            self._before.clear()

    def _part_of_request(self, octets: bytes) -> bytes:
        """What of these octets still belongs to the first request."""
        if self._served:
            return b""
        try:
            self._request.receive(octets)
        except RemoteViolation:  # it would not have noticed
            return octets
        if self._request.peer_state is not State.DONE:
            return octets
        self._served = True
        beyond = self._request.waiting_octets
        return octets[:-beyond] if beyond else octets


class _ServerSide(LoopWire):
    """The connection to the server."""

    def __init__(self, client: RelayedClient) -> None:
        super().__init__()
        self._client = client

    def data_received(self, octets: bytes) -> None:
        self._client.server_said(octets)

    def end_received(self) -> None:
        self._client.server_ended()

    def wire_lost(self, error: WireError | None) -> None:
        self._client.server_ended()
