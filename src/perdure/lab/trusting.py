"""A client that trusts its connection: it sends the next request on it unless it has heard of its end.

That is what most clients do: no hint is read, no limit is learned, nothing is sent again. Scenarios put it
beside ours, so that what goes wrong without care is seen and not told.
"""

from __future__ import annotations

from perdure.lab.stage import PORT, Act
from perdure.wire.errors import WireError
from perdure.wire.raw import RawPeer


class TrustingClient:
    """One client with one connection at a time.

    Attributes:
        lost: requests that were not answered.
        dials: connections.
    """

    def __init__(self, act: Act, host: str, to: str, port: int = PORT) -> None:
        self.lost = 0
        self.dials = 0
        self._act = act
        self._where = (host, to, port)
        self._peer: RawPeer | None = None

    async def ask(self, request: bytes, octets: int) -> bytes | None:
        """Send a request and wait for the response, however long it takes.

        Args:
            request: its octets.
            octets: of the content that the response has.

        Returns:
            The head of the response; None where the connection ended before it was whole.
        """
        peer = self._peer
        if peer is None or peer.ended or peer.lost:
            peer = self._peer = await self._act.dial(*self._where)
            self.dials += 1
        peer.patience = 600.0
        peer.send(request)
        try:
            head = await peer.receive_until(b"\r\n\r\n")
            await peer.receive_exactly(octets)
        except (EOFError, WireError):
            self.lost += 1
            self._peer = None
            return None
        return head
