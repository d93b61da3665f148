"""The stage: acts with programs of their own, lanes from the links, claims."""

from __future__ import annotations

import pytest

from perdure.lab.backend import CannotStage
from perdure.lab.objects import objects_of
from perdure.lab.stage import Act, Stage
from perdure.lab.verdict import Holds
from tests.lab.playing import LINK, played


def test_act_has_lanes_times_and_reasons_from_both_ends() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("one request") as act:
            await act.serve("server", objects_of(10), idle_timeout=1.0, idle_buffer=0.0, announce="never")
            client = await act.client("client", idle_timeout=50.0)
            await client.get(act.url("server"))
            act.note("client", "got it")
            act.stop_clock()
            await act.rest(3.0)
        assert act.seconds == pytest.approx(0.2)

    [act] = played(play).acts
    [lane] = act.lanes
    assert (lane.client, lane.server, lane.server_port, lane.requests, lane.responses) == (
        "client", "server", 8000, 1, 1,
    )  # fmt: skip
    assert lane.established_at == pytest.approx(0.1)
    assert lane.ended_by == "server"
    assert lane.ended_at == pytest.approx(0.15 + 1.0, abs=0.3)
    assert lane.reasons["server"].startswith("idle limit reached")
    assert "peer" in lane.reasons["client"]
    assert act.notes[0][1:] == ("client", "got it")


def test_programs_end_with_their_act_and_links_may_be_others_in_the_next() -> None:
    async def play(stage: Stage) -> None:
        for rtt in (0.1, 0.4):
            async with stage.act(f"rtt {rtt}", rtt=rtt) as act:
                await act.serve("server", objects_of(10))
                client = await act.client("client")
                await client.get(act.url("server"))
                act.stop_clock()

    first, second = played(play).acts
    assert [first.seconds, second.seconds] == pytest.approx([0.2, 0.8])
    assert [len(act.lanes) for act in (first, second)] == [1, 1]
    assert second.links == "rtt 400 ms"


def test_peers_of_literal_octets_speak_over_the_link() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("by hand") as act:
            listener = await act.listen("server")
            client = await act.dial("client", "server")
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            server = await listener.accept()
            await server.receive_until(b"\r\n\r\n")
            server.send(b"HTTP/1.0 200 OK\r\n\r\nend")
            server.close()
            assert (await client.receive_all()).endswith(b"end")

    [act] = played(play).acts
    assert [message.text for message in act.lanes[0].messages] == ["GET / HTTP/1.0", "HTTP/1.0 200 OK"]


def test_gateway_runs_between_two_links() -> None:
    links = (LINK, type(LINK)(a="server", b="origin", rtt=0.02))

    async def play(stage: Stage) -> None:
        async with stage.act("through a gateway") as act:
            await act.serve("origin", objects_of(10))
            await act.gateway("server", act.url("origin"))
            client = await act.client("client")
            assert (await client.get(act.url("server"))).status == 200

    [act] = played(play, hosts=("client", "server", "origin"), links=links).acts
    assert [(lane.client, lane.server) for lane in act.lanes] == [("client", "server"), ("server", "origin")]
    assert act.links == "client-server: rtt 100 ms; server-origin: rtt 20 ms"


def test_host_without_a_link_is_not_reached() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("nobody there") as act:
            with pytest.raises(Exception, match="unreachable"):
                await act.dial("client", "server")

    played(play, links=())


def test_claims_compare_values_times_and_what_only_kernels_show() -> None:
    async def play(stage: Stage) -> None:
        stage.expect("equal", 1, 1)
        stage.expect("not equal", 1, 2)
        stage.expect("said so", "few", 3, True)
        stage.expect_seconds("near", 1.0, 1.04, within=0.05)
        stage.expect_seconds("far", 1.0, 1.06, within=0.05)
        stage.expect_of_kernel("packets", 1, 1)

    claims = played(play).claims
    holds = [claim.holds for claim in claims]
    assert holds == [Holds.YES, Holds.NO, Holds.YES, Holds.YES, Holds.NO, Holds.NOT_SHOWN]
    assert claims[3].expected == "1.00 s ± 0.050 s"
    assert claims[5].measured == "not shown on memory"


def test_real_programs_cannot_run_in_memory() -> None:
    async def play(stage: Stage) -> None:
        async with stage.act("a real program") as act:
            with pytest.raises(CannotStage, match="true cannot run in memory"):
                await act.run("client", ["true"])
            with pytest.raises(CannotStage):
                act.start("client", ["true"])
            assert act.waiting_connections("server") is None

    played(play)


def test_what_shall_happen_at_the_end_happens_before_earlier_programs_stop() -> None:
    seen: list[str] = []

    async def play(stage: Stage) -> None:
        async with stage.act("ending") as act:
            server = await act.serve("server", objects_of(1))

            async def look() -> None:
                seen.append("listening" if server.urls and not server.registry.draining else "gone")

            act.on_end(look)
            assert isinstance(act, Act)

    played(play)
    assert seen == ["listening"]
