"""RawPeer: a test that fails says what it expected and what it got."""

from __future__ import annotations

import pytest

from perdure.wire.errors import ReadTimeout
from perdure.wire.network import Network
from perdure.wire.raw import RawListener, RawPeer
from tests.wire.conftest import Play


def test_octets_are_taken_in_order(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        client = await RawPeer.dial(network, listener.host, listener.port)
        server = await listener.accept()
        listener.close()
        assert listener.peers == [server]
        client.send(b"head\r\n\r\nbody and more")
        assert await server.receive_until(b"\r\n\r\n") == b"head\r\n\r\n"
        assert await server.receive_exactly(4) == b"body"
        client.close()
        assert not await server.at_eof(), "octets are left"
        assert await server.receive_all() == b" and more"
        assert await server.at_eof()
        server.close()
        await server.wait_lost()

    play(scene)


def test_an_early_end_and_a_late_octet_are_told(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        client = await RawPeer.dial(network, listener.host, listener.port)
        server = await listener.accept()
        listener.close()
        client.send(b"abc")
        server.patience = 0.05
        with pytest.raises(ReadTimeout, match=r"expected 5 octets within 0\.05 s, got b'abc'"):
            await server.receive_exactly(5)
        server.patience = 10.0
        client.close()
        with pytest.raises(EOFError, match="expected 5 octets, got the end after b'abc'"):
            await server.receive_exactly(5)
        server.close()
        await server.wait_lost()

    play(scene)
