"""A file that goes to a socket unread, and what may come meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.core.errors import LocalViolation
from perdure.wire.blocking import BlockingWire
from perdure.wire.errors import PeerReset, WriteTimeout
from perdure.wire.sendfile import MOST_AT_ONCE, FileSlice, descriptor_of, send_file_or_receive

pytestmark = pytest.mark.skipif(not hasattr(os, "sendfile"), reason="there is no sendfile here")


@pytest.fixture
def pair() -> Iterator[tuple[BlockingWire, socket.socket]]:
    """A wire, and the socket of its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wire = BlockingWire(socket.create_connection(listening.getsockname()))
        peer, _ = listening.accept()
        with peer:
            yield wire, peer
        wire.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[io.BufferedReader]:
    """A file of a hundred thousand octets."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)) * 400)
    with path.open("rb") as opened:
        yield opened


def test_a_slice_is_sent_from_its_offset(
    pair: tuple[BlockingWire, socket.socket], file: io.BufferedReader
) -> None:
    wire, peer = pair
    rest: FileSlice | None = FileSlice(file.fileno(), 50, 99_000)
    received = b""
    while rest is not None:
        taken, arrived = send_file_or_receive(wire, rest, math.inf)
        assert arrived is None
        assert 0 < taken <= MOST_AT_ONCE
        while len(received) < 99_000 - len(rest) + taken:
            received += peer.recv(65536)
        rest = rest.after(taken) if taken < len(rest) else None
    assert received == (bytes(range(250)) * 400)[50:99_050]
    assert wire.octets_accepted == 99_000
    assert file.tell() == 0


def test_what_arrives_comes_first(pair: tuple[BlockingWire, socket.socket], file: io.BufferedReader) -> None:
    wire, peer = pair
    peer.sendall(b"HTTP")
    while not wire.readable():
        pass
    assert send_file_or_receive(wire, FileSlice(file.fileno(), 0, 10), math.inf) == (0, b"HTTP")
    assert wire.octets_accepted == 0


def test_a_peer_that_takes_nothing_is_noticed(
    pair: tuple[BlockingWire, socket.socket], tmp_path: Path
) -> None:
    wire, _ = pair
    with tempfile.TemporaryFile() as large:
        large.truncate(1 << 28)
        whole = FileSlice(large.fileno(), 0, 1 << 28)

        def send_all() -> None:
            rest = whole
            while rest:
                rest = rest.after(send_file_or_receive(wire, rest, 0.0)[0])

        with pytest.raises(WriteTimeout, match="took no more"):
            send_all()


def test_a_file_that_has_become_shorter_is_our_own_fault(
    pair: tuple[BlockingWire, socket.socket], file: io.BufferedReader
) -> None:
    with pytest.raises(LocalViolation, match="10 octets before its announced length"):
        send_file_or_receive(pair[0], FileSlice(file.fileno(), 100_000, 10), math.inf)


def test_a_peer_that_is_gone_is_noticed(
    pair: tuple[BlockingWire, socket.socket], file: io.BufferedReader
) -> None:
    wire, peer = pair
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    while not wire.readable():
        pass
    with pytest.raises(PeerReset):
        send_file_or_receive(wire, FileSlice(file.fileno(), 0, 10), math.inf)


def test_only_a_file_that_is_read_as_it_is_has_a_descriptor(file: io.BufferedReader) -> None:
    assert descriptor_of(file) == file.fileno()
    assert descriptor_of(file.raw) == file.fileno()
    with contextlib.closing(gzip.GzipFile(fileobj=file)) as packed:
        assert descriptor_of(packed) is None
    assert descriptor_of(io.BytesIO(b"x")) is None
