"""TLS within TLS over blocking sockets: what it carries, what ends it, what refuses it."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import trustme

from perdure.wire import clock
from perdure.wire.blocking import BlockingNetwork, BlockingWire
from perdure.wire.errors import (
    ConnectFailed,
    ConnectTimeout,
    PeerReset,
    ReadTimeout,
    TlsFailed,
    WriteTimeout,
)
from perdure.wire.tls import TlsContext, client_context, server_context

Answer = Callable[[ssl.SSLSocket, TlsContext], None]
LARGE = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsContext, TlsContext]:
    """Of a client and of a server that is called 127.0.0.1 and origin.test."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    own = authority.issue_cert("127.0.0.1", "origin.test")
    own.private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    return client_context(ca_file=str(folder / "authority.pem")), server_context(str(folder / "own.pem"))


@contextmanager
def outer(contexts: tuple[TlsContext, TlsContext], answer: Answer) -> Iterator[BlockingWire]:
    """A wire in TLS, to a thread that has the other end."""
    client, server = contexts
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connected, _ = listening.accept()
                with server.wrap_socket(connected, server_side=True) as secured:
                    answer(secured, server)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        host, port = listening.getsockname()
        wire = BlockingNetwork().dial(host, port, timeout=10.0, tls=client)
        try:
            yield wire
        finally:
            wire.close()
            serving.join(10.0)


class Inner:
    """The server's end of the inner TLS, over the outer one."""

    def __init__(self, carrier: ssl.SSLSocket, context: TlsContext) -> None:
        self._carrier = carrier
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._arrived, self._leaving, server_side=True)
        self._until_done(self._object.do_handshake)

    def receive(self) -> bytes:
        return self._until_done(lambda: self._object.read(65536))

    def send(self, octets: bytes) -> None:
        for start in range(0, len(octets), 16384):
            self._until_done(partial(self._object.write, octets[start : start + 16384]))

    def end(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        self._carrier.sendall(self._leaving.read())

    def _until_done(self, step: Callable[[], bytes | int | None]) -> bytes:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._carrier.sendall(self._leaving.read())
                arrived = self._carrier.recv(65536)
                if not arrived:
                    raise ConnectionError from None
                self._arrived.write(arrived)
                continue
            self._carrier.sendall(self._leaving.read())
            return done if isinstance(done, bytes) else b""


def echo(carrier: ssl.SSLSocket, context: TlsContext) -> None:
    inner = Inner(carrier, context)
    while octets := inner.receive():
        inner.send(octets)


def soon() -> float:
    return clock.now() + 10.0


def received(wire: BlockingWire, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        octets += wire.receive(soon())
    return octets


def test_octets_go_both_ways_however_many(contexts: tuple[TlsContext, TlsContext]) -> None:
    with outer(contexts, echo) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        wire.send(b"hello", soon())
        assert received(wire, 5) == b"hello"
        assert not wire.readable()
        rest, echoed = LARGE, b""
        while rest:
            taken, arrived = wire.send_or_receive(rest, soon())
            rest, echoed = rest[taken:], echoed + (arrived or b"")
        assert echoed + received(wire, len(LARGE) - len(echoed)) == LARGE
        with pytest.raises(ReadTimeout):
            wire.receive(clock.now())


class Stalled:
    """A server that reads nothing inside its inner TLS until it is told how many octets to wait for."""

    def __init__(self) -> None:
        self.told, self.ended = threading.Event(), threading.Event()
        self.wanted, self.received = 0, b""

    def read_until(self, wanted: int) -> None:
        self.wanted = wanted
        self.told.set()

    def answer(self, carrier: ssl.SSLSocket, context: TlsContext) -> None:
        inner = Inner(carrier, context)
        self.told.wait(10.0)
        with contextlib.suppress(OSError):
            while octets := inner.receive():
                self.received += octets
                if len(self.received) == self.wanted:
                    inner.send(b"ok")
        self.ended.set()


def fill(wire: BlockingWire) -> bytes:
    """Send records of one kind after the other until one is not taken; return that one.

    Small buffers, so that it is soon; a record's length that divides none of them.
    """
    wire.own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    for number in range(1024):
        record = bytes([number % 256]) * 15000
        try:
            wire.send(record, clock.now())
        except WriteTimeout:
            return record
    raise AssertionError("the kernel takes everything")


def test_octets_are_accepted_once_the_outer_one_has_all_of_their_record(
    contexts: tuple[TlsContext, TlsContext],
) -> None:
    stalled = Stalled()
    with outer(contexts, stalled.answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        fill(wire)
        wire.own_socket.shutdown(socket.SHUT_WR)  # what the kernel has not taken by now is lost
        stalled.read_until(-1)
        assert stalled.ended.wait(10.0)
        assert wire.octets_accepted == len(stalled.received) > 0


def test_a_record_under_way_goes_out_while_an_answer_is_waited_for(
    contexts: tuple[TlsContext, TlsContext],
) -> None:
    stalled = Stalled()
    with outer(contexts, stalled.answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        record = fill(wire)
        accepted = wire.octets_accepted
        stalled.read_until(accepted + len(record))
        assert wire.receive(soon()) == b"ok"
        assert wire.octets_accepted == accepted
        # The same octets again: they are counted now, and not sent twice.
        wire.send(record + b"last", soon())
        assert wire.octets_accepted == accepted + len(record) + len(b"last")
        wire.close()
        assert stalled.ended.wait(10.0)
        assert stalled.received.endswith(record + b"last")
        assert len(stalled.received) == wire.octets_accepted


@pytest.mark.parametrize("either_way", [False, True])
def test_a_request_is_sent_to_its_last_octet_however_late_it_is_taken(
    contexts: tuple[TlsContext, TlsContext], either_way: bool
) -> None:
    stalled = Stalled()
    with outer(contexts, stalled.answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        record = fill(wire)
        stalled.read_until(wire.octets_accepted + len(record) + len(LARGE))
        if either_way:
            assert wire.send_or_receive(record + LARGE, soon()) == (len(record + LARGE), None)
        else:
            wire.send(record + LARGE, soon())
        assert wire.octets_accepted == stalled.wanted
        assert wire.receive(soon()) == b"ok"
    assert stalled.received.endswith(record + LARGE)


def test_fewer_octets_than_those_under_way_are_refused(contexts: tuple[TlsContext, TlsContext]) -> None:
    stalled = Stalled()
    with outer(contexts, stalled.answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        fill(wire)
        stalled.read_until(-1)
        with pytest.raises(PeerReset, match="fewer octets than those under way"):
            wire.send(b"other", soon())


def test_the_last_words_of_a_peer_that_takes_no_more_are_received(
    contexts: tuple[TlsContext, TlsContext],
) -> None:
    full, said, heard = threading.Event(), threading.Event(), threading.Event()

    def answer(carrier: ssl.SSLSocket, context: TlsContext) -> None:
        inner = Inner(carrier, context)
        full.wait(10.0)
        inner.send(b"413")
        said.set()
        heard.wait(10.0)

    with outer(contexts, answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        fill(wire)
        full.set()
        assert said.wait(10.0)
        socket.socket.shutdown(wire.own_socket, socket.SHUT_WR)  # of the descriptor alone: sending fails now
        assert wire.receive(soon()) == b"413"
        heard.set()


def test_close_notify_of_the_inner_one_is_its_end(contexts: tuple[TlsContext, TlsContext]) -> None:
    def answer(carrier: ssl.SSLSocket, context: TlsContext) -> None:
        inner = Inner(carrier, context)
        inner.send(b"bye")
        inner.end()
        carrier.recv(1)

    with outer(contexts, answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        assert received(wire, 3) == b"bye"
        assert wire.receive(soon()) == b""
        assert not wire.truncated


def test_an_end_of_the_outer_one_cuts_the_inner_one_off(contexts: tuple[TlsContext, TlsContext]) -> None:
    def answer(carrier: ssl.SSLSocket, context: TlsContext) -> None:
        Inner(carrier, context).send(b"cut")
        with contextlib.suppress(OSError):
            carrier.unwrap()

    with outer(contexts, answer) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        assert received(wire, 3) == b"cut"
        assert wire.receive(soon()) == b""
        assert wire.truncated


def test_another_name_is_refused_and_nothing_stays_open(contexts: tuple[TlsContext, TlsContext]) -> None:
    with outer(contexts, echo) as wire:
        with pytest.raises(TlsFailed, match="origin:443: certificate refused"):
            wire.secure(contexts[0], "other.test", soon(), "origin:443")
        assert wire.fileno() == -1


@pytest.mark.parametrize("octets", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_whoever_speaks_no_tls_inside_is_refused(
    contexts: tuple[TlsContext, TlsContext], octets: bytes
) -> None:
    def answer(carrier: ssl.SSLSocket, context: TlsContext) -> None:
        carrier.recv(65536)
        carrier.sendall(octets)

    with outer(contexts, answer) as wire:
        with pytest.raises(ConnectFailed):
            wire.secure(contexts[0], "origin.test", soon())
        assert wire.fileno() == -1


def test_the_deadline_bounds_the_handshake(contexts: tuple[TlsContext, TlsContext]) -> None:
    silent = threading.Event()

    def answer(carrier: ssl.SSLSocket, context: TlsContext) -> None:
        silent.wait(10.0)

    with outer(contexts, answer) as wire:
        with pytest.raises(ConnectTimeout):
            wire.secure(contexts[0], "origin.test", clock.now() + 0.05)
        assert wire.fileno() == -1
        silent.set()
    with outer(contexts, echo) as wire, pytest.raises(ConnectTimeout):
        wire.secure(contexts[0], "origin.test", -math.inf)


def test_three_layers_are_not_known(contexts: tuple[TlsContext, TlsContext]) -> None:
    with outer(contexts, echo) as wire:
        wire.secure(contexts[0], "origin.test", soon())
        with pytest.raises(ValueError, match="nested once"):
            wire.secure(contexts[0], "origin.test", soon())
