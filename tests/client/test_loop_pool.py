"""The ledger driven by an event loop: callbacks, at once where a connection lies idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from perdure.client.errors import ClientClosed, ConnectError, ExchangeError
from perdure.client.loop_pool import LoopPool
from perdure.client.pooled_wire import PooledWire
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core.pool import Entry
from perdure.core.reason import Reason
from perdure.wire.errors import WireError
from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import LoopNetwork, Network, run
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.virtual import run_virtual

Handled = Entry[Any]


class Silent(PooledWire):
    """A wire that reads nothing."""

    def __init__(self, pool: LoopPool[Silent]) -> None:
        super().__init__()
        self.pool = pool
        self.seen = b""

    def data_received(self, octets: bytes) -> None:
        self.seen += octets
        self.pool.peer_closed(self.entry, Reason.SURPLUS_OCTETS)

    def end_received(self) -> None:
        self.pool.peer_closed(self.entry, Reason.PEER_CLOSED)

    def wire_lost(self, error: WireError | None) -> None:
        self.pool.wire_gone(self)


class Asker:
    """Collects what `lease` calls back."""

    def __init__(self) -> None:
        self.entry: Handled | None = None
        self.error: ExchangeError | None = None
        self.answered = asyncio.Event()

    def granted(self, entry: Handled) -> None:
        self.entry = entry
        self.answered.set()

    def refused(self, error: ExchangeError) -> None:
        self.error = error
        self.answered.set()

    async def wait_granted(self) -> Handled:
        await self.answered.wait()
        assert self.entry is not None
        return self.entry


Scene = Callable[[LoopPool[Silent], Origin, RawListener], Coroutine[Any, Any, None]]


async def stage(network: Network, scene: Scene, **settings: Any) -> None:
    pool: LoopPool[Silent] = LoopPool(ClientSettings(**settings), network, lambda origin: Silent(pool))
    listener = await RawListener.listen(network)
    try:
        await scene(pool, Origin("http", listener.host, listener.port), listener)
    finally:
        await pool.aclose()
        listener.close()
        for peer in listener.peers:
            peer.abort()
            await peer.wait_lost()


async def leased(pool: LoopPool[Silent], origin: Origin) -> Handled:
    asker = Asker()
    pool.lease(origin, True, asker.granted, asker.refused)
    return await asker.wait_granted()


def test_an_idle_connection_is_granted_inside_the_call() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        first = await leased(pool, origin)
        pool.release(first, Reason.PERSISTS_11)
        asker = Asker()
        assert pool.lease(origin, True, asker.granted, asker.refused) is None
        assert asker.entry is first
        pool.discard(first, Reason.CANCELLED)

    run_virtual(stage(MemoryNetwork(), scene))


@pytest.mark.row("R64", "R90")
def test_a_connection_with_unread_octets_is_not_granted() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        first = await leased(pool, origin)
        peer: RawPeer = await listener.accept()
        pool.release(first, Reason.PERSISTS_11)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        while not first.handle.readable():  # the kernel has it, the loop has not read it
            pass
        second = await leased(pool, origin)
        assert second is not first
        assert first.ended in (Reason.SURPLUS_OCTETS, None)
        await peer.receive_all()
        assert first.ended is Reason.SURPLUS_OCTETS
        pool.discard(second, Reason.CANCELLED)

    # uvloop writes at the end of a turn: there our own peer cannot leave octets unread within one.
    run(stage(LoopNetwork(), scene), prefer_uvloop=False)


class Tolerant(Silent):
    """A wire to which no octet on an idle connection is any harm."""

    def data_received(self, octets: bytes) -> None:
        self.seen += octets


@pytest.mark.row("R64")
def test_a_connection_set_aside_for_an_empty_line_is_as_idle_as_it_was() -> None:
    async def main() -> None:
        pool: LoopPool[Silent] = LoopPool(ClientSettings(), LoopNetwork(), lambda origin: Tolerant(pool))
        listener = await RawListener.listen(LoopNetwork())
        origin = Origin("http", listener.host, listener.port)
        first = await leased(pool, origin)
        peer: RawPeer = await listener.accept()
        pool.release(first, Reason.PERSISTS_11)
        idle_since = first.idle_since
        peer.send(b"\r\n")
        while not first.handle.readable():  # the kernel has it, the loop has not read it
            pass
        again = await leased(pool, origin)  # waits for a dial, and is served sooner
        assert again is first
        assert first.handle.seen == b"\r\n"
        assert (first.uses, first.idle_since) == (2, idle_since)
        pool.discard(first, Reason.CANCELLED)
        await pool.aclose()
        listener.close()
        for other in listener.peers:
            other.abort()
            await other.wait_lost()

    run(main(), prefer_uvloop=False)


def test_a_lease_that_is_cancelled_calls_nobody_and_its_connection_serves_the_next() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        asker = Asker()
        lease = pool.lease(origin, True, asker.granted, asker.refused)
        assert lease is not None
        pool.cancel(lease)
        pool.cancel(lease)
        second = await leased(pool, origin)
        assert asker.entry is None
        assert asker.error is None
        assert len(listener.peers) == 1
        pool.release(second, Reason.PERSISTS_11)

    run_virtual(stage(MemoryNetwork(latency=0.01), scene))


def test_who_waits_longest_is_granted_first() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        first = await leased(pool, origin)
        askers = [Asker(), Asker()]
        for asker in askers:
            assert pool.lease(origin, True, asker.granted, asker.refused) is not None
        pool.release(first, Reason.PERSISTS_11)
        assert [asker.entry for asker in askers] == [first, None]
        pool.release(first, Reason.CLOSE_RECEIVED)
        last = await askers[1].wait_granted()
        assert last is not first
        pool.discard(last, Reason.CANCELLED)

    run_virtual(stage(MemoryNetwork(), scene, max_per_origin=1))


def test_errors_reach_who_waits() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        for where, words in (
            (Origin("http", "127.0.0.1", 1), "refused"),
            (Origin("https", "127.0.0.1", 1), "TLS was not configured"),
        ):
            asker = Asker()
            pool.lease(where, True, asker.granted, asker.refused)
            await asker.answered.wait()
            assert isinstance(asker.error, ConnectError)
            assert words in str(asker.error)
        await pool.aclose()
        closed = Asker()
        assert pool.lease(origin, True, closed.granted, closed.refused) is None
        assert isinstance(closed.error, ClientClosed)

    run_virtual(stage(MemoryNetwork(), scene))


def test_one_refusal_is_told_to_all_who_wait_and_each_gets_an_error_of_its_own() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        askers = [Asker() for _ in range(100)]
        nowhere = Origin("http", "127.0.0.1", 1)
        for asker in askers:
            pool.lease(nowhere, True, asker.granted, asker.refused)
        for asker in askers:
            await asker.answered.wait()
        errors = {asker.error for asker in askers}
        assert len(errors) == 100
        assert {str(error) for error in errors} == {str(askers[0].error)}
        assert "refused" in str(askers[0].error)
        assert len(network.connections) == 8
        assert pool.statistics().waiting == 0

    network = MemoryNetwork()
    run_virtual(stage(network, scene))


def test_warming_waits_for_its_dials_and_says_how_many_there_are() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        used = await leased(pool, origin)
        assert await pool.warm(origin, 3) == 3
        assert await pool.warm(origin, 2) == 3
        assert await pool.warm(origin, 100) == 8
        assert pool.statistics().idle == 7
        pool.release(used, Reason.PERSISTS_11)
        first = await leased(pool, origin)
        assert len(listener.peers) == 8
        pool.discard(first, Reason.CANCELLED)

    run_virtual(stage(MemoryNetwork(latency=0.01), scene))


def test_warming_that_is_cancelled_lets_its_dials_go_on() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.warm(origin, 3), 0.001)
        assert await pool.warm(origin, 3) == 3
        assert len(listener.peers) == 3

    run_virtual(stage(MemoryNetwork(latency=0.01), scene))


def test_warming_of_what_cannot_be_dialled_says_so() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        with pytest.raises(ConnectError, match="refused"):
            await pool.warm(Origin("http", "127.0.0.1", 1), 3)
        await pool.aclose()
        with pytest.raises(ClientClosed):
            await pool.warm(origin, 3)

    run_virtual(stage(MemoryNetwork(), scene))


def test_a_peer_that_ends_at_once_leaves_no_idle_connection() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        asker = Asker()
        lease = pool.lease(origin, True, asker.granted, asker.refused)
        assert lease is not None
        pool.cancel(lease)
        peer = await listener.accept()
        peer.close()
        await peer.wait_lost()
        await asyncio.sleep(1)  # virtual: until the end has travelled
        assert pool.statistics().connections == 0

    run_virtual(stage(MemoryNetwork(latency=0.01), scene))
