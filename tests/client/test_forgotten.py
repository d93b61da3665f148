"""Forgotten exchanges end wherever the garbage collector finds them, and nobody waits in vain."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import Script, ScriptedNetwork, Until
from tests.client.conftest import BLANK, answer

URL = "http://origin.test/"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc"
PATIENCE_SECONDS = 10.0


def long_one() -> Script:
    yield Until(BLANK)
    yield LONG
    yield Until(BLANK)


def short_one() -> Script:
    yield Until(BLANK)
    yield answer(b"hello")


def pieces(client: perdure.Client) -> Iterator[bytes]:
    with client.stream("GET", URL) as response:
        yield from response.iter_bytes()


class Cycle:
    """Holds something, and itself: only the garbage collector frees it."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.itself = self


def given_up_piecewise(client: perdure.Client) -> Cycle:
    reading = pieces(client)
    assert next(reading) == b"abc"
    return Cycle(reading)


def never_read(client: perdure.Client) -> Cycle:
    return Cycle(client.open(client._habits.maker.make("GET", URL, {})))


FORGETFUL = pytest.mark.parametrize("begin", [given_up_piecewise, never_read])
Begin = Callable[[perdure.Client], Cycle]


@pytest.fixture(autouse=True)
def collected_only_here() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def collect_within(lock: contextlib.AbstractContextManager[Any]) -> bool:
    """Let the garbage collector run in a thread that holds the lock; whether it came to an end."""
    over = threading.Event()

    def hold() -> None:
        with lock:
            gc.collect()
        over.set()

    threading.Thread(target=hold, daemon=True).start()
    return over.wait(PATIENCE_SECONDS)


@FORGETFUL
@pytest.mark.parametrize("lock", ["of the pool", "of the watch"])
def test_a_response_is_forgotten_within_any_lock(begin: Begin, lock: str) -> None:
    client = perdure.Client(network=ScriptedNetwork([long_one]))
    pool = client._pool
    forgotten = begin(client)
    del forgotten
    assert collect_within(pool._lock if lock == "of the pool" else pool._watch._lock)
    statistics = client.statistics()
    assert (statistics.leased, statistics.closes) == (0, {Reason.ABANDONED: 1})
    client.close()


@FORGETFUL
def test_what_is_forgotten_while_the_pool_decides_is_closed_when_it_has(begin: Begin) -> None:
    with perdure.Client(network=ScriptedNetwork([long_one])) as client:
        ended: list[Reason] = []
        client._pool.ended = lambda entry, reason: ended.append(reason)
        forgotten = begin(client)
        del forgotten
        assert collect_within(client._pool._deciding())
        assert ended == [Reason.ABANDONED]


@FORGETFUL
def test_what_is_forgotten_after_the_end_of_the_client_is_closed_at_once(begin: Begin) -> None:
    client = perdure.Client(network=ScriptedNetwork([long_one]))
    ended: list[Reason] = []
    client._pool.ended = lambda entry, reason: ended.append(reason)
    forgotten = begin(client)
    client.close()
    del forgotten
    gc.collect()
    assert ended == [Reason.ABANDONED]


@FORGETFUL
@pytest.mark.row("R108")
def test_a_thread_that_waits_gets_the_place_of_a_response_that_is_forgotten(begin: Begin) -> None:
    network = ScriptedNetwork([long_one, short_one])
    texts: list[str] = []
    with perdure.Client(network=network, max_per_origin=1, pool_timeout=1000.0) as client:

        def ask() -> None:
            texts.append(client.get(URL).text)

        forgotten = begin(client)
        waiting = threading.Thread(target=ask, daemon=True)
        waiting.start()
        while not client.statistics().waiting:
            pass
        del forgotten
        gc.collect()
        waiting.join(PATIENCE_SECONDS)
        assert texts == ["hello"]
