"""WebSockets through `perdure gateway`: clients, origins, parents and children that we did not write."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from perdure.wire.tls import client_context
from tests import peers
from tests.real_programs import ours
from tests.real_programs.browser import result_of

pytestmark = [pytest.mark.peer, pytest.mark.slow]

APPLICATION = "tests.real_programs.websocket_application:application"
PASSES_UPGRADE = (
    "location / {{ proxy_pass {url}; proxy_http_version 1.1; proxy_set_header Host $http_host; "
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }}'
)
"""What nginx's users write for WebSockets."""
MEBIBYTE = 1 << 20

Hop = Callable[[peers.Peer], AbstractContextManager[peers.Peer]]


def uvicorn() -> AbstractContextManager[peers.Peer]:
    return peers.uvicorn(APPLICATION)


def perdure_serve() -> AbstractContextManager[peers.Peer]:
    return ours.serve(APPLICATION)


def gateway(origin: peers.Peer) -> AbstractContextManager[peers.Peer]:
    return ours.gateway(origin.url)


def nginx(origin: peers.Peer) -> AbstractContextManager[peers.Peer]:
    return peers.nginx(server=PASSES_UPGRADE.format(url=origin.url))


def haproxy(origin: peers.Peer) -> AbstractContextManager[peers.Peer]:
    return peers.haproxy(origin.port, "timeout tunnel 60s")


@contextmanager
def chain(origin: AbstractContextManager[peers.Peer], *hops: Hop) -> Iterator[str]:
    """The WebSocket URL of an origin behind these hops, the nearest to the origin first."""
    with ExitStack() as stack:
        peer = stack.enter_context(origin)
        for hop in hops:
            peer = stack.enter_context(hop(peer))
        yield peer.url.replace("http", "ws", 1)


async def converse(url: str) -> None:
    """Everything that a WebSocket does, and its end by each side."""
    async with connect(f"{url}/echo", subprotocols=["chat"], max_size=None) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "chat"
        assert any("permessage-deflate" in str(one.name) for one in socket.protocol.extensions)
        for number in range(100):
            await socket.send(f"message {number}")
            assert await socket.recv() == f"message {number}"
        await swap(socket, os.urandom(MEBIBYTE))
        await socket.send(["in ", "three ", "parts"])
        assert await socket.recv() == "in three parts"
        await asyncio.wait_for(await socket.ping(), 10)
        await asyncio.gather(*[swap_many(socket, 200)])
    assert socket.close_code == 1000
    async with connect(f"{url}/echo") as socket:
        await socket.send("end")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4321, "enough")


async def swap(socket: ClientConnection, octets: bytes) -> None:
    await socket.send(octets)
    assert await socket.recv() == octets


async def swap_many(socket: ClientConnection, count: int) -> None:
    """Send without waiting for what comes back, which has to come in order."""

    async def say() -> None:
        for number in range(count):
            await socket.send(b"%d" % number * 1000)

    saying = asyncio.create_task(say())
    for number in range(count):
        assert await socket.recv() == b"%d" % number * 1000
    await saying


async def refused(url: str) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{url}/refused"):
            pass
    return caught.value.response.status_code


@pytest.mark.row("R145", "S11")
@pytest.mark.parametrize("origin", [uvicorn, perdure_serve])
@pytest.mark.parametrize(
    "hops",
    [
        [gateway],
        [gateway, gateway],
        [nginx, gateway],
        [gateway, nginx],
        [haproxy, gateway],
        [gateway, haproxy],
    ],
    ids=["gateway", "gateway-gateway", "before-nginx", "behind-nginx", "before-haproxy", "behind-haproxy"],
)
def test_websockets_cross_with_all_they_do(
    origin: Callable[[], AbstractContextManager[peers.Peer]], hops: list[Hop]
) -> None:
    with chain(origin(), *hops) as url:
        asyncio.run(asyncio.wait_for(converse(url), 60))
        assert asyncio.run(refused(url)) == 403


@pytest.mark.row("R145", "R128")
def test_a_websocket_in_tls_crosses(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, trusted = tmp_path / "certificate.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(trusted)

    async def scene(url: str) -> None:
        context = client_context(ca_file=str(trusted))
        async with connect(f"{url}/echo", ssl=context, max_size=None) as socket:
            await swap(socket, os.urandom(MEBIBYTE))
            await socket.send("end")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4321

    with (
        uvicorn() as origin,
        ours.gateway(origin.url, flags=("--tls-cert", str(certificate))) as gateway,
    ):
        asyncio.run(asyncio.wait_for(scene(f"wss://127.0.0.1:{gateway.port}"), 30))


@pytest.mark.row("R146")
def test_gateway_that_allows_no_protocol_lets_the_origin_answer_without() -> None:
    with (
        perdure_serve() as origin,
        ours.gateway(origin.url, flags=("--upgrade", "none")) as gateway,
    ):
        assert asyncio.run(refused(f"ws://127.0.0.1:{gateway.port}")) == 404  # there is only a WebSocket


@pytest.mark.row("R145")
def test_chromium_talks_through_the_gateway() -> None:
    with ours.serve(APPLICATION) as server, ours.gateway(server.url) as gateway:
        assert result_of(f"{gateway.url}/") == "chat permessage-deflate 6000 4321 enough true"
