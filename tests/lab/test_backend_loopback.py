"""The backend on loopback: relays that delay, in the place of links."""

from __future__ import annotations

import pytest

from perdure.lab.backend import CannotStage
from perdure.lab.lanes import Kind
from perdure.lab.link import Link
from perdure.lab.objects import objects_of
from perdure.lab.stage import Stage
from tests.lab.playing import played

NEAR = Link(a="client", b="server", rtt=0.02)


def test_exchange_takes_a_round_trip_for_the_handshake_and_one_for_itself() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("one request") as act:
            await act.serve("server", objects_of(10))
            client = await act.client("client")
            await client.get(act.url("server"))
            act.stop_clock()

    [act] = played(play, "loopback", links=(NEAR,)).acts
    [lane] = act.lanes
    assert act.seconds >= 0.04
    assert lane.established_at - lane.began_at == pytest.approx(0.02)
    assert (lane.requests, lane.responses) == (1, 1)
    assert all(each.arrived_at >= each.sent_at + 0.0099 for each in lane.crossings if each.arrived_at)


def test_ends_and_their_reasons_cross_and_ports_are_used_again() -> None:
    async def play(stage: Stage) -> None:
        for _ in range(2):
            async with stage.act("closes") as act:
                await act.serve("server", objects_of(10), max_requests=1)
                client = await act.client("client")
                await client.get(act.url("server"))
                await act.rest(0.1)

    for act in played(play, "loopback", links=(NEAR,)).acts:
        [lane] = act.lanes
        assert lane.ended_by == "server"
        assert lane.reasons["server"].startswith("the most requests per connection")
        assert set(lane.reasons) == {"client", "server"}


def test_reset_crosses_as_a_reset() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("reset") as act:
            listener = await act.listen("server")
            client = await act.dial("client", "server")
            server = await listener.accept()
            server.abort()
            await client.wait_lost()
            assert client.reset

    [act] = played(play, "loopback", links=(NEAR,)).acts
    assert act.lanes[0].crossings[-1].kind is Kind.RST


def test_nobody_there_no_way_and_no_program() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("nobody") as act:
            with pytest.raises(Exception, match="refused"):
                await act.dial("client", "server")
            with pytest.raises(Exception, match="unreachable"):
                await act.dial("client", "far")
            with pytest.raises(CannotStage, match="network namespaces only"):
                act.start("client", ["true"])
            assert act.waiting_connections("server") is None

    played(play, "loopback", hosts=("client", "server", "far"), links=(NEAR,))
