"""Dialling without an event loop: refusals, timeouts, happy eyeballs. RFC 8305."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from perdure.core.reason import Reason
from perdure.wire.blocking import BlockingNetwork
from perdure.wire.clock import now
from perdure.wire.errors import (
    ConnectFailed,
    ConnectTimeout,
    NameNotFound,
)

MEBIBYTE = 1 << 20
LIMIT_SECONDS = 5.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(LIMIT_SECONDS)
        yield listening


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def test_refusal_says_where(listener: socket.socket) -> None:
    port = port_of(listener)
    listener.close()
    with pytest.raises(ConnectFailed, match=f"^127.0.0.1:{port}: connecting failed: Connection refused$"):
        BlockingNetwork().dial("127.0.0.1", port, timeout=LIMIT_SECONDS)


def test_a_name_without_address_is_told_apart() -> None:
    with pytest.raises(NameNotFound, match=r"^nowhere\.invalid:80: the name has no address"):
        BlockingNetwork().dial("nowhere.invalid", 80, timeout=LIMIT_SECONDS)


def test_connecting_ends_at_its_timeout() -> None:
    # A listener whose queue is full answers no further SYN.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            with pytest.raises(ConnectTimeout, match=r"no connection within 0\.1 s$") as caught:
                BlockingNetwork().dial("127.0.0.1", port_of(full), timeout=0.1)
        finally:
            for filler in fillers:
                filler.close()
    assert caught.value.reason is Reason.CONNECT_TIMEOUT


def test_a_name_is_tried_on_all_its_addresses(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = port_of(listener)
    stream = (socket.SOCK_STREAM, 6, "")
    found = [
        (socket.AF_INET6, *stream, ("::1", port, 0, 0)),
        (socket.AF_INET, *stream, ("127.0.0.2", port)),
        (socket.AF_INET, *stream, ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    wire = BlockingNetwork().dial("origin.test", port, timeout=LIMIT_SECONDS)
    assert wire.peer_address == ("127.0.0.1", port)
    wire.close()


def test_a_silent_address_does_not_hold_up_the_next(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = port_of(listener)
    with socket.socket() as full:
        full.bind(("127.0.0.2", port))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        stream = (socket.SOCK_STREAM, 6, "")
        found = [(socket.AF_INET, *stream, (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        def seconds_of_dialling() -> float:
            began = now()
            wire = BlockingNetwork().dial("origin.test", port, timeout=LIMIT_SECONDS, happy_eyeballs=0.05)
            took = now() - began
            assert wire.peer_address == ("127.0.0.1", port)
            wire.close()
            return took

        # The kernel repeats a SYN after one second; a busy machine may stand still as long, but not always.
        assert any(seconds_of_dialling() < 0.9 for _ in range(5))
        for filler in fillers:
            filler.close()
