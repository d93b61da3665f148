"""Whatever the order of things, a tunnel loses nothing, doubles nothing and mixes nothing up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.core import Reason
from perdure.wire.memory import MemoryNetwork
from perdure.wire.virtual import run_virtual
from tests.intermediary.conftest import Stage, staged, until
from tests.intermediary.connecting import OPENED, Connecting, connect_to

PATTERN = bytes(range(251)) * 1100
"""Not of a length that any buffer has, so that a piece that is lost or doubled shows."""

steps = st.lists(
    st.tuples(
        st.sampled_from(["client", "far"]),
        st.one_of(
            st.integers(1, 150_000),
            st.sampled_from(["pause", "resume", "end", "wait"]),
        ),
    ),
    max_size=24,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([None, 1, 7, 1000]), st.integers(0, 3000))
def test_all_octets_arrive_in_order_whatever_the_splits_pauses_and_half_closes(
    script: list[tuple[str, int | str]], split: int | None, early: int
) -> None:
    if split is not None and split < 1000:  # octet for octet, a little must do
        script = [(side, min(step, 200 * split) if isinstance(step, int) else step) for side, step in script]
        early = min(early, 200)

    async def scene(stage: Stage) -> None:
        client = await stage.client()
        said = {"client": bytearray(PATTERN[:early]), "far": bytearray()}
        client.send(connect_to(stage) + PATTERN[:early])
        far = await stage.origin.accept()
        peers = {"client": client, "far": far}
        over: set[str] = set()
        for side, step in script:
            peer = peers[side]
            if step == "pause":
                peer.pause_reading()
            elif step == "resume":
                peer.resume_reading()
            elif step == "wait":
                await asyncio.sleep(0.3)
            elif step == "end":
                over.add(side)
                peer.half_close()
            elif side not in over:
                assert isinstance(step, int)
                octets = PATTERN[len(said[side]) % 100_000 :][:step]
                said[side] += octets
                peer.send(octets)
        for side, peer in peers.items():
            peer.patience = 3000
            peer.resume_reading()
            if side not in over:
                peer.half_close()
        assert await client.receive_all() == OPENED + bytes(said["far"])
        assert await far.receive_all() == bytes(said["client"])
        assert not client.reset
        assert not far.reset
        await until(lambda: not stage.gateway.registry.connections)
        assert stage.gateway.registry.closes == {Reason.TUNNEL: 1}

    run_virtual(staged(scene, MemoryNetwork(latency=0.001, split=split), {"kind": Connecting}))
