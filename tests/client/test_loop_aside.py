"""What lies unread on a connection is nobody's answer (9112 §9.2, CVE-2026-48931)."""

from __future__ import annotations

import pytest

from perdure.client.loop_pool import LoopPool
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core.reason import Reason
from perdure.wire.network import LoopNetwork, run
from perdure.wire.raw import RawListener, RawPeer
from tests.client.test_loop_pool import Asker, Silent, leased, stage


@pytest.mark.row("R64", "R90")
def test_a_connection_is_not_handed_to_who_waits_with_octets_unread() -> None:
    async def scene(pool: LoopPool[Silent], origin: Origin, listener: RawListener) -> None:
        first = await leased(pool, origin)
        peer: RawPeer = await listener.accept()
        waits = Asker()
        pool.lease(origin, True, waits.granted, waits.refused)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        while not first.handle.readable():  # the kernel has it, the loop has not read it
            pass
        pool.release(first, Reason.PERSISTS_11)
        assert waits.entry is None
        second = await waits.wait_granted()
        assert second is not first
        assert first.ended is not None
        assert not pool.statistics().learned
        pool.discard(second, Reason.CANCELLED)

    run(stage(LoopNetwork(), scene, max_per_origin=1), prefer_uvloop=False)


def test_an_empty_line_behind_a_response_delays_who_waits_and_nothing_else() -> None:
    class Tolerant(Silent):
        def data_received(self, octets: bytes) -> None:
            self.seen += octets

    async def main() -> None:
        settings = ClientSettings(max_per_origin=1)
        pool: LoopPool[Silent] = LoopPool(settings, LoopNetwork(), lambda origin: Tolerant(pool))
        listener = await RawListener.listen(LoopNetwork())
        origin = Origin("http", listener.host, listener.port)
        first = await leased(pool, origin)
        peer: RawPeer = await listener.accept()
        waits = Asker()
        pool.lease(origin, True, waits.granted, waits.refused)
        peer.send(b"\r\n")
        while not first.handle.readable():
            pass
        pool.release(first, Reason.PERSISTS_11)
        assert await waits.wait_granted() is first
        assert first.handle.seen == b"\r\n"
        pool.discard(first, Reason.CANCELLED)
        await pool.aclose()
        listener.close()
        for other in listener.peers:
            other.abort()
            await other.wait_lost()

    run(main(), prefer_uvloop=False)
