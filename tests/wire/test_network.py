"""LoopNetwork: listening, unix sockets, happy eyeballs, the event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
import uvloop

from perdure.wire.bind import bind_sockets, release_sockets
from perdure.wire.errors import AddressInUse, BindFailed, ConnectFailed, ConnectTimeout, NameNotFound
from perdure.wire.network import LoopNetwork, Network, new_event_loop, run
from perdure.wire.raw import RawListener, RawPeer
from tests.wire.conftest import Play


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


def test_a_unix_socket_left_behind_is_replaced_and_a_live_one_is_not(
    play_on_sockets: Play, tmp_path: Path
) -> None:
    async def scene(network: Network) -> None:
        path = str(tmp_path / "stale.sock")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        listener = await RawListener.listen(network, f"unix:{path}")
        with pytest.raises(AddressInUse, match="another server listens there"):
            await RawListener.listen(network, f"unix:{path}")
        listener.close()

    play_on_sockets(scene)


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("keep me")
    with pytest.raises(BindFailed):
        bind_sockets(f"unix:{path}")
    assert path.read_text() == "keep me"


def test_a_bind_that_fails_says_why() -> None:
    with pytest.raises(BindFailed, match=r"^cannot listen on nowhere\.invalid:0: the name has no address$"):
        bind_sockets("nowhere.invalid:0")


def test_a_name_without_address_is_told_apart(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        with pytest.raises(NameNotFound, match=r"^nowhere\.invalid:80: the name has no address"):
            await RawPeer.dial(network, "nowhere.invalid", 80)

    play_on_sockets(scene)


def fill(full: socket.socket) -> list[socket.socket]:
    """Fill the queue of a listener, so that it answers no further SYN."""
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    return fillers


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


@pytest.mark.parametrize("first", ["refusing", "silent"])
def test_a_name_is_tried_on_all_its_addresses(
    play_on_sockets: Play, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    async def scene(network: Network) -> None:
        listener = await RawListener.listen(network)
        port = listener.port
        stream = (socket.SOCK_STREAM, 6, "")
        found: list[tuple[object, ...]] = [
            (socket.AF_INET, *stream, (host, port)) for host in ("127.0.0.2", "127.0.0.1")
        ]

        async def resolve(self: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            if host == "origin.test":
                return found
            return [(socket.AF_INET, *stream, (host, port))]  # uvloop asks for literals too

        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", resolve, raising=False)
        fillers: list[socket.socket] = []
        with socket.socket() as full:
            if first == "silent":
                full.bind(("127.0.0.2", port))
                fillers = fill(full)
            began = network.now()
            client = await network.dial(RawPeer, "origin.test", port, timeout=5.0, happy_eyeballs=0.05)
            assert network.now() - began < 0.9, "the kernel repeats a SYN after one second"
        assert client.peer_address == ("127.0.0.1", port)
        client.abort()
        for filler in fillers:
            filler.close()
        listener.close()
        await (await listener.accept()).wait_lost()

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
