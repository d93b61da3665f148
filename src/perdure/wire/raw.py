"""A test peer of literal octets: says exactly what it is told, keeps exactly what it hears.

    listener = await RawListener.listen(network, "127.0.0.1:0")
    peer = await listener.accept()                        # or: await RawPeer.dial(network, host, port)
    head = await peer.receive_until(b"\\r\\n\\r\\n")
    peer.send(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    assert await peer.at_eof()

Over `MemoryNetwork` and `LoopNetwork` alike. Every wait has a limit, so that a test that fails
does not hang.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from perdure.wire.errors import ReadTimeout, WireError
from perdure.wire.loop import LoopWire
from perdure.wire.network import Listener, Network

PATIENCE_SECONDS = 10.0
"""How long a peer waits for what a test expects."""


class RawPeer(LoopWire):
    """One end of a connection, in the hands of a test.

    Attributes:
        received: every octet since the beginning.
        ended: True once the other side ended its own side with FIN.
        error: what the connection was lost with; None in good order or before that.
        reset: True once the connection was reset by the other side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received = bytearray()
        self.ended = False
        self.error: WireError | None = None
        self.patience = PATIENCE_SECONDS
        self._taken = 0
        self._change = asyncio.Event()

    @classmethod
    async def dial(
        cls, network: Network, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> RawPeer:
        """Connect to a host of a network."""
        return await network.dial(cls, host, port, timeout=PATIENCE_SECONDS, tls=tls)

    @property
    def reset(self) -> bool:
        """True once the connection was reset by the other side."""
        return self.error is not None

    def send(self, octets: bytes) -> None:
        """Send octets, as they are."""
        self.write(octets)

    async def receive_exactly(self, count: int) -> bytes:
        """Return the next `count` octets.

        Raises:
            EOFError: the connection ended before; the message shows what had come.
            ReadTimeout: they did not come in time.
        """
        await self._wait(lambda: len(self.received) - self._taken >= count, f"{count} octets")
        return self._take(count)

    async def receive_until(self, separator: bytes) -> bytes:
        """Return the next octets up to and with the separator. Raises as `receive_exactly`."""
        await self._wait(lambda: self.received.find(separator, self._taken) >= 0, repr(separator))
        return self._take(self.received.find(separator, self._taken) + len(separator) - self._taken)

    async def receive_all(self) -> bytes:
        """Return every further octet up to the end, however it ends."""
        await self._wait(lambda: self.ended or self.lost, "the end")
        return self._take(len(self.received) - self._taken)

    async def at_eof(self) -> bool:
        """Wait for the end; True if it was FIN with nothing more before it, False for RST."""
        await self._wait(lambda: self.ended or self.lost, "the end")
        return not self.reset and self._taken == len(self.received)

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        async with asyncio.timeout(self.patience):
            while not self.lost:
                self._change.clear()
                await self._change.wait()

    # What the wire calls.

    def data_received(self, octets: bytes) -> None:
        """Keep the octets."""
        self.received += octets
        self._change.set()

    def end_received(self) -> None:
        """Note the end."""
        self.ended = True
        self._change.set()

    def wire_lost(self, error: WireError | None) -> None:
        """Note the end and its error."""
        self.error = error
        self._change.set()

    def _take(self, count: int) -> bytes:
        taken = bytes(self.received[self._taken : self._taken + count])
        self._taken += count
        return taken

    async def _wait(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        try:
            async with asyncio.timeout(self.patience):
                while not holds():
                    rest = bytes(self.received[self._taken :])
                    if self.ended or self.lost:
                        raise EOFError(f"expected {what}, got the end after {rest!r}")
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            rest = bytes(self.received[self._taken :])
            raise ReadTimeout(f"expected {what} within {self.patience:g} s, got {rest!r}") from None


class RawListener:
    """Accepts connections for a test.

    Attributes:
        host, port: where it listens.
        peers: every connection that was accepted, in order.
    """

    def __init__(self) -> None:
        self.peers: list[RawPeer] = []
        self.host = ""
        self.port = 0
        self.listener: Listener
        self._accepted: asyncio.Queue[RawPeer] = asyncio.Queue()

    @classmethod
    async def listen(
        cls, network: Network, bind: str = "127.0.0.1:0", *, tls: ssl.SSLContext | None = None
    ) -> RawListener:
        """Listen on a network."""
        listener = cls()
        listener.listener = await network.listen(listener._make, bind, tls=tls)
        address = listener.listener.addresses[0]
        if isinstance(address, tuple):
            listener.host, listener.port = address
        return listener

    async def accept(self) -> RawPeer:
        """Return the next connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._accepted.get()

    def close(self) -> None:
        """Accept no more."""
        self.listener.close()

    def _make(self) -> RawPeer:
        return _AcceptedPeer(self)

    def opened(self, peer: RawPeer) -> None:
        """Note a connection that came about."""
        self.peers.append(peer)
        self._accepted.put_nowait(peer)


class _AcceptedPeer(RawPeer):
    def __init__(self, listener: RawListener) -> None:
        super().__init__()
        self._listener = listener

    def wire_opened(self) -> None:
        self._listener.opened(self)
