"""BlockingWire over real sockets: deadlines, early octets, the three ways to end, idle wires."""

from __future__ import annotations

import math
import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from perdure.core.reason import Reason
from perdure.wire.blocking import BlockingNetwork, BlockingWire
from perdure.wire.clock import now
from perdure.wire.errors import (
    ConnectFailed,
    PeerReset,
    ReadTimeout,
    WriteTimeout,
)

MEBIBYTE = 1 << 20
LIMIT_SECONDS = 5.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(LIMIT_SECONDS)
        yield listening


@pytest.fixture
def joined(listener: socket.socket) -> Iterator[tuple[BlockingWire, socket.socket]]:
    """A wire and the plain socket at its other end."""
    wire = BlockingNetwork().dial("127.0.0.1", port_of(listener), timeout=LIMIT_SECONDS)
    peer, _ = listener.accept()
    peer.settimeout(LIMIT_SECONDS)
    with peer:
        yield wire, peer
    wire.close()


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def soon() -> float:
    """A deadline that is not meant to be reached."""
    return now() + LIMIT_SECONDS


def receive_all(peer: socket.socket) -> bytes:
    pieces = []
    while piece := peer.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def test_octets_go_both_ways_and_are_counted(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    wire.send(b"ping", soon())
    assert wire.octets_accepted == 4
    assert peer.recv(100) == b"ping"
    peer.sendall(b"pong")
    assert wire.receive(soon(), max_octets=3) == b"pon"
    assert wire.receive(soon()) == b"g"
    peer.close()
    assert wire.receive(soon()) == b""
    assert wire.receive(soon()) == b"", "the end stays the end"


def test_a_wire_knows_its_addresses(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    assert wire.peer_address == peer.getsockname()
    assert wire.own_address == peer.getpeername()
    assert not wire.tls
    assert abs(now() - wire.opened_at) < LIMIT_SECONDS


def test_receiving_ends_at_the_deadline_and_the_wire_stays_usable(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    began = now()
    with pytest.raises(ReadTimeout, match=r"^127\.0\.0\.1:\d+: no octet arrived in time$") as caught:
        wire.receive(began + 0.05)
    assert 0.05 <= now() - began < LIMIT_SECONDS
    assert caught.value.reason is Reason.READ_TIMEOUT
    peer.sendall(b"late")
    assert wire.receive(soon()) == b"late"


def test_sending_ends_at_the_deadline_and_says_how_far_it_came(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    with pytest.raises(WriteTimeout) as caught:
        wire.send(b"x" * 32 * MEBIBYTE, now() + 0.1)
    assert caught.value.reason is Reason.WRITE_TIMEOUT
    assert 0 < wire.octets_accepted < 32 * MEBIBYTE
    taken = wire.octets_accepted
    wire.close()
    assert len(receive_all(peer)) == taken


def test_octets_larger_than_the_kernel_takes_at_once_arrive_whole(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(receive_all(peer)))
    reader.start()
    octets = os.urandom(16) * (MEBIBYTE // 2)
    wire.send(octets, soon())
    assert wire.half_close()
    reader.join(LIMIT_SECONDS)
    assert heard == [octets]


def test_an_early_response_interrupts_an_upload(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    peer.sendall(b"413")
    wire._waiter.wait(1, soon())
    taken, arrived = wire.send_or_receive(b"x" * 100, soon())
    assert (taken, arrived) == (0, b"413")
    assert wire.octets_accepted == 0


def test_an_early_response_wakes_an_upload_that_waits_for_a_full_kernel(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    content = b"x" * 32 * MEBIBYTE

    def answer_later() -> None:
        peer.recv(1)  # the upload has begun
        peer.sendall(b"413")

    answer = threading.Thread(target=answer_later)
    answer.start()
    taken, arrived = wire.send_or_receive(content, soon())
    answer.join()
    assert arrived == b"413"
    assert taken == wire.octets_accepted
    assert 0 < taken < 32 * MEBIBYTE


def test_an_upload_without_an_early_response_is_sent_whole(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    assert wire.send_or_receive(b"content", soon()) == (7, None)
    assert peer.recv(100) == b"content"


def test_a_response_sent_before_a_reset_of_the_upload_is_not_lost(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    wire.send(b"unread", soon())
    peer.sendall(b"413")
    peer.close()  # with unread octets: the kernel answers with RST
    taken, arrived = wire.send_or_receive(b"x" * MEBIBYTE, soon())
    assert (taken, arrived) == (0, b"413")


def test_a_reset_is_told_with_the_address(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    reset(peer)
    with pytest.raises(PeerReset, match=r"^127\.0\.0\.1:\d+: the peer reset the connection") as caught:
        wire.receive(soon())
    assert caught.value.reason is Reason.PEER_RESET


def test_sending_on_a_connection_that_is_gone_is_a_reset(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    reset(peer)
    wire._waiter.wait(1, soon())
    with pytest.raises(PeerReset):
        wire.send(b"x", soon())


def test_an_idle_wire_is_readable_once_octets_or_the_end_arrived(
    joined: tuple[BlockingWire, socket.socket],
) -> None:
    wire, peer = joined
    assert not wire.readable()
    peer.sendall(b"!")
    wire._waiter.wait(1, soon())
    assert wire.readable()
    assert wire.receive(soon()) == b"!"
    assert not wire.readable()
    peer.close()
    wire._waiter.wait(1, soon())
    assert wire.readable()


def test_abort_resets(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    wire.abort()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    wire.abort()
    wire.close()
    assert wire.fileno() == -1
    assert wire.readable()


def test_half_close_ends_our_side_only(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    assert wire.half_close()
    assert peer.recv(1) == b""
    peer.sendall(b"still here")
    assert wire.receive(soon()) == b"still here"


def test_a_detached_copy_says_nothing_to_the_peer(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    child = BlockingWire(socket.socket(fileno=os.dup(wire.fileno())))
    child.detach()
    child.detach()
    wire.send(b"the parent goes on", soon())
    assert peer.recv(100) == b"the parent goes on"
    assert child.fileno() == -1


def test_a_unix_socket_can_be_dialled(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "a.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        wire = BlockingNetwork().dial_unix(path, timeout=LIMIT_SECONDS)
        peer, _ = listening.accept()
        with peer:
            wire.send(b"hello", soon())
            assert peer.recv(10) == b"hello"
        assert wire.receive(soon()) == b""
        wire.close()
    with pytest.raises(ConnectFailed, match="unix:"):
        BlockingNetwork().dial_unix(path + "x", timeout=math.inf)
