"""`http.response.pathsend`: a file as the content of a response."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from perdure.core import LocalViolation
from perdure.server.asgi import Message, Receive, Scope, Send
from perdure.server.pathsend import PIECE_OCTETS
from perdure.wire.network import Network
from perdure.wire.raw import RawPeer
from tests.server.stand import GET, Heard, answer_from, serving
from tests.wire.conftest import Play

MEBIBYTE = 1 << 20


class Counting(RawPeer):
    """Counts what it receives, and keeps nothing."""

    count = 0

    def data_received(self, octets: bytes) -> None:
        """Count."""
        self.count += len(octets)


def sending(path: Path | str, *headers: tuple[bytes, bytes], status: int = 200) -> Heard:
    """An application that sends a file."""

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        assert "http.response.pathsend" in scope["extensions"]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(path)})

    return Heard(script)


@pytest.mark.parametrize("size", [0, 1, PIECE_OCTETS, PIECE_OCTETS + 1, 3 * MEBIBYTE])
def test_a_file_is_sent_with_its_length_and_the_connection_persists(
    play: Play, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))

    async def scene(network: Network) -> None:
        application = sending(path)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET + GET)
            for _ in range(2):
                answer = await answer_from(peer)
                assert answer.fields[b"content-length"] == b"%d" % size
                assert answer.content == path.read_bytes()
        assert application.errors == []

    play(scene)


@pytest.mark.parametrize("size", [10, 3 * MEBIBYTE])
@pytest.mark.parametrize(("request_line", "status"), [(b"HEAD", 200), (b"GET", 304)])
def test_a_response_without_content_says_the_length_and_sends_nothing(
    play: Play, tmp_path: Path, size: int, request_line: bytes, status: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))

    async def scene(network: Network) -> None:
        async with serving(network, sending(path, status=status)) as stand:
            peer = await stand.dial()
            peer.send(GET.replace(b"GET", request_line) * 2)
            for _ in range(2):
                answer = await answer_from(peer, request_line)
                assert (answer.status, answer.fields[b"content-length"]) == (status, b"%d" % size)

    play(scene)


def test_a_length_that_the_application_says_is_kept_if_it_is_the_files(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")

    async def scene(network: Network) -> None:
        async with serving(network, sending(path, (b"content-length", b"3"))) as stand:
            _, answer = await stand.ask()
            assert (answer.fields[b"content-length"], answer.content) == (b"3", b"abc")
        application = sending(path, (b"content-length", b"4"))
        async with serving(network, application) as stand:
            _, answer = await stand.ask()
            assert answer.status == 500
        [error] = application.errors
        assert isinstance(error, LocalViolation)
        assert "Content-Length is 4, the file has 3 octets" in str(error)

    play(scene)


@pytest.mark.parametrize("fault", ["missing", "folder", "pipe", "relative", "forbidden order"])
def test_what_cannot_be_sent_is_a_500_and_an_error_in_the_application(
    play: Play, tmp_path: Path, fault: str
) -> None:
    path: Path | str = tmp_path / "file"
    if fault == "folder":
        path = tmp_path
    elif fault == "pipe":
        os.mkfifo(path)
    elif fault == "relative":
        path = "file"

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.pathsend", "path": str(path)})

    async def scene(network: Network) -> None:
        application = Heard(twice) if fault == "forbidden order" else sending(path)
        async with serving(network, application) as stand:
            peer, answer = await stand.ask()
            assert answer.status == 500
            peer.send(GET)
            assert (await answer_from(peer)).status == 500
        assert {type(error) for error in application.errors} <= {
            ValueError,
            FileNotFoundError,
            RuntimeError,
        }

    play(scene)


def test_a_file_may_have_trailers_after_it(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    trailers: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"6")]}

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"transfer-encoding", b"chunked"), (b"trailer", b"x-sum")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
        await send({"type": "http.response.pathsend", "path": str(path)})
        await send(trailers)

    async def scene(network: Network) -> None:
        async with serving(network, Heard(script)) as stand:
            peer = await stand.dial()
            peer.send(GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nConnection: TE\r\n\r\n"))
            await peer.receive_until(b"\r\n\r\n")
            assert await peer.receive_until(b"\r\n\r\n") == b"3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n"

    play(scene)


@pytest.mark.slow
def test_sixty_four_mebibytes_go_to_a_slow_client_in_bounded_memory(
    play_on_sockets: Play, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * MEBIBYTE)

    async def scene(network: Network) -> None:
        async with serving(network, sending(path)) as stand:
            port = int(stand.server.urls[0].rpartition(":")[2])
            tracemalloc.start()
            try:
                peer = await network.dial(Counting, "127.0.0.1", port, timeout=5.0)
                peer.send(GET)
                await stand.until(lambda: peer.count)
                peer.pause_reading()
                [connection] = stand.server.registry.connections
                await stand.until(lambda: connection.writing_paused)
                peer.resume_reading()
                await stand.until(lambda: peer.count > 64 * MEBIBYTE)
                assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
            finally:
                tracemalloc.stop()
            peer.abort()
            await peer.wait_lost()

    play_on_sockets(scene)


def test_the_file_is_let_go_when_the_client_goes(play_on_sockets: Play, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * MEBIBYTE)

    async def scene(network: Network) -> None:
        application = sending(path)
        async with serving(network, application) as stand:
            peer = await stand.dial()
            peer.send(GET)
            await peer.receive_until(b"\r\n\r\n")
            peer.abort()
            await application.done.wait()
        [error] = application.errors
        assert isinstance(error, OSError)
        assert not any(os.readlink(f"/proc/self/fd/{fd}") == str(path) for fd in _descriptors())

    play_on_sockets(scene)


def _descriptors() -> list[str]:
    return [name for name in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{name}")]
