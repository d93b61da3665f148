"""What the kernel still holds for the peer."""

from __future__ import annotations

import socket
import sys

import pytest

from perdure.wire.kernel import is_reset, kernel_queue, round_trip_seconds


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_octets_that_the_peer_has_not_taken_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        receiver, _ = listening.accept()
    with sender, receiver:
        assert kernel_queue(sender) == 0
        sender.setblocking(False)
        taken = sender.send(b"x" * (32 << 20))
        held = kernel_queue(sender)
        assert 0 < held <= taken
        received = 0
        while received < taken:
            received += len(receiver.recv(1 << 20))
        assert kernel_queue(sender) < held


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_connection_that_is_reset_holds_nothing_for_its_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        receiver, _ = listening.accept()
    with sender:
        sender.setblocking(False)
        sender.send(b"x" * (32 << 20))
        receiver.shutdown(socket.SHUT_WR)
        assert not is_reset(sender)
        assert kernel_queue(sender) > 0
        receiver.close()  # with octets unread: the kernel answers with RST
        assert is_reset(sender)
        assert kernel_queue(sender) == 0
    assert not is_reset(sender)


def test_without_a_socket_nothing_is_held() -> None:
    assert kernel_queue(None) == 0
    closed = socket.socket()
    closed.close()
    assert kernel_queue(closed) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_round_trip_of_the_handshake_is_known_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dialled = socket.create_connection(listening.getsockname())
        seconds = round_trip_seconds(dialled)
        assert seconds is not None
        assert 0 < seconds < 5.0
        dialled.close()
        assert round_trip_seconds(dialled) is None


def test_what_is_not_tcp_has_no_round_trip() -> None:
    assert round_trip_seconds(None) is None
    one, other = socket.socketpair()
    with one, other:
        assert round_trip_seconds(one) is None
