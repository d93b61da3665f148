"""Names are resolved anew while connections to them live: RFC 9112 §9.5. In virtual time."""

from __future__ import annotations

import asyncio

import perdure
from perdure.core.pool_upkeep import LOOK_UP_SECONDS
from perdure.core.reason import Reason
from perdure.wire.address import Address
from perdure.wire.memory import MemoryNetwork
from perdure.wire.raw import RawPeer
from perdure.wire.scripted import Script, ScriptedNetwork, Until
from perdure.wire.virtual import run_virtual
from tests.client.conftest import BLANK, answer

OLD: Address = ("192.0.2.1", 80)
NEW: Address = ("192.0.2.2", 80)
HELLO = answer(b"hello")
URL = "http://origin.test/"


class Answering(RawPeer):
    """Answers every head."""

    def data_received(self, octets: bytes) -> None:
        self.send(HELLO * octets.count(BLANK))


async def ask_for(client: perdure.AsyncClient, minutes: int) -> None:
    for _ in range(6 * minutes):
        assert (await client.get(URL)).content == b"hello"
        await asyncio.sleep(10.0)


def test_a_connection_in_use_is_left_for_the_new_address_without_a_failed_request() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.001)
        network.names = {"origin.test": [OLD]}
        listeners = [await network.listen(Answering, f"{host}:80") for host in ("192.0.2.1", "192.0.2.2")]
        async with perdure.AsyncClient(network=network) as client:
            await ask_for(client, minutes=2)
            network.names = {"origin.test": [NEW]}
            await ask_for(client, minutes=4)
            assert client.statistics().closes == {Reason.ADDRESS_GONE: 1}
            assert client.statistics().dialled == 2
            assert len(network.lookups) <= 6
        for listener in listeners:
            listener.close()

    run_virtual(main())


def test_a_name_without_an_answer_keeps_its_connections() -> None:
    async def main() -> None:
        network = MemoryNetwork(latency=0.001)
        network.names = {"origin.test": [OLD]}
        listener = await network.listen(Answering, "192.0.2.1:80")
        async with perdure.AsyncClient(network=network) as client:
            await ask_for(client, minutes=1)
            network.names = {}
            await ask_for(client, minutes=5)
            assert client.statistics().closes == {}
            assert network.lookups
        listener.close()

    run_virtual(main())


def test_a_pool_without_connections_asks_no_resolver() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        network.names = {"origin.test": [OLD]}
        listener = await network.listen(Answering, "192.0.2.1:80")
        async with perdure.AsyncClient(network=network) as client:
            await client.get(URL)
            await asyncio.sleep(1000.0)
            assert network.lookups == []
        listener.close()

    run_virtual(main())


def test_threads_are_not_held_up_by_the_resolver_and_leave_an_address_that_is_gone() -> None:
    def peer() -> Script:
        while True:
            yield Until(BLANK)
            yield HELLO

    network = ScriptedNetwork([peer, peer])
    network.names = {"origin.test": [OLD]}
    with perdure.Client(network=network, idle_timeout=300.0) as client:
        client.get(URL)
        network.names = {"origin.test": [NEW]}
        for _ in range(2):
            network.clock.advance(LOOK_UP_SECONDS)
            assert client.get(URL).connection.reused
            thread = client._pool._names.thread
            assert thread is not None
            thread.join()
        assert not client.get(URL).connection.reused
        assert client.statistics().closes == {Reason.ADDRESS_GONE: 1}
        assert network.lookups == ["origin.test"] * 2
