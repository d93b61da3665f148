"""PROXY protocol headers: required of listed senders, unknown to everybody else."""

from __future__ import annotations

import asyncio

import pytest

from perdure.core import Error
from perdure.core.proxy_protocol import SIGNATURE
from perdure.server.asgi import Receive, Scope, Send
from perdure.server.proxied import Senders
from perdure.wire.network import Network
from tests import peers
from tests.real_programs import ours
from tests.server.stand import GET, answer_from, plain, serving
from tests.wire.conftest import Play

LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
BLOCK = SIGNATURE + b"\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the client's address."""
    if scope["type"] != "http":
        raise NotImplementedError
    host, port = scope["client"]
    for message in plain(f"{host} {port}".encode()):
        await send(message)


@pytest.mark.parametrize("header", [LINE, BLOCK], ids=["version 1", "version 2"])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_listed_sender_tells_the_client_of_all_requests(play: Play, header: bytes, parts: int) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, who, proxy_protocol=("127.0.0.0/8", "10.0.0.0/8")) as stand:
            peer = await stand.dial()
            octets = header + GET
            step = -(-len(octets) // parts)
            for start in range(0, len(octets), step):
                peer.send(octets[start : start + step])
            assert (await answer_from(peer)).content == b"192.0.2.7 56324"
            peer.send(GET)
            assert (await answer_from(peer)).content == b"192.0.2.7 56324"

    play(scene)


def test_a_sender_that_is_not_listed_is_the_client_itself(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, who, proxy_protocol=("192.0.2.0/24",)) as stand:
            _, answer = await stand.ask()
            assert answer.content.startswith(b"127.0.0.1 ")
            peer = await stand.dial()
            peer.send(LINE + GET)
            assert (await answer_from(peer)).status == 400

    play(scene)


@pytest.mark.slow
@pytest.mark.parametrize("octets", [GET, b"PROXY nonsense\r\n"])
def test_a_listed_sender_without_a_header_gets_no_answer(play: Play, octets: bytes) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, who, proxy_protocol=("127.0.0.1",)) as stand:
            peer = await stand.dial()
            peer.send(octets)
            await peer.wait_lost()
            assert peer.received == b""

    play(scene)


@pytest.mark.slow
def test_a_header_may_take_only_so_long(play_in_time: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, who, proxy_protocol=("127.0.0.1",), head_timeout=3) as stand:
            peer = await stand.dial()
            peer.send(LINE[:10])
            await peer.wait_lost()

    play_in_time(scene)


def test_a_drain_waits_for_the_header_of_who_has_connected(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, who, proxy_protocol=("127.0.0.1",)) as stand:
            peer = await stand.dial()
            drained = asyncio.ensure_future(stand.server.drain())
            await stand.until(lambda: stand.server.registry.draining)
            peer.send(LINE + GET)
            answer = await answer_from(peer)
            assert (answer.content, answer.options) == (b"192.0.2.7 56324", {b"close"})
            peer.close()
            await drained

    play(scene)


def test_unix_sockets_are_listed_by_a_word() -> None:
    assert Senders(("unix",)).include("/run/a.sock")
    assert not Senders(("127.0.0.1",)).include("/run/a.sock")
    assert Senders(("::1",)).include(("::1", 5))


def test_what_is_no_network_is_named() -> None:
    with pytest.raises(Error, match="an address, a network or unix expected, got 'localhost'"):
        Senders(("localhost",))


@pytest.mark.slow
@pytest.mark.peer
def test_haproxy_tells_who_the_client_is() -> None:
    with ours.serve("tests.server.test_proxied:who", "--proxy-protocol", "127.0.0.1") as origin:
        backend = f"server sender {peers.LOOPBACK}:{origin.port} send-proxy-v2"
        with peers.haproxy(origin.port, backend=f"{backend}\n    use-server sender if TRUE") as gateway:
            done = ours.run("curl", "-sS", "--local-port", "41000-41999", f"{gateway.url}/")
    host, _, port = done.stdout.partition(" ")
    assert (done.stderr, host) == ("", "127.0.0.1")
    assert 41000 <= int(port) <= 41999
