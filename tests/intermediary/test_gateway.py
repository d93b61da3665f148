"""The gateway as a whole: few connections for many clients, several origins, start and end."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest
import trustme

from perdure.core import Reason
from perdure.intermediary.gateway import Gateway
from perdure.wire.errors import AddressInUse
from perdure.wire.memory import Fault, MemoryNetwork
from perdure.wire.network import Network
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import client_context, server_context
from tests.intermediary.conftest import GET, OK, Play, Stage, answer, status, until, value

MEBIBYTE = 1 << 20


async def serve(listener: RawListener, response: bytes = OK) -> None:
    """An origin that answers everything the same way, until it is cancelled."""

    async def serve_one(peer: RawPeer) -> None:
        try:
            while True:
                await peer.receive_until(b"\r\n\r\n")
                peer.send(response)
        except EOFError:
            peer.close()

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(serve_one(await accepted(listener)))


async def accepted(listener: RawListener) -> RawPeer:
    while True:
        try:
            return await listener.accept()
        except TimeoutError:
            continue


def test_request_and_response_cross(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, head = await stage.asked()
        assert head.startswith(b"GET / HTTP/1.1\r\nHost: a\r\n")
        inner.send(OK)
        back, content = await answer(client)
        assert (status(back), content) == (200, b"ok")
        assert value(back, b"via") == b"1.1 perdure"

    play(scene)


@pytest.mark.row("R91", "S8")
def test_many_clients_share_few_connections(play: Play) -> None:
    async def client_of(stage: Stage, requests: int) -> None:
        client = await stage.client()
        for _ in range(requests):
            client.send(GET)
            assert (await answer(client))[1] == b"ok"

    async def scene(stage: Stage) -> None:
        origin = asyncio.create_task(serve(stage.origin))
        await asyncio.gather(*[client_of(stage, 20) for _ in range(32)])
        statistics = stage.gateway.statistics()
        assert (statistics.opened, statistics.requests) == (32, 640)
        assert statistics.origins.dialled <= 8
        assert statistics.origins.requests == 640
        assert statistics.origins.reused >= 632
        origin.cancel()
        await asyncio.gather(origin, return_exceptions=True)

    play(scene, origin_max_per_origin=8)


@pytest.mark.slow
@pytest.mark.row("S8")
def test_ten_thousand_requests_of_64_clients_take_at_most_64_connections(play_on_sockets: Play) -> None:
    async def client_of(stage: Stage) -> None:
        client = await stage.client()
        for _ in range(157):
            client.send(GET)
            assert (await answer(client))[1] == b"ok"

    async def scene(stage: Stage) -> None:
        origin = asyncio.create_task(serve(stage.origin))
        await asyncio.gather(*[client_of(stage) for _ in range(64)])
        statistics = stage.gateway.statistics()
        assert statistics.requests == 64 * 157
        assert statistics.origins.dialled <= 64
        origin.cancel()
        await asyncio.gather(origin, return_exceptions=True)

    play_on_sockets(scene)


@pytest.mark.row("R117", "R124")
def test_clients_that_close_after_each_request_still_share_a_connection(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, inner, _ = await stage.asked(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        inner.send(OK)
        await answer(client)
        assert await client.at_eof()
        for _ in range(4):
            client = await stage.client()
            client.send(GET.replace(b"1.1", b"1.0"))
            await inner.receive_until(b"\r\n\r\n")
            inner.send(OK)
            await answer(client)
            assert await client.at_eof()
        assert stage.gateway.statistics().origins.dialled == 1

    play(scene)


def test_requests_are_spread_over_several_origins(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        other = await RawListener.listen(stage.network)
        to = [f"http://{one.host}:{one.port}" for one in (stage.origin, other)]
        async with Gateway(to, "127.0.0.1:0", network=stage.network) as gateway:
            spread = Stage(stage.network, stage.origin, gateway)
            clients = [await spread.client() for _ in range(4)]
            for client in clients:
                client.send(GET)
            await until(lambda: len(stage.origin.peers) == len(other.peers) == 2)
            for peer in [*clients, *other.peers, *stage.origin.peers]:
                peer.abort()
                await peer.wait_lost()
        other.close()

    play(scene)


def test_origin_that_refuses_is_passed_over_since_nothing_was_sent(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        gone = await RawListener.listen(stage.network)
        gone.close()
        await gone.listener.wait_closed()
        to = [f"http://{one.host}:{one.port}" for one in (stage.origin, gone)]
        async with Gateway(to, "127.0.0.1:0", network=stage.network, host="origin") as gateway:
            spread = Stage(stage.network, stage.origin, gateway)
            client = await spread.client()
            inner: RawPeer | None = None
            for _ in range(4):
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                if inner is None or len(stage.origin.peers) == 1:
                    inner = await stage.origin.accept()
                head = await inner.receive_until(b"\r\n\r\n")
                assert value(head, b"host") == b"%b:%d" % (stage.origin.host.encode(), stage.origin.port)
                assert await inner.receive_exactly(2) == b"hi"
                inner.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                inner = None
                assert status((await answer(client))[0]) == 200
            client.abort()
            await client.wait_lost()

    play(scene)


@pytest.mark.parametrize("fault", ["refused", "unanswered"])
def test_origin_that_cannot_be_dialled_is_left_to_rest_where_there_are_others(
    play_virtually: Play, fault: str
) -> None:
    async def scene(stage: Stage) -> None:
        assert isinstance(stage.network, MemoryNetwork)
        to = ["http://192.0.2.1:80", f"http://{stage.origin.host}:{stage.origin.port}"]
        async with Gateway(to, "127.0.0.1:0", network=stage.network, origin_connect_timeout=0.2) as gateway:
            client = await Stage(stage.network, stage.origin, gateway).client()
            if fault == "unanswered":
                stage.network.script(Fault("server", 0, "unanswered"), 1)  # which is asked first
            inner: RawPeer | None = None
            for _ in range(6):
                client.send(GET)
                inner = inner or await stage.origin.accept()
                await inner.receive_until(b"\r\n\r\n")
                inner.send(OK)
                assert status((await answer(client))[0]) == 200
            assert len(stage.network.connections) == 3, "the client's, the origin's, and one in vain"
            client.abort()
            await client.wait_lost()

    play_virtually(scene)


@pytest.mark.row("R115", "S16")
def test_drain_announces_the_close_and_loses_nothing(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        idle, inner = await stage.warmed()
        busy = await stage.client()
        busy.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        drained = asyncio.create_task(stage.gateway.drain())
        await until(lambda: stage.gateway.registry.draining)
        inner.send(OK)
        head, _ = await answer(busy)
        assert value(head, b"connection") == b"close"
        assert await idle.at_eof()
        await drained

    play(scene, drain_grace=0.2, linger_idle=0.1)


@pytest.mark.row("R115")
def test_idle_client_may_ask_once_more_while_the_gateway_drains(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        idle, inner = await stage.warmed()
        drained = asyncio.create_task(stage.gateway.drain())
        await until(lambda: stage.gateway.registry.draining)
        idle.send(GET)
        await inner.receive_until(b"\r\n\r\n")
        inner.send(OK)
        head, content = await answer(idle)
        assert (content, value(head, b"connection")) == (b"ok", b"close")
        await drained

    play(scene, linger_idle=0.1)


def test_statistics_count_both_sides(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        client, _ = await stage.warmed()
        statistics = stage.gateway.statistics()
        assert (statistics.connections, statistics.idle, statistics.requests) == (1, 1, 1)
        assert (statistics.origins.connections, statistics.origins.idle) == (1, 1)
        client.close()
        await until(lambda: stage.gateway.statistics().connections == 0)
        assert stage.gateway.statistics().closes == {Reason.PEER_CLOSED: 1}

    play(scene)


def test_address_in_use_leaves_nothing_open(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        bind = stage.gateway.urls[0].rpartition("//")[2]
        gateway = Gateway("http://127.0.0.1:9", ["127.0.0.1:0", bind], network=stage.network)
        with pytest.raises(AddressInUse):
            await gateway.start()
        await gateway.close()

    play(scene)


@pytest.mark.slow
def test_tls_on_both_sides(play_on_sockets: Play, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)

    async def scene(stage: Stage) -> None:
        origin = await RawListener.listen(stage.network, tls=server_context(str(certificate)))
        to = f"https://127.0.0.1:{origin.port}"
        async with Gateway(
            to, "127.0.0.1:0", tls_cert=str(certificate), origin_ca_file=str(trusted)
        ) as gateway:
            port = int(gateway.urls[0].rpartition(":")[2])
            context = client_context(ca_file=str(trusted))
            client = await RawPeer.dial(stage.network, "127.0.0.1", port, tls=context)
            for _ in range(2):
                client.send(GET)
                if not origin.peers:
                    await origin.accept()
                head = await origin.peers[0].receive_until(b"\r\n\r\n")
                assert value(head, b"x-forwarded-proto") == b"https"
                origin.peers[0].send(OK)
                assert (await answer(client))[1] == b"ok"
            client.close()
            await client.wait_lost()
        await origin.peers[0].receive_all()
        origin.peers[0].abort()
        await origin.peers[0].wait_lost()
        origin.close()

    play_on_sockets(scene)


class Pump(RawPeer):
    """Sends as much as it is told as fast as it is taken; counts what it gets and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.count = 0

    def pour(self, octets: int) -> None:
        self.left = octets
        self.write_side_drained()

    def write_side_drained(self) -> None:
        piece = b"x" * 65536
        while self.left and not self.writing_paused:
            self.write(piece[: self.left])
            self.left -= min(self.left, len(piece))

    def data_received(self, octets: bytes) -> None:
        self.count += len(octets)
        self._change.set()

    async def counted(self, octets: int) -> None:
        await self._wait(lambda: self.count >= octets, f"{octets} octets")


class PumpListener:
    """Accepts one pump."""

    def __init__(self) -> None:
        self.pump = Pump()

    async def listen(self, network: Network) -> int:
        self.listener = await network.listen(lambda: self.pump, "127.0.0.1:0")
        address = self.listener.addresses[0]
        assert isinstance(address, tuple)
        return address[1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["up", "down"])
def test_large_content_crosses_in_little_memory(play_on_sockets: Play, way: str) -> None:
    count = 256 * MEBIBYTE

    async def scene(stage: Stage) -> None:
        listener = PumpListener()
        port = await listener.listen(stage.network)
        async with Gateway(f"http://127.0.0.1:{port}", "127.0.0.1:0") as gateway:
            client = await stage.network.dial(
                Pump, "127.0.0.1", int(gateway.urls[0].rpartition(":")[2]), timeout=5.0
            )
            client.patience = listener.pump.patience = 25.0
            head = b"Content-Length: %d\r\n\r\n" % (count if way == "up" else 0)
            client.send(b"PUT / HTTP/1.1\r\nHost: a\r\n" + head)
            tracemalloc.start()
            try:
                if way == "up":
                    client.pour(count)
                    await listener.pump.counted(count)
                else:
                    await listener.pump.counted(1)
                    listener.pump.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % count)
                    listener.pump.pour(count)
                    await client.counted(count)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 4 * MEBIBYTE
            for pump in (client, listener.pump):
                pump.abort()
                await pump.wait_lost()
        listener.listener.close()

    play_on_sockets(scene)
