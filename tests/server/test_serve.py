"""A server in a program: addresses, TLS, streaming both ways, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from perdure.core import Reason
from perdure.server.asgi import Application, AsgiConnection, Receive, Scope, Send
from perdure.server.exchange import AsgiExchange
from perdure.server.serve import ListeningServer, Server
from perdure.server.settings import ServerSettings
from perdure.wire.errors import AddressInUse
from perdure.wire.network import LoopNetwork, Network
from perdure.wire.raw import RawPeer
from tests.server.stand import GET, answer_from, hello, let_pass, plain, saying, serving
from tests.wire.conftest import Play

MEBIBYTE = 1 << 20


class Secured:
    """A certificate for localhost."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        self.cert = str(folder / "cert.pem")
        self.key = str(folder / "key.pem")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self.cert, append=True)
        certificate.private_key_pem.write_to_path(self.key)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """One certificate for all tests here."""
    return Secured(tmp_path_factory.mktemp("tls"))


async def dial_secured(server: Server, secured: Secured) -> RawPeer:
    """Connect and shake hands."""
    port = int(server.urls[0].rpartition(":")[2])
    return await LoopNetwork().dial(
        RawPeer, "127.0.0.1", port, timeout=10.0, tls=secured.client, server_hostname="localhost"
    )


@pytest.mark.row("R128", "R127")
def test_requests_over_tls_share_one_handshake_and_it_ends_with_close_notify(
    play_on_sockets: Play, secured: Secured
) -> None:
    async def scene(network: Network) -> None:
        scopes: list[Scope] = []

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scopes.append(scope)
            await hello(scope, receive, send)

        server = Server(
            application,
            "127.0.0.1:0",
            tls_cert=secured.cert,
            tls_key=secured.key,
            idle_timeout=0.2,
            idle_buffer=0.0,
            linger_idle=3600.0,
        )
        async with server:
            assert server.urls[0].startswith("https://127.0.0.1:")
            peer = await dial_secured(server, secured)
            for _ in range(3):
                peer.send(GET)
                assert (await answer_from(peer)).status == 200
            assert scopes[0]["scheme"] == "https"
            assert await peer.at_eof(), "the end of TLS is told, not only that of TCP"
            assert not peer.truncated
            while server.registry.connections:  # not even its own close_notify is awaited
                await let_pass(0.001)
            peer.close()
            await peer.wait_lost()
            assert server.registry.opened == 1

    play_on_sockets(scene)


@pytest.mark.slow
@pytest.mark.row("R130")
def test_a_client_that_ends_tls_badly_is_no_error_of_ours(
    play_on_sockets: Play, secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(network: Network) -> None:
        async with Server(hello, "127.0.0.1:0", tls_cert=secured.cert, tls_key=secured.key) as server:
            peer = await dial_secured(server, secured)
            peer.send(GET)
            await answer_from(peer)
            peer.abort()
            await peer.wait_lost()
            while server.registry.connections:
                await let_pass(0.001)
            assert server.registry.closes.total() == 1

    play_on_sockets(scene)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@pytest.mark.slow
@pytest.mark.row("R115", "S16")
def test_who_has_connected_before_a_drain_and_not_yet_shaken_hands_is_served(
    play_on_sockets: Play, secured: Secured
) -> None:
    def ask(connected: socket.socket) -> bytes:
        with secured.client.wrap_socket(connected, server_hostname="localhost") as client:
            client.sendall(GET)
            return client.recv(65536)

    async def scene(network: Network) -> None:
        server = Server(hello, "127.0.0.1:0", tls_cert=secured.cert, tls_key=secured.key)
        await server.start()
        address = ("127.0.0.1", int(server.urls[0].rpartition(":")[2]))
        connected = socket.create_connection(address, 10.0)
        drained = asyncio.ensure_future(server.drain())
        while not server.registry.draining:
            await let_pass(0.001)
        assert b"\r\nConnection: close\r\n" in await asyncio.to_thread(ask, connected)
        await drained
        await server.close()

    play_on_sockets(scene)


@pytest.mark.slow
def test_a_handshake_that_failed_does_not_hold_up_a_drain(play_on_sockets: Play, secured: Secured) -> None:
    async def scene(network: Network) -> None:
        server = Server(hello, "127.0.0.1:0", tls_cert=secured.cert, tls_key=secured.key, drain_grace=3600.0)
        await server.start()
        peer = await RawPeer.dial(network, "127.0.0.1", int(server.urls[0].rpartition(":")[2]))
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        await peer.receive_all()
        peer.close()
        await server.close()

    play_on_sockets(scene)


@pytest.mark.slow
@pytest.mark.row("R152")
def test_a_secured_resource_is_served_over_tls(play_on_sockets: Play, secured: Secured) -> None:
    async def scene(network: Network) -> None:
        async with Server(hello, "127.0.0.1:0", tls_cert=secured.cert, tls_key=secured.key) as server:
            peer = await dial_secured(server, secured)
            peer.send(b"GET https://localhost/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await answer_from(peer)).content == b"GET /a "
            peer.close()

    play_on_sockets(scene)


def test_a_unix_socket_and_several_addresses(play_on_sockets: Play, tmp_path: Path) -> None:
    async def scene(network: Network) -> None:
        path = str(tmp_path / "socket")
        scopes: list[Scope] = []

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            scopes.append(scope)
            await hello(scope, receive, send)

        async with Server(application, [f"unix:{path}", "127.0.0.1:0"]) as server:
            assert server.urls[0] == f"http+unix:{path}"
            peer = await network.dial_unix(RawPeer, path, timeout=5.0)
            peer.send(GET)
            assert (await answer_from(peer)).status == 200
            assert (scopes[-1]["client"], scopes[-1]["server"]) == (None, (path, None))
            peer.close()

    play_on_sockets(scene)
    assert not (tmp_path / "socket").exists()


def test_an_address_in_use_is_an_error_and_nothing_is_left(play: Play) -> None:
    async def scene(network: Network) -> None:
        async with serving(network, hello) as stand:
            bind = stand.server.urls[0].removeprefix("http://")
            second = Server(hello, ["127.0.0.1:0", bind], network=network)
            with pytest.raises(AddressInUse):
                await second.start()
            await second.close()
        async with serving(network, hello) as stand:
            assert (await stand.ask())[1].status == 200

    play(scene)


def test_the_name_of_an_application_is_none() -> None:
    with pytest.raises(TypeError, match="an ASGI application expected, got 'app:app'"):
        Server("app:app")  # type: ignore[arg-type]


def test_a_server_of_another_kind_says_what_answers() -> None:
    with pytest.raises(NotImplementedError):
        ListeningServer(ServerSettings(), "127.0.0.1:0").make_connection()


def resident() -> int:
    """Octets of this process in memory (proc(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_sixty_four_mebibytes_go_down_in_little_memory(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            for _ in range(64):
                await send({"type": "http.response.body", "body": b"x" * MEBIBYTE, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        async with serving(network, streaming) as stand:
            peer = await stand.dial()
            before = resident()
            peer.send(GET)
            greatest = total = 0
            while not bytes(peer.received[-7:]).endswith(b"\r\n0\r\n\r\n"):
                await peer.receive_exactly(1)
                total += len(peer.received)
                peer.received.clear()
                peer._taken = 0
                greatest = max(greatest, resident())
                if total > 64 * MEBIBYTE:
                    break
            assert total >= 64 * MEBIBYTE
            assert greatest - before < 16 * MEBIBYTE

    play_on_sockets(scene)


def test_sixty_four_mebibytes_go_up_in_little_memory(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        sizes: list[int] = []

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            total, more = 0, scope["type"] == "http"
            while more:
                message = await receive()
                total += len(message["body"])
                more = message["more_body"]
                sizes.append(resident())
                await asyncio.sleep(0)
            for message in plain(b"%d" % total):
                await send(message)

        async with serving(network, counting) as stand:
            peer = await stand.dial()
            size = 64 * MEBIBYTE
            before = resident()
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(64):
                peer.send(b"x" * MEBIBYTE)
                while peer.writing_paused:
                    await let_pass(0.001)
            assert (await answer_from(peer)).content == b"%d" % size
            assert max(sizes) - before < 16 * MEBIBYTE

    play_on_sockets(scene)


@pytest.mark.slow
def test_an_application_that_takes_nothing_stops_the_client(play: Play) -> None:
    async def scene(network: Network) -> None:
        gate = asyncio.Event()

        async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await gate.wait()
            await hello(scope, receive, send)

        async with serving(network, waiting) as stand:
            peer = await stand.dial()
            peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20000000)
            await stand.until(lambda: any(c.reading_paused for c in stand.server.registry.connections))
            assert peer.writing_paused
            gate.set()
            assert len((await answer_from(peer)).content) == 20000007

    play(scene)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole", "streamed", "content", "refused"])
def test_no_exchange_leaves_a_cycle_behind(play_on_sockets: Play, kind: str) -> None:
    async def scene(network: Network) -> None:
        application: Application = hello
        if kind == "streamed":
            messages = plain(b"a")
            messages.insert(1, {"type": "http.response.body", "body": b"b", "more_body": True})
            application = saying(*messages)
        request = {
            "content": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
            "refused": b"GET / HTTP/1.1\r\nHost: x\r\nExpect: no\r\n\r\n",
        }.get(kind, GET)
        async with serving(network, application) as stand:
            peer, _ = await stand.ask(request)
            gc.collect()
            gc.disable()
            try:
                for _ in range(20):
                    peer.send(request)
                    await answer_from(peer)
                assert not [one for one in gc.get_objects() if issubclass(type(one), AsgiExchange)]
                assert gc.collect() <= 20, "cycles of the test's own at most"
            finally:
                gc.enable()

    play_on_sockets(scene)


def connections_alive() -> set[int]:
    """The connections that something refers to, other tests' included."""
    gc.collect()
    return {id(one) for one in gc.get_objects() if issubclass(type(one), AsgiConnection)}


@pytest.mark.slow
def test_no_connection_is_left_behind(play_on_sockets: Play) -> None:
    async def scene(network: Network) -> None:
        before = connections_alive()
        async with serving(network, hello) as stand:
            for request in (GET, b"GET / HTTP/1.0\r\n\r\n", b"rubbish\r\n\r\n", b"", b"GET"):
                peer = await stand.dial()
                peer.send(request)
                if request in (b"", b"GET"):
                    peer.abort()
                else:
                    await answer_from(peer)
            closes = await stand.closes(5)
            assert Reason.HTTP_10 in closes
            await let_pass(0.06)
            assert connections_alive() <= before

    play_on_sockets(scene)
