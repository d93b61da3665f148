"""Binding: what is in the way, and what is left behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from perdure.wire.bind import bind_sockets, leave_sockets, release_sockets
from perdure.wire.errors import AddressInUse, BindFailed
from perdure.wire.network import Network
from perdure.wire.raw import RawListener
from tests.wire.conftest import Play


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


def test_sockets_that_are_left_keep_their_queue_and_their_file(tmp_path: Path) -> None:
    path = tmp_path / "another.sock"
    (bound,) = bind_sockets(f"unix:{path}")
    bound.listen(4)
    leave_sockets([bound.dup()])
    with bound, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        bound.accept()[0].close()


def test_sockets_that_are_released_are_closed_and_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "ours.sock"
    sockets = [*bind_sockets(f"unix:{path}"), *bind_sockets("127.0.0.1:0")]
    release_sockets(sockets)
    release_sockets(sockets)
    assert not path.exists()
    assert [bound.fileno() for bound in sockets] == [-1, -1]
