"""The queue of a listening socket: who waits stays, who is late is refused, nobody is reset."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.wire.bind import bind_sockets, release_sockets
from perdure.wire.queue import handshakes_take_time, refuse_handshakes, remove_file, somebody_waits

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="nothing stops the queue elsewhere")
SECONDS = 20.0
A_MOMENT_SECONDS = 0.1


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A TCP socket that listens, with nobody who accepts."""
    (bound,) = bind_sockets("127.0.0.1:0")
    bound.listen(16)
    yield bound
    bound.close()


def connecting(listening: socket.socket) -> socket.socket:
    """A socket that has begun to connect."""
    client = socket.socket(listening.family)
    client.setblocking(False)
    client.connect_ex(listening.getsockname())
    return client


@ONLY_LINUX
def test_who_waits_is_accepted_and_who_comes_later_is_refused_in_the_end(listening: socket.socket) -> None:
    waiting = socket.create_connection(listening.getsockname(), SECONDS)
    waiting.sendall(b"I was here")
    copy = listening.dup()
    refuse_handshakes(copy)
    copy.close()
    late = connecting(listening)
    assert not select.select([], [late], [], A_MOMENT_SECONDS)[1], "its handshake does not begin"
    accepted, _ = listening.accept()
    assert not somebody_waits([listening])
    listening.close()
    assert accepted.recv(100) == b"I was here"
    accepted.sendall(b"welcome")
    assert waiting.recv(100) == b"welcome"
    assert select.select([], [late], [], SECONDS)[1]
    with pytest.raises(ConnectionRefusedError):  # told that nothing was seen, instead of being reset later
        late.sendall(b"?")
    for each in (waiting, accepted, late):
        each.close()


@ONLY_LINUX
def test_a_connection_that_was_accepted_lives_on_with_a_queue_that_was_stopped(
    listening: socket.socket,
) -> None:
    client = socket.create_connection(listening.getsockname(), SECONDS)
    refuse_handshakes(listening)
    with client, listening.accept()[0] as accepted:
        for _ in range(3):
            client.sendall(b"x" * 100000)
            assert len(accepted.recv(100000, socket.MSG_WAITALL)) == 100000
        accepted.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


def test_somebody_waits_from_the_handshake_until_it_is_accepted(listening: socket.socket) -> None:
    assert not somebody_waits([listening])
    with socket.create_connection(listening.getsockname(), SECONDS):
        assert somebody_waits([listening])
        listening.accept()[0].close()
        assert not somebody_waits([listening])


def test_a_unix_socket_loses_its_file_and_keeps_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (bound,) = bind_sockets(f"unix:{path}")
    bound.listen(4)
    with bound, socket.socket(socket.AF_UNIX) as waiting, socket.socket(socket.AF_UNIX) as late:
        waiting.connect(str(path))
        refuse_handshakes(bound)
        assert not path.exists()
        with pytest.raises(FileNotFoundError):
            late.connect(str(path))
        assert somebody_waits([bound])
        bound.accept()[0].close()
    refuse_handshakes(bound)
    remove_file(bound)
    assert not somebody_waits([bound])


def test_a_file_is_only_removed_with_a_unix_socket(listening: socket.socket) -> None:
    remove_file(listening)
    with socket.create_connection(listening.getsockname(), SECONDS):
        assert somebody_waits([listening])


@pytest.mark.parametrize(
    ("bind", "takes_time"),
    [("127.0.0.1:0", False), ("127.9.9.9:0", False), ("0.0.0.0:0", True), ("unix:{}/a.sock", False)],
)
def test_within_the_machine_a_handshake_is_one_step(bind: str, takes_time: bool, tmp_path: Path) -> None:
    sockets = bind_sockets(bind.format(tmp_path))
    assert handshakes_take_time(sockets) is takes_time
    release_sockets(sockets)
    assert handshakes_take_time(sockets) is False, "a closed one has none"
