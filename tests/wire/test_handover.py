"""One connection, two wires: what the first leaves, the second gets; TLS may begin in between."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme

from perdure.wire.errors import ConnectFailed, TlsFailed
from perdure.wire.handover import hand_over, hand_over_in_tls
from perdure.wire.network import LoopNetwork, run
from perdure.wire.raw import RawListener, RawPeer
from perdure.wire.tls import TlsContext, client_context, server_context
from perdure.wire.tunnel import divert

Scene = Callable[[RawPeer, RawPeer], Coroutine[Any, Any, None]]
PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsContext, TlsContext]:
    """Of a client and of a server that is called origin.test."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert("origin.test").private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    return client_context(ca_file=str(folder / "authority.pem")), server_context(str(folder / "own.pem"))


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def perform(request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    """Give a scene both ends of a connection over a socket."""

    async def connected(scene: Scene) -> None:
        network = LoopNetwork()
        listener = await RawListener.listen(network, "127.0.0.1:0")
        first = await RawPeer.dial(network, listener.host, listener.port)
        other = await listener.accept()
        try:
            await scene(first, other)
        finally:
            first.abort()
            other.abort()
            listener.close()

    def performed(scene: Scene) -> None:
        run(asyncio.wait_for(connected(scene), PATIENCE_SECONDS), prefer_uvloop=request.param)

    return performed


def test_the_second_wire_has_the_connection_and_the_first_nothing(perform: Callable[[Scene], None]) -> None:
    async def scene(first: RawPeer, other: RawPeer) -> None:
        other.send(b"for the first")
        await first.receive_exactly(13)
        first.pause_reading()
        second = hand_over(first, RawPeer)
        other.send(b"for the second")
        assert await second.receive_exactly(14) == b"for the second"
        first.abort()  # without effect
        second.send(b"ok")
        assert await other.receive_exactly(2) == b"ok"
        assert bytes(first.received) == b"for the first"
        assert second.peer_address == other.own_address
        second.abort()

    perform(scene)


async def in_tls(wire: RawPeer, tls: TlsContext, name: str = "origin.test", seconds: float = 10.0) -> RawPeer:
    return await hand_over_in_tls(wire, RawPeer, tls, name, seconds, "origin.test:443")


def test_octets_that_come_with_the_handshake_are_for_the_second_wire(
    perform: Callable[[Scene], None], contexts: tuple[TlsContext, TlsContext]
) -> None:
    async def scene(first: RawPeer, other: RawPeer) -> None:
        loop = asyncio.get_running_loop()
        asking = loop.create_task(in_tls(first, contexts[0]))
        speaking = RawPeer()
        secured = await loop.start_tls(other.transport, speaking, contexts[1], server_side=True)
        assert secured is not None
        secured.write(b"early")
        second = await asking
        assert second.tls
        assert await second.receive_exactly(5) == b"early"
        second.abort()
        secured.abort()

    perform(scene)


class ServingTls:
    """A server's TLS over a raw peer, as far as its handshake."""

    def __init__(self, peer: RawPeer, context: TlsContext) -> None:
        self._peer = peer
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._arrived, self._leaving, server_side=True)

    def tunnel_received(self, octets: bytes) -> None:
        self._arrived.write(octets)
        with contextlib.suppress(ssl.SSLError):
            self._object.do_handshake()
        self._peer.write(self._leaving.read())

    def tunnel_ended(self) -> None:
        self._peer.close()


@pytest.mark.parametrize(
    ("octets", "ends"), [(b"HTTP/1.1 400 Bad Request\r\n\r\n", False), (b"", True), (b"\x16\x03\x01", True)]
)
def test_whoever_speaks_no_tls_is_an_error(
    perform: Callable[[Scene], None], contexts: tuple[TlsContext, TlsContext], octets: bytes, ends: bool
) -> None:
    async def scene(first: RawPeer, other: RawPeer) -> None:
        asking = asyncio.get_running_loop().create_task(in_tls(first, contexts[0]))
        await other.receive_exactly(1)
        other.send(octets)
        if ends:
            other.close()
        with pytest.raises(ConnectFailed, match=r"origin\.test:443"):
            await asking

    perform(scene)


def test_another_name_is_refused(
    perform: Callable[[Scene], None], contexts: tuple[TlsContext, TlsContext]
) -> None:
    async def scene(first: RawPeer, other: RawPeer) -> None:
        serving = ServingTls(other, contexts[1])
        divert(other, serving)
        with pytest.raises(TlsFailed, match="certificate refused"):
            await in_tls(first, contexts[0], "other.test")

    perform(scene)


def test_a_cancelled_handshake_closes_the_connection(
    perform: Callable[[Scene], None], contexts: tuple[TlsContext, TlsContext]
) -> None:
    async def scene(first: RawPeer, other: RawPeer) -> None:
        asking = asyncio.get_running_loop().create_task(in_tls(first, contexts[0]))
        await other.receive_exactly(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await other.receive_all()

    perform(scene)


def test_the_second_wire_knows_that_writing_is_paused_and_that_the_other_side_has_ended(
    perform: Callable[[Scene], None],
) -> None:
    async def scene(first: RawPeer, other: RawPeer) -> None:
        other.pause_reading()
        first.write(bytes(16 << 20))
        other.half_close()
        with contextlib.suppress(EOFError):
            await first.receive_exactly(1)
        second = hand_over(first, RawPeer)
        assert (second.writing_paused, second.end_received_already) == (True, True)
        other.resume_reading()
        await other.receive_exactly(16 << 20)
        async with asyncio.timeout(10):
            while second.writing_paused:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)
        second.abort()

    perform(scene)
