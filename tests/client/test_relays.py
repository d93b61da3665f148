"""A blind relay between an HTTP/1.0 client and its server: the hang is noticed, told, not met twice (R172).

    client ──Connection: keep-alive──▶ relay ──the same──▶ server
    client ◀─Connection: keep-alive─── relay ◀──the same── server      and now the relay waits for the end

The relay here copies octets one way until the server closes; whatever the client says then, nobody reads.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.network import run
from perdure.wire.scripted import CLIENT_END, FIN, Pause, Script, Until
from tests.client.conftest import BLANK, Perform, Stage

KEPT = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
ASKED = b"Connection: keep-alive\r\n"
RELAY_SECONDS = 2.0
"""On real sockets: a machine that stands still for less is not taken for a blind relay."""


def blind() -> Script:
    """The relay's side of one connection: one answer, and then no ear."""
    yield Until(BLANK)
    yield KEPT
    yield CLIENT_END


def closing() -> Script:
    """The same with a server that was not asked to stay, and closes."""
    yield Until(BLANK)
    yield KEPT
    yield FIN


@pytest.mark.row("R172", "S2", "S10")
def test_the_hang_is_noticed_in_time_and_the_request_sent_again_without_the_option(
    perform_in_time: Perform,
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        response = await stage.ask()
        assert 5.0 <= response.elapsed < 6.0
        assert (response.connection.id, response.connection.ends) == (2, Reason.NOT_ASKED)
        assert stage.statistics().closes[Reason.RELAY_SUSPECTED] == 1
        third = await stage.ask()
        assert (third.connection.ends, third.elapsed < 1.0) == (Reason.NOT_ASKED, True)
        assert [ASKED in stage.heard(number) for number in range(3)] == [True, False, False]

    perform_in_time(scene, blind, closing, closing, http_version="1.0")


@pytest.mark.row("R172")
def test_a_request_that_may_not_be_sent_again_is_told_the_reason(perform_in_time: Perform) -> None:
    async def scene(stage: Stage) -> None:
        await stage.ask()
        with pytest.raises(perdure.ReadTimeout) as caught:
            await stage.ask()
        assert (caught.value.reason, caught.value.reused) == (Reason.RELAY_SUSPECTED, True)
        response = await stage.ask()
        assert response.connection.ends is Reason.NOT_ASKED

    perform_in_time(scene, blind, closing, http_version="1.0", retry=False, read_timeout=8.0)


@pytest.mark.row("R172")
def test_an_origin_that_answered_once_on_a_kept_connection_may_take_its_time(
    perform_in_time: Perform,
) -> None:
    def server() -> Script:
        for seconds in 0.0, 0.0, 20.0:
            yield Until(BLANK)
            yield Pause(seconds)
            yield KEPT

    async def scene(stage: Stage) -> None:
        responses = [await stage.ask() for _ in range(3)]
        assert [response.connection.uses for response in responses] == [1, 2, 3]
        assert responses[2].elapsed >= 20.0
        assert Reason.RELAY_SUSPECTED not in stage.statistics().closes

    perform_in_time(scene, server, http_version="1.0")


@pytest.mark.row("R172")
def test_an_answer_that_begins_in_time_may_end_late(perform_in_time: Perform) -> None:
    def server() -> Script:
        for seconds in 0.0, 20.0:
            yield Until(BLANK)
            yield Pause(seconds / 5)
            yield KEPT[:30]
            yield Pause(seconds)
            yield KEPT[30:]

    async def scene(stage: Stage) -> None:
        assert [(await stage.ask()).text for _ in range(2)] == ["ok", "ok"]
        assert stage.connections == 1

    perform_in_time(scene, server, http_version="1.0")


@pytest.mark.row("R172", "S10")
def test_whose_end_is_awaited_in_vain_is_suspected_too(perform_in_time: Perform) -> None:
    def server() -> Script:
        yield Until(BLANK)
        yield b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nno length"
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        with pytest.raises(perdure.ReadTimeout) as caught:
            await stage.ask()
        assert caught.value.reason is Reason.RELAY_SUSPECTED
        assert (await stage.ask()).connection.ends is Reason.NOT_ASKED

    perform_in_time(scene, server, closing, http_version="1.0", read_timeout=8.0)


@pytest.mark.row("R172")
def test_no_other_that_lies_idle_there_is_used_either(perform_on_loop: Perform) -> None:
    async def scene(stage: Stage) -> None:
        async with stage.stream() as one, stage.stream() as other:
            for streamed in one, other:
                assert [piece async for piece in streamed.pieces()] == [b"ok"]
        assert [(await stage.ask()).connection.id for _ in range(2)] == [3, 4]
        assert stage.statistics().closes[Reason.RELAY_SUSPECTED] == 2
        await stage.until(lambda: stage.ended(0) and stage.ended(1))

    perform_on_loop(scene, blind, blind, closing, closing, http_version="1.0", relay_timeout=0.2)


@pytest.mark.row("S14")
def test_proxy_connection_meets_the_same_hang(perform_in_time: Perform) -> None:
    def relayed() -> Script:
        yield Until(BLANK)
        yield KEPT.replace(b"Connection", b"Proxy-Connection")
        yield CLIENT_END

    async def scene(stage: Stage) -> None:
        responses = [await stage.ask() for _ in range(2)]
        assert 5.0 <= responses[1].elapsed < 6.0
        assert responses[1].connection.ends is Reason.NOT_ASKED
        said = b"Proxy-Connection: keep-alive\r\n"
        assert [said in stage.heard(number) for number in range(2)] == [True, False]

    perform_in_time(
        scene,
        relayed,
        closing,
        as_proxy="",
        through=perdure.Proxies(proxy_connection=True),
        http_version="1.0",
    )


def test_http_11_waits_as_long_as_it_always_does(perform_in_time: Perform) -> None:
    def server() -> Script:
        while True:
            yield Until(BLANK)
            yield Pause(30.0)
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    async def scene(stage: Stage) -> None:
        assert [(await stage.ask()).connection.uses for _ in range(2)] == [1, 2]

    perform_in_time(scene, server)


# Over real sockets: a relay and a server of our own making, one thread for each connection.


class Listening:
    """Accepts on loopback and serves each connection with a thread of its own.

    Attributes:
        heads: the request heads that were read, all connections together.
    """

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listening.getsockname()
        return host, port

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # else its thread might accept on another with its number
        self._listening.close()
        for connected in self._open:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = self._listening.accept()
                self._open.append(connected)
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with contextlib.suppress(OSError), connected:
            self.serve(connected)

    def serve(self, connected: socket.socket) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def head(self, connected: socket.socket) -> bytes:
        """Read one request head; b"" at the end."""
        octets = b""
        while not octets.endswith(BLANK):
            arrived = connected.recv(65536)
            if not arrived:
                return b""
            octets += arrived
        self.heads.append(octets)
        return octets


class KeepingServer(Listening):
    """An HTTP/1.0 server that keeps a connection when it is asked to."""

    def serve(self, connected: socket.socket) -> None:
        while head := self.head(connected):
            kept = b"connection: keep-alive" in head.lower()
            connected.sendall(KEPT if kept else KEPT.replace(ASKED, b""))
            if not kept:
                return


class BlindRelay(Listening):
    """Passes one request on as it is, and the answer back until the server closes. It reads no Connection."""

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__()
        self._server = server

    def serve(self, connected: socket.socket) -> None:
        head = self.head(connected)
        with socket.create_connection(self._server) as onward:
            onward.sendall(head)
            while octets := onward.recv(65536):
                connected.sendall(octets)


@contextmanager
def chain() -> Iterator[tuple[str, KeepingServer]]:
    """A relay in front of a server: the relay's URL."""
    server = KeepingServer()
    relay = BlindRelay(server.address)
    try:
        yield f"http://127.0.0.1:{relay.address[1]}/", server
    finally:
        relay.close()
        server.close()


@pytest.mark.slow
@pytest.mark.row("R172", "S10")
def test_without_detection_the_client_hangs_until_it_reads_no_more() -> None:
    with (
        chain() as (url, server),
        perdure.Client(http_version="1.0", read_timeout=1.5, retry=False) as client,
    ):
        assert client.get(url).connection.ends is None
        with pytest.raises(perdure.ReadTimeout) as caught:
            client.get(url)
        assert caught.value.reason is Reason.RELAY_SUSPECTED
        assert len(server.heads) == 1


@pytest.mark.slow
@pytest.mark.row("R172", "S10")
def test_with_detection_it_is_served_after_relay_timeout_and_never_hangs_again() -> None:
    with chain() as (url, server), perdure.Client(http_version="1.0", relay_timeout=RELAY_SECONDS) as client:
        responses = [client.get(url) for _ in range(5)]
        assert [response.text for response in responses] == ["ok"] * 5
        assert responses[1].elapsed >= RELAY_SECONDS
        assert [response.connection.ends for response in responses[1:]] == [Reason.NOT_ASKED] * 4
        assert [ASKED in head for head in server.heads] == [True, False, False, False, False]
        assert client.statistics().closes[Reason.RELAY_SUSPECTED] == 1


@pytest.mark.slow
@pytest.mark.row("R172", "S10")
@pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])
def test_the_same_on_an_event_loop(uvloop: bool) -> None:
    async def asking(url: str) -> list[perdure.Response]:
        async with perdure.AsyncClient(http_version="1.0", relay_timeout=RELAY_SECONDS) as client:
            return [await client.get(url) for _ in range(5)]

    with chain() as (url, server):
        responses = run(asking(url), prefer_uvloop=uvloop)
        assert [response.connection.ends for response in responses[1:]] == [Reason.NOT_ASKED] * 4
        assert [ASKED in head for head in server.heads] == [True, False, False, False, False]
