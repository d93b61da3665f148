"""The backend in memory: latency and rate by link, in virtual time."""

from __future__ import annotations

import pytest

from perdure.lab.lanes import Kind
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage
from tests.lab.playing import played

SLOW = Link(a="client", b="server", rtt=0.1, rate=1_211_200)  # 100 packets of 1514 octets a second


def test_rate_of_a_link_is_shared_by_its_connections() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("two at once") as act:
            await act.serve("server", objects_of(14480))
            peers = [await act.dial("client", "server") for _ in range(2)]
            began = act.now()
            for peer in peers:
                peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for peer in peers:
                await peer.receive_until(b"\r\n\r\n")
                await peer.receive_exactly(14480)
            assert act.now() - began == pytest.approx(0.1 + 0.2, abs=0.02)

    [act] = played(play, links=(SLOW,)).acts
    assert len(act.lanes) == 2


def test_reset_and_its_sender_are_in_the_lane() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("reset") as act:
            listener = await act.listen("server")
            client = await act.dial("client", "server")
            server = await listener.accept()
            server.abort()
            assert await client.receive_all() == b""

    [act] = played(play).acts
    assert (act.lanes[0].crossings[-1].kind, act.lanes[0].ended_by) == (Kind.RST, "server")


def test_connection_that_was_refused_is_no_lane() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("refused") as act:
            with pytest.raises(Exception, match="refused"):
                await act.dial("client", "server")

    assert played(play).acts[0].lanes == []
