"""Another protocol through a forward proxy: absolute-form and Upgrade, as a client without TLS may ask."""

from __future__ import annotations

import asyncio

import pytest

from perdure.intermediary.passwords import hash_password
from tests.intermediary.conftest import Play, ProxyStage, answer, status, value, values
from tests.intermediary.connecting import SWITCHED

OFFER = (b"Connection: Upgrade", b"Upgrade: websocket")
ALICE = f"alice:{hash_password('wonderland', cost=4)}"


@pytest.mark.row("R145", "R131")
def test_upgrade_crosses_a_forward_proxy_hop_by_hop(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, head = await stage.asked(stage.get(b"/chat", *OFFER))
        assert head.startswith(b"GET /chat HTTP/1.1\r\n")
        assert (values(head, b"upgrade"), values(head, b"connection")) == ([b"websocket"], [b"upgrade"])
        inner.send(SWITCHED)
        assert status(await client.receive_until(b"\r\n\r\n")) == 101
        client.send(b"there")
        assert await inner.receive_exactly(5) == b"there"
        inner.send(b"back")
        assert await client.receive_exactly(4) == b"back"
        assert stage.proxy.statistics().tunnels == 1

    play_proxy(scene)


def test_forward_proxy_may_be_told_to_pass_none(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        _, _, head = await stage.asked(stage.get(b"/chat", *OFFER))
        assert values(head, b"upgrade") == values(head, b"connection") == []

    play_proxy(scene, upgrade=[])


@pytest.mark.row("R168")
def test_octets_behind_an_upgrade_of_a_stranger_are_not_read(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client = await stage.client()
        client.send(stage.get(b"/chat", *OFFER) + stage.get(b"/behind"))
        head, _ = await answer(client)
        assert (status(head), value(head, b"connection")) == (407, b"close")
        assert await client.receive_all() == b""
        await asyncio.sleep(0.01)
        assert stage.origin.peers == []

    play_proxy(scene, auth=[ALICE])
