"""What only threads have: sharing a client, sleeping beside it, forking with it. Real sockets."""

from __future__ import annotations

import gc
import os
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import Script, ScriptedNetwork, Until
from tests.client.conftest import BLANK, answer

HELLO = answer(b"hello")
PATIENCE_SECONDS = 10.0


class Server:
    """A thread per connection, which answers each head with its path; "/end" ends the connection after it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.accepted: list[socket.socket] = []
        self.client_ended = threading.Event()
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.accepted.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection:
            waiting = b""
            while octets := connection.recv(65536):
                waiting += octets
                while BLANK in waiting:
                    head, _, waiting = waiting.partition(BLANK)
                    path = head.split(b" ")[1]
                    connection.sendall(answer(path))
                    if path == b"/end":
                        connection.shutdown(socket.SHUT_WR)
            self.client_ended.set()

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self.accepted:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of threads."""
    server = Server()
    yield server
    server.close()


@pytest.mark.row("R108", "S9")
def test_threads_share_few_connections_and_each_gets_its_own_response(server: Server) -> None:
    wrong: list[str] = []

    def ask(client: perdure.Client, name: str) -> None:
        for number in range(25):
            path = f"/{name}-{number}"
            if client.get(server.url + path).text != path:
                wrong.append(path)

    with perdure.Client(max_per_origin=3) as client:
        threads = [threading.Thread(target=ask, args=(client, str(name))) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        statistics = client.statistics()
    assert not wrong
    assert statistics.requests == 200
    assert (statistics.leased, statistics.waiting) == (0, 0)
    assert len(server.accepted) <= 3


@pytest.mark.row("R110")
def test_a_sleeping_program_ends_its_side_when_the_server_ends_an_idle_connection(server: Server) -> None:
    with perdure.Client() as client:
        assert client.get(f"{server.url}/end").text == "/end"
        assert server.client_ended.wait(PATIENCE_SECONDS)
        assert client.statistics().closes == {Reason.PEER_CLOSED: 1}
        assert client.get(f"{server.url}/again").connection.reused is False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.row("S8")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_leaves_the_connections_to_the_parent(server: Server) -> None:
    with perdure.Client() as client:
        client.get(f"{server.url}/parent")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                response = client.get(f"{server.url}/child")
                ours = client.statistics()
                client.close()
                status = 0 if response.text == "/child" and ours.dialled == ours.connections == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        response = client.get(f"{server.url}/parent")
        assert (response.text, response.connection.reused) == ("/parent", True)
    assert len(server.accepted) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.row("S8", "R126")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_says_no_goodbye_on_the_tls_connections_of_its_parent() -> None:
    """A close_notify of the child would end the parent's session, and its octets would spoil it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    server = Server(context)
    url = server.url.replace("http:", "https:")
    client = perdure.Client(tls=trust)
    first = client.get(f"{url}/parent").connection.id
    for closes in (True, False):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                response = client.get(f"{url}/child")
                if closes:
                    client.close()
                del client
                gc.collect()
                status = 0 if response.text == "/child" and not response.connection.reused else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        response = client.get(f"{url}/after")
        assert (response.text, response.connection.reused, response.connection.id) == ("/after", True, first)
    assert client.statistics().dialled == 1
    client.close()
    assert len(server.accepted) == 3
    server.close()


def test_a_stream_that_nobody_holds_any_more_gives_its_slot_back() -> None:
    def peer() -> Script:
        yield Until(BLANK)
        yield HELLO

    network = ScriptedNetwork([peer, peer])
    with perdure.Client(network=network, max_per_origin=1, pool_timeout=1.0) as client:
        forgotten = client.stream("GET", "http://origin.test/")
        forgotten.__enter__()
        del forgotten
        gc.collect()
        assert client.get("http://origin.test/").content == b"hello"


def test_a_closed_client_says_so() -> None:
    client = perdure.Client(network=ScriptedNetwork([]))
    client.close()
    client.close()
    with pytest.raises(perdure.ClientClosed):
        client.get("http://origin.test/")


@pytest.mark.row("R114")
def test_an_early_final_response_stops_an_upload_over_sockets() -> None:
    """RFC 9110 §15.5.14: 413 while content still comes."""
    octets = 64 << 20
    with socket.create_server(("127.0.0.1", 0)) as listening:
        received = 0

        def refuse() -> None:
            nonlocal received
            connection, _ = listening.accept()
            with connection:
                received += len(connection.recv(65536))
                connection.sendall(
                    b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
                )
                while piece := connection.recv(65536):
                    received += len(piece)

        thread = threading.Thread(target=refuse)
        thread.start()
        with perdure.Client() as client:
            response = client.put(f"http://127.0.0.1:{listening.getsockname()[1]}/", content=bytes(octets))
            assert (response.status, response.content) == (413, b"no")
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
        assert received < octets


@pytest.mark.parametrize("skipped", [0, 1000])
def test_a_file_goes_out_from_where_it_stands_and_a_second_time_after_a_redirect(
    tmp_path: Path, skipped: int
) -> None:
    octets = random.Random(1).randbytes(3 << 20)
    path = tmp_path / "file"
    path.write_bytes(octets)
    received: list[bytes] = []
    heads = [b"307 Temporary Redirect\r\nLocation: /again", b"200 OK"]
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as reader:
                for head in heads:
                    lines = b"".join(iter(reader.readline, b"\r\n"))
                    length = int(lines.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                    received.append(reader.read(length))
                    connection.sendall(b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=take)
        thread.start()
        with perdure.Client(follow_redirects=True) as client, path.open("rb") as file:
            file.seek(skipped)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            assert client.put(url, content=file).status == 200
            assert file.tell() == len(octets)
        thread.join(PATIENCE_SECONDS)
    assert received == [octets[skipped:]] * 2
