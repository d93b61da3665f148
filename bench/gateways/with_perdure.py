"""Our gateway, and a relay that copies octets: `python -m bench.gateways.with_perdure ROLE PORT ORIGIN`.

The roles: perdure; hooks (our gateway with hooks that do nothing, for which no head may be
remembered); relay (one connection for one on the same event loop: what of the cost is not ours).
"""

from __future__ import annotations

import asyncio
import sys

from perdure.intermediary.gateway import Gateway
from perdure.wire.network import run


async def serve_gateway(port: int, origin: int, hooks: bool) -> None:
    """Forward until the process is ended."""
    async with Gateway(
        f"http://127.0.0.1:{origin}",
        f"127.0.0.1:{port}",
        max_requests=None,  # as its peers, which are asked not to count either
        origin_max_requests=None,
        on_request=(lambda head: None) if hooks else None,
        on_response=(lambda head: None) if hooks else None,
    ):
        await asyncio.Event().wait()


class Relay(asyncio.Protocol):
    """Copies octets both ways, one connection for one connection: the floor of this loop."""

    origin = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reach for the origin."""
        self.transport = transport
        self.other: Relay | None = None
        self.early = b""
        if not isinstance(self, Outward):
            asyncio.get_running_loop().create_task(self.reach())

    async def reach(self) -> None:
        """Connect to the origin, and send it what came meanwhile."""
        _, self.other = await asyncio.get_running_loop().create_connection(Outward, "127.0.0.1", Relay.origin)
        self.other.other = self
        self.other.transport.write(self.early)  # type: ignore[attr-defined]  # asyncio's own type

    def data_received(self, octets: bytes) -> None:
        """Copy."""
        if self.other is None:
            self.early += octets
        else:
            self.other.transport.write(octets)  # type: ignore[attr-defined]  # asyncio's own type

    def connection_lost(self, error: Exception | None) -> None:
        """End the other half too."""
        if self.other is not None:
            self.other.transport.close()


class Outward(Relay):
    """Its other half."""


async def serve_relay(port: int, origin: int) -> None:
    """Copy until the process is ended."""
    Relay.origin = origin
    server = await asyncio.get_running_loop().create_server(Relay, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    role, port, origin = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    run(serve_relay(port, origin) if role == "relay" else serve_gateway(port, origin, role == "hooks"))
