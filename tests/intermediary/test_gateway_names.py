"""Origins with names: looked up again, with several addresses, and left when they move. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from perdure.core import Reason
from perdure.intermediary.gateway import Gateway
from perdure.wire.address import Address
from perdure.wire.memory import MemoryNetwork
from perdure.wire.raw import RawPeer
from perdure.wire.virtual import run_virtual
from tests.intermediary.conftest import GET, OK, answer, status

HOSTS = ("192.0.2.1", "192.0.2.2")
FIRST: Address = (HOSTS[0], 80)
SECOND: Address = (HOSTS[1], 80)


class Answering(RawPeer):
    """Answers every head."""

    def data_received(self, octets: bytes) -> None:
        self.send(OK * octets.count(b"\r\n\r\n"))


def play_named(scene: Callable[[MemoryNetwork, Gateway], Awaitable[None]], **settings: Any) -> None:
    """Play a scene with a gateway to http://origin.test, whose two addresses both answer."""

    async def story() -> None:
        network = MemoryNetwork(latency=0.001)
        listeners = [await network.listen(Answering, f"{host}:80") for host in HOSTS]
        async with Gateway("http://origin.test", "127.0.0.1:0", network=network, **settings) as gateway:
            await scene(network, gateway)
        for listener in listeners:
            listener.close()

    run_virtual(story())


async def ask(network: MemoryNetwork, gateway: Gateway, seconds: int) -> None:
    """Ask every ten seconds for so long; all is answered."""
    port = int(gateway.urls[0].rpartition(":")[2])
    client = await RawPeer.dial(network, "127.0.0.1", port)
    for _ in range(seconds // 10):
        client.send(GET)
        assert status((await answer(client))[0]) == 200
        await asyncio.sleep(10)
    client.abort()
    await client.wait_lost()


def test_gateway_follows_a_name_that_moves_without_a_failed_request() -> None:
    async def scene(network: MemoryNetwork, gateway: Gateway) -> None:
        network.names = {"origin.test": [FIRST]}
        await ask(network, gateway, 120)
        network.names = {"origin.test": [SECOND]}
        await ask(network, gateway, 240)
        origins = gateway.statistics().origins
        assert (origins.closes, origins.dialled) == ({Reason.ADDRESS_GONE: 1}, 2)
        assert len(network.lookups) <= 6

    play_named(scene)


def test_checks_alone_keep_a_name_looked_up() -> None:
    async def scene(network: MemoryNetwork, gateway: Gateway) -> None:
        network.names = {"origin.test": [FIRST]}
        await asyncio.sleep(120)
        network.names = {"origin.test": [SECOND]}
        await asyncio.sleep(240)
        assert gateway.statistics().origins.closes[Reason.ADDRESS_GONE] == 1
        (server,) = gateway.statistics().servers
        assert (server.condition, server.checks_failed) == ("in", 0)

    play_named(scene, health_path="/")


def test_name_with_an_address_where_nobody_listens_is_served_by_the_other() -> None:
    async def scene(network: MemoryNetwork, gateway: Gateway) -> None:
        network.names = {"origin.test": [("192.0.2.3", 80), SECOND]}
        await ask(network, gateway, 30)
        (server,) = gateway.statistics().servers
        assert (server.condition, server.failures, server.dialled) == ("in", 0, 1)

    play_named(scene)
