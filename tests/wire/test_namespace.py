"""Network namespaces: sockets that live where they were made, and nothing that stays behind."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from perdure.wire.errors import ConnectFailed
from perdure.wire.namespace import Namespace, NamespaceNetwork, NamespacesUnavailable
from perdure.wire.network import LoopNetwork
from perdure.wire.raw import RawListener, RawPeer


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    try:
        made = Namespace.create("test")
    except NamespacesUnavailable as error:
        pytest.skip(str(error))
    yield made
    made.close()


def own() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def test_thread_is_back_where_it_was_after_an_entry_that_failed(namespace: Namespace) -> None:
    before = own()
    inside = ""

    def fail() -> None:
        nonlocal inside
        with namespace.entered():
            inside = own()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside != before == own()


def test_programs_started_inside_see_its_interfaces_alone(namespace: Namespace) -> None:
    namespace.run("ip", "link", "add", "name", "v0", "type", "veth", "peer", "name", "v1")
    assert "v0" in namespace.run("ip", "link")
    assert "v0" not in [name for _, name in socket.if_nameindex()]


def test_program_that_fails_is_an_error_with_its_own_words(namespace: Namespace) -> None:
    with pytest.raises(NamespacesUnavailable, match=r"ip link show dev v7 in test: .*v7"):
        namespace.run("ip", "link", "show", "dev", "v7")
    with pytest.raises(NamespacesUnavailable, match=r"no-such-program-here: no such program"):
        namespace.run("no-such-program-here")


def test_kernels_parameters_are_those_of_the_namespace(namespace: Namespace) -> None:
    other = Namespace.create("other")
    namespace.set_kernel("net.ipv4.tcp_no_metrics_save", 1)
    assert namespace.kernel("net.ipv4.tcp_no_metrics_save") == "1"
    assert other.kernel("net.ipv4.tcp_no_metrics_save") == "0"
    other.close()
    with pytest.raises(NamespacesUnavailable, match=r"net\.ipv4\.no_such = 1 in test"):
        namespace.set_kernel("net.ipv4.no_such", 1)
    with pytest.raises(NamespacesUnavailable, match=r"net\.ipv4\.no_such in test"):
        namespace.kernel("net.ipv4.no_such")


def test_listener_inside_is_reached_from_inside_alone(namespace: Namespace) -> None:
    namespace.run("ip", "link", "set", "dev", "lo", "up")

    async def scene() -> None:
        network = NamespaceNetwork(namespace)
        listener = await RawListener.listen(network, "127.0.0.1:0")
        client = await RawPeer.dial(network, "127.0.0.1", listener.port)
        server = await listener.accept()
        client.send(b"ping")
        assert await server.receive_exactly(4) == b"ping"
        with pytest.raises(ConnectFailed):
            await RawPeer.dial(LoopNetwork(), "127.0.0.1", listener.port)
        with pytest.raises(ConnectFailed, match="only literal addresses"):
            await RawPeer.dial(network, "localhost", listener.port)
        client.abort()
        listener.close()
        await asyncio.sleep(0)

    asyncio.run(scene())


def test_where_there_is_no_way_is_a_failure_at_once(namespace: Namespace) -> None:
    async def scene() -> None:
        with pytest.raises(ConnectFailed, match="unreachable"):
            await RawPeer.dial(NamespaceNetwork(namespace), "192.0.2.1", 80)

    asyncio.run(scene())


def test_closing_twice_is_harmless() -> None:
    namespace = Namespace("nobody's", -1)
    namespace.close()
    namespace.close()


def test_elsewhere_than_on_linux_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "plan9")
    with pytest.raises(NamespacesUnavailable, match="plan9"):
        Namespace.create("test")
