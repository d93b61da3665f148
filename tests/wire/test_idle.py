"""IdleWatch: a program that sleeps still notices what its servers do."""

from __future__ import annotations

import os
import queue
import socket
from collections.abc import Iterator

import pytest

from perdure.wire.blocking import BlockingNetwork, BlockingWire, StreamWire
from perdure.wire.idle import IdleWatch

LIMIT_SECONDS = 5.0


@pytest.fixture
def watch() -> Iterator[IdleWatch]:
    idle_watch = IdleWatch(tick_seconds=0.005)
    yield idle_watch
    idle_watch.close()


@pytest.fixture
def joined() -> Iterator[tuple[BlockingWire, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = BlockingNetwork().dial(*listener.getsockname(), timeout=LIMIT_SECONDS)
        peer, _ = listener.accept()
    with peer:
        yield wire, peer
    wire.close()


@pytest.mark.row("R110")
@pytest.mark.parametrize("rest", [0, 2], ids=["at once", "long idle"])
def test_a_peer_that_closes_an_idle_connection_is_noticed(
    watch: IdleWatch, joined: tuple[BlockingWire, socket.socket], rest: int
) -> None:
    wire, peer = joined
    told: queue.Queue[StreamWire] = queue.Queue()
    watch.watch(wire, told.put)
    for _ in range(rest):  # let ticks pass: another wire's events show that they did
        pass_a_tick(watch)
    peer.close()
    assert told.get(timeout=LIMIT_SECONDS) is wire
    assert not watch.unwatch(wire), "it was told already"
    assert len(watch) == 0


def pass_a_tick(watch: IdleWatch) -> None:
    """Wait until the watch has noticed one more wire."""
    near, far = socket.socketpair()
    wire = BlockingWire(near)
    told: queue.Queue[StreamWire] = queue.Queue()
    watch.watch(wire, told.put)
    far.close()
    told.get(timeout=LIMIT_SECONDS)
    wire.close()


def test_a_wire_taken_back_is_not_told(watch: IdleWatch, joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    told: list[StreamWire] = []
    for ticks in (0, 1, 2, 3):
        watch.watch(wire, told.append)
        for _ in range(ticks):
            pass_a_tick(watch)
        assert watch.unwatch(wire)
    peer.sendall(b"response")
    pass_a_tick(watch)
    pass_a_tick(watch)
    assert told == []
    assert wire.receive() == b"response"


def test_a_callee_that_fails_does_not_end_the_watch(
    watch: IdleWatch, joined: tuple[BlockingWire, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, peer = joined
    failures: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("threading.excepthook", lambda args: failures.put(str(args.exc_value)))

    def fail(spent: StreamWire) -> None:
        raise ValueError("a bug")

    watch.watch(wire, fail)
    peer.close()
    assert failures.get(timeout=LIMIT_SECONDS) == "a bug"
    pass_a_tick(watch)


def test_the_child_of_a_fork_begins_with_an_empty_watch(
    watch: IdleWatch, joined: tuple[BlockingWire, socket.socket]
) -> None:
    wire, peer = joined
    told: queue.Queue[StreamWire] = queue.Queue()
    watch.watch(wire, told.put)
    pass_a_tick(watch)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # Its own watch works, and leaves the parent's alone.
            if len(watch) == 0 and not watch.unwatch(wire):
                pass_a_tick(watch)
                status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0
    peer.close()
    assert told.get(timeout=LIMIT_SECONDS) is wire


def test_a_closed_watch_leaves_the_wires_as_they_are(joined: tuple[BlockingWire, socket.socket]) -> None:
    wire, peer = joined
    watch = IdleWatch(tick_seconds=0.005)
    watch.watch(wire, lambda spent: None)
    watch.close()
    watch.close()
    peer.sendall(b"still open")
    assert wire.receive() == b"still open"


def test_a_finalizer_has_something_called_by_the_watch_though_it_interrupted_it(
    watch: IdleWatch, joined: tuple[BlockingWire, socket.socket]
) -> None:
    wire, _ = joined
    told: queue.Queue[str] = queue.Queue()
    watch.watch(wire, lambda spent: None)
    watch.unwatch(wire)  # it sleeps without end from here on
    with watch._lock:
        assert watch.busy
        watch.call(lambda: told.put("called"))
    assert told.get(timeout=LIMIT_SECONDS) == "called"


def test_a_watch_without_a_thread_calls_nothing() -> None:
    watch = IdleWatch()
    watch.call(lambda: pytest.fail("called"))
    watch.close()
    watch.call(lambda: pytest.fail("called"))
