"""The forward proxy as a whole: many origins, its start and end, TLS on either side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme

import perdure
from perdure.core import Reason
from perdure.wire.errors import AddressInUse
from perdure.wire.memory import MemoryNetwork
from perdure.wire.network import LoopNetwork, run
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import client_context, server_context
from tests.intermediary.conftest import OK, Play, ProxyStage, answer, status, until, value
from tests.intermediary.test_gateway import serve


def names(stage: ProxyStage, count: int) -> list[bytes]:
    """So many names of the origin, in memory."""
    assert isinstance(stage.network, MemoryNetwork)
    hosts = [f"o{number}.test" for number in range(count)]
    stage.network.names.update({host: [("127.0.0.1", stage.origin.port)] for host in hosts})
    return [f"{host}:{stage.origin.port}".encode() for host in hosts]


@pytest.mark.row("S7", "S8", "R108")
def test_many_origins_share_the_places_of_one_pool(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        origin = asyncio.create_task(serve(stage.origin))
        client = await stage.client()
        for authority in names(stage, 20):
            client.send(b"GET http://" + authority + b"/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await answer(client))[1] == b"ok"
        statistics = stage.proxy.statistics().origins
        assert (statistics.dialled, statistics.connections, statistics.idle) == (20, 4, 4)
        assert statistics.closes == {Reason.PRESSURE: 16}
        origin.cancel()
        await asyncio.gather(origin, return_exceptions=True)

    play_proxy_virtually(scene, origin_max_total=4)


@pytest.mark.row("S7")
def test_an_origin_has_its_cap_and_others_have_theirs(play_proxy_virtually: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        first, second = names(stage, 2)
        clients = [await stage.client() for _ in range(3)]
        for client, authority in zip(clients, [first, first, second], strict=True):
            client.send(b"GET http://" + authority + b"/ HTTP/1.1\r\nHost: a\r\n\r\n")
        inner = [await stage.origin.accept(), await stage.origin.accept()]
        heads = [await peer.receive_until(b"\r\n\r\n") for peer in inner]
        assert {value(head, b"host") for head in heads} == {first, second}
        for peer in inner:
            peer.send(OK)
        waited = next(peer for peer, head in zip(inner, heads, strict=True) if value(head, b"host") == first)
        await waited.receive_until(b"\r\n\r\n")
        waited.send(OK)
        for client in clients:
            assert (await answer(client))[1] == b"ok"

    play_proxy_virtually(scene, origin_max_per_origin=1)


@pytest.mark.row("R154")
def test_the_end_waits_for_what_is_under_way_and_cuts_tunnels_off(play_proxy: Play) -> None:
    async def scene(stage: ProxyStage) -> None:
        client, inner, _ = await stage.asked(stage.get())
        tunnelled = await stage.client()
        tunnelled.send(b"CONNECT %b HTTP/1.1\r\nHost: a\r\n\r\n" % stage.authority)
        assert status(await tunnelled.receive_until(b"\r\n\r\n")) == 200
        closing = asyncio.create_task(stage.proxy.close())
        await until(lambda: stage.proxy.registry.draining)
        inner.send(OK)
        head, content = await answer(client)
        assert (content, value(head, b"connection")) == (b"ok", b"close")
        client.close()
        await closing
        assert await tunnelled.receive_all() == b""
        assert stage.proxy.statistics().closes.get(Reason.DRAIN_TIMEOUT) == 1

    play_proxy(scene, drain_timeout=0.3, linger_idle=0.1)


def test_an_address_in_use_is_told_and_nothing_is_left_open() -> None:
    async def scene() -> None:
        listener = await RawListener.listen(LoopNetwork(), "127.0.0.1:0")
        with pytest.raises(AddressInUse):
            await perdure.Proxy(f"127.0.0.1:{listener.port}").start()
        listener.close()

    run(scene())


@pytest.mark.row("R152")
def test_https_is_forwarded_for_clients_that_speak_tls_with_the_proxy(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, trusted = tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(trusted)

    async def scene() -> None:
        network = LoopNetwork()
        origin = await RawListener.listen(network, tls=server_context(str(certificate)))
        proxy = perdure.Proxy(
            "127.0.0.1:0", tls_cert=str(certificate), allow=["127.0.0.1"], origin_ca_file=str(trusted)
        )
        async with proxy:
            port = int(proxy.urls[0].rpartition(":")[2])
            tls = client_context(ca_file=str(trusted))
            client = await RawPeer.dial(network, "127.0.0.1", port, tls=tls)
            client.send(b"GET https://127.0.0.1:%d/x HTTP/1.1\r\nHost: a\r\n\r\n" % origin.port)
            inner = await origin.accept()
            assert (await inner.receive_until(b"\r\n\r\n")).startswith(b"GET /x HTTP/1.1\r\n")
            inner.send(OK)
            assert (await answer(client))[1] == b"ok"
            client.abort()
            inner.abort()
            await client.wait_lost()
            await inner.wait_lost()
        origin.close()

    run(asyncio.wait_for(scene(), 30.0))
