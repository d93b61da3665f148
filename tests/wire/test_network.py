"""LoopNetwork: listening, dialling, unix sockets, the event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
import uvloop

from perdure.wire.address import Target, numeric_target
from perdure.wire.bind import bind_sockets, release_sockets
from perdure.wire.errors import AddressInUse, AddressProhibited, ConnectFailed, ConnectTimeout, NameNotFound
from perdure.wire.network import LoopNetwork, Network, new_event_loop, run
from perdure.wire.raw import RawListener, RawPeer
from tests.wire.conftest import Play
from tests.wire.recorder import fill


def exists(path: str) -> bool:
    return os.path.exists(path)


async def answers(network: Network, host: str, port: int, listener: RawListener) -> None:
    """Show that a connection comes about and carries octets."""
    client = await RawPeer.dial(network, host, port)
    server = await listener.accept()
    client.send(b"?")
    assert await server.receive_exactly(1) == b"?"
    client.abort()
    await server.wait_lost()


def test_port_zero_is_any_free_one_and_the_listener_says_which(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, "127.0.0.1:0")
        assert listener.port > 0
        assert listener.listener.urls("http") == [f"http://127.0.0.1:{listener.port}"]
        await answers(network, "127.0.0.1", listener.port, listener)
        listener.close()

    play(scene)


def test_an_address_in_use_is_told_apart(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, "127.0.0.1:0")
        bind = f"127.0.0.1:{listener.port}"
        with pytest.raises(AddressInUse, match=f"^cannot listen on {bind}: the address is in use$") as caught:
            await RawListener.listen(network, bind)
        assert caught.value.bind == bind
        listener.close()

    play(scene)


def test_a_closed_listener_frees_its_address_while_connections_live_on(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        client = await RawPeer.dial(network, listener.host, listener.port)
        server = await listener.accept()
        listener.close()
        listener.close()
        await listener.listener.wait_closed()
        with pytest.raises(ConnectFailed):
            await RawPeer.dial(network, listener.host, listener.port)
        again = await RawListener.listen(network, f"127.0.0.1:{listener.port}")
        again.close()
        client.send(b"alive")
        assert await server.receive_exactly(5) == b"alive"
        client.abort()
        await server.wait_lost()

    play(scene)


def test_localhost_listens_on_both_families_with_one_port(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, "localhost:0")
        ports = {address[1] for address in listener.listener.addresses if isinstance(address, tuple)}
        assert len(ports) == 1
        await answers(network, "localhost", ports.pop(), listener)
        listener.close()

    play_on_sockets(scene)


def test_ports_may_be_shared_where_asked_for(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        factory = RawPeer
        first = await network.listen(factory, "127.0.0.1:0", reuse_port=True)
        address = first.addresses[0]
        assert isinstance(address, tuple)
        second = await network.listen(factory, f"127.0.0.1:{address[1]}", reuse_port=True)
        first.close()
        second.close()

    play_on_sockets(scene)


def test_inherited_sockets_are_listened_on_and_left_alone(play_on_sockets: Play, tmp_path: Path) -> None:
    async def scene(network: Network) -> None:
        path = str(tmp_path / "inherited.sock")
        bound = bind_sockets(f"unix:{path}")
        copies = [one.dup() for one in bound]
        server = RawPeer()
        listener = await network.listen_on(lambda: server, copies)
        client = await network.dial_unix(RawPeer, path, timeout=5.0)
        client.send(b"hello")
        client.close()
        assert await server.receive_all() == b"hello"
        server.close()
        await server.wait_lost()
        listener.close()
        await listener.wait_closed()
        assert exists(path), "the file is the parent's"
        release_sockets(bound)
        assert not exists(path)

    play_on_sockets(scene)


def test_a_unix_socket_is_listened_on_and_its_file_removed(play: Play, tmp_path: Path) -> None:
    async def scene(network: Network) -> None:
        path = str(tmp_path / "a.sock")
        listener = await RawListener.listen(network, f"unix:{path}")
        assert listener.listener.urls("http") == [f"http+unix:{path}"]
        client = await network.dial_unix(RawPeer, path, timeout=5.0)
        server = await listener.accept()
        assert client.peer_text == f"unix:{path}"
        client.send(b"hello")
        assert await server.receive_exactly(5) == b"hello"
        client.close()
        assert await server.at_eof()
        server.close()
        await server.wait_lost()
        listener.close()
        assert not exists(path)
        with pytest.raises(ConnectFailed):
            await network.dial_unix(RawPeer, path, timeout=5.0)

    play(scene)


def test_a_name_without_address_is_told_apart(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        with pytest.raises(NameNotFound, match=r"^nowhere\.invalid:80: the name has no address"):
            await RawPeer.dial(network, "nowhere.invalid", 80)

    play_on_sockets(scene)


def test_connecting_ends_at_its_timeout(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            fillers = fill(full)
            with pytest.raises(ConnectTimeout, match=r"no connection within 0\.1 s$"):
                await network.dial(RawPeer, *full.getsockname(), timeout=0.1)
            for filler in fillers:
                filler.close()

    play_on_sockets(scene)


def test_uvloop_is_used_where_wanted() -> None:
    async def loop_kind() -> type:
        return type(asyncio.get_running_loop())

    assert run(loop_kind()) is uvloop.Loop
    assert run(loop_kind(), prefer_uvloop=False) is not uvloop.Loop
    loop = new_event_loop()
    assert isinstance(loop, uvloop.Loop)
    loop.close()


def test_a_real_network_tells_the_loops_time() -> None:
    async def scene() -> None:
        assert LoopNetwork().now() == pytest.approx(asyncio.get_running_loop().time(), abs=1.0)

    run(scene())


def test_a_guarded_network_dials_what_is_permitted_and_nothing_else(play: Play) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, "127.0.0.1:0")
        judged: list[tuple[str, str]] = []

        def permits(host: str, address: str) -> bool:
            judged.append((host, address))
            return host == "127.0.0.1"

        guarded = network.guarded(permits)
        await answers(guarded, "127.0.0.1", listener.port, listener)
        with pytest.raises(AddressProhibited, match=r"^127\.0\.0\.2:9: dialling it is prohibited$"):
            await RawPeer.dial(guarded, "127.0.0.2", 9)
        assert judged == [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")]
        await answers(network, "127.0.0.1", listener.port, listener)  # which is not guarded itself
        listener.close()

    play(scene)


def test_a_name_is_judged_by_the_addresses_that_are_dialled(
    play_on_sockets: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network, "127.0.0.1:0")

        async def look_up(host: str, port: int) -> list[Target]:
            return [numeric_target(socket.AF_INET, address, port) for address in ("127.0.0.9", "127.0.0.1")]

        monkeypatch.setattr("perdure.wire.network.look_up_on_loop", look_up)
        guarded = network.guarded(lambda host, address: address == "127.0.0.1")
        client = await RawPeer.dial(guarded, "rebound.test", listener.port)
        assert client.peer_address == ("127.0.0.1", listener.port)
        client.abort()
        await client.wait_lost()
        guarded = network.guarded(lambda host, address: False)
        expected = (
            rf"^127\.0\.0\.9:{listener.port}, which rebound\.test:{listener.port} resolves to: dialling"
        )
        with pytest.raises(AddressProhibited, match=expected):
            await RawPeer.dial(guarded, "rebound.test", listener.port)
        listener.close()

    play_on_sockets(scene)
