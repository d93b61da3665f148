"""The ledger driven by threads: dialling, waiting, refusing; in virtual time where nobody waits."""

from __future__ import annotations

import socket
import threading

import pytest

import perdure
from perdure.client.blocking_handle import BlockingHandle
from perdure.client.blocking_pool import BlockingPool
from perdure.client.settings import ClientSettings
from perdure.client.urls import Origin
from perdure.core.client_connection import ClientConnection
from perdure.core.pool import EntryState, TicketState
from perdure.core.reason import Reason
from perdure.wire.blocking import BlockingNetwork
from perdure.wire.scripted import REFUSED, UNANSWERED, Script, ScriptedNetwork, Until
from tests.client.conftest import BLANK, answer

HELLO = answer(b"hello")


def peer() -> Script:
    while True:
        yield Until(BLANK)
        yield HELLO


def test_a_refused_connection_says_so_and_the_next_request_dials_again() -> None:
    network = ScriptedNetwork([REFUSED, peer])
    with perdure.Client(network=network) as client:
        with pytest.raises(perdure.ConnectError) as caught:
            client.get("http://origin.test/")
        assert (caught.value.reason, caught.value.request_sent) == (Reason.CONNECT_FAILED, "no")
        assert client.get("http://origin.test/").content == b"hello"


def test_a_connection_that_nobody_answers_takes_its_time_and_no_more() -> None:
    network = ScriptedNetwork([UNANSWERED, UNANSWERED])
    with perdure.Client(network=network, connect_timeout=3.0) as client:
        for seconds, options in ((3.0, {}), (1.0, {"timeout": 1.0})):
            began = network.now()
            with pytest.raises(perdure.ConnectTimeout):
                client.request("GET", "http://origin.test/", **options)  # type: ignore[arg-type]
            assert network.now() - began == seconds


@pytest.mark.row("R108")
def test_a_thread_that_waits_gets_the_connection_that_another_releases() -> None:
    network = ScriptedNetwork([peer])
    texts: list[str] = []
    with perdure.Client(network=network, max_per_origin=1) as client:

        def ask() -> None:
            texts.append(client.get("http://origin.test/second").text)

        waiting = threading.Thread(target=ask)
        with client.stream("GET", "http://origin.test/first") as response:
            waiting.start()
            assert response.read() == b"hello"
        waiting.join(10.0)
        assert texts == ["hello"]
        assert client.statistics().connections == 1
    assert len(network.dialled) == 1


@pytest.mark.row("R108")
def test_a_request_does_not_wait_for_ever_for_a_connection() -> None:
    network = ScriptedNetwork([peer])
    with (
        perdure.Client(network=network, max_per_origin=1, pool_timeout=0.0) as client,
        client.stream("GET", "http://origin.test/"),
    ):
        with pytest.raises(perdure.PoolTimeout):
            client.get("http://origin.test/")
        assert client.statistics().waiting == 0


def test_https_is_dialled_with_its_own_context_and_name() -> None:
    network = ScriptedNetwork([peer])
    with perdure.Client(network=network, verify=False) as client:
        assert client.get("https://origin.test/").content == b"hello"
    assert network.dialled == [("origin.test", 443)]
    assert network.connections[0].tls


def test_a_request_that_may_not_be_repeated_does_not_wait_in_vain_for_an_idle_connection() -> None:
    """Nobody releases anything any more: who waits must look at the ledger's deadlines himself."""
    network = ScriptedNetwork([peer, peer])
    with perdure.Client(network=network, max_per_origin=1, pool_timeout=10.0) as client:
        client.get("http://origin.test/")
        assert client.post("http://origin.test/", content=b"").content == b"hello"
        assert client.statistics().closes == {Reason.PRESSURE: 1}


def test_a_deadline_that_comes_about_while_a_request_waits_is_kept() -> None:
    network = ScriptedNetwork([peer, peer])
    texts: list[str] = []
    with perdure.Client(network=network, max_per_origin=1, pool_timeout=10.0) as client:

        def ask() -> None:
            texts.append(client.post("http://origin.test/", content=b"").text)

        waiting = threading.Thread(target=ask)
        with client.stream("GET", "http://origin.test/") as response:
            waiting.start()
            while not client.statistics().waiting:
                pass
            response.read()
        waiting.join(5.0)
        assert texts == ["hello"]


@pytest.mark.row("R110")
def test_a_connection_that_was_granted_in_vain_is_watched() -> None:
    """Its ticket is given up between the grant and the taking: it lies idle like any other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pool = BlockingPool(ClientSettings(max_per_origin=1), BlockingNetwork(), ClientConnection)
        origin = Origin("http", *listening.getsockname())
        entry = pool.lease(origin, repeatable=True, fresh=False, timeout=None)
        answer = pool._asked(origin, pool.now(), repeatable=True, fresh=False)
        pool.release(entry, Reason.PERSISTS_11)
        assert answer.ticket.state is TicketState.GRANTED
        pool._give_up(answer.ticket)
        assert entry.state is EntryState.IDLE
        assert len(pool._watch) == 1
        pool.close()


def test_an_idle_connection_is_not_watched_while_it_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch has a thread of its own, and TLS is not to be used by two at once."""
    watched: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pool = BlockingPool(ClientSettings(), BlockingNetwork(), ClientConnection)
        origin = Origin("http", *listening.getsockname())
        entry = pool.lease(origin, repeatable=True, fresh=False, timeout=None)
        pool.release(entry, Reason.PERSISTS_11)
        examine = BlockingHandle.why_readable

        def why_readable(handle: BlockingHandle, now: float) -> Reason | None:
            watched.append(len(pool._watch))
            return examine(handle, now)

        monkeypatch.setattr(BlockingHandle, "why_readable", why_readable)
        other = pool.lease(origin, repeatable=False, fresh=False, timeout=None)
        assert watched == [0]
        assert len(pool._watch) == 1
        pool.discard(other, Reason.CANCELLED)
        pool.close()


def test_warming_dials_in_advance_and_says_how_many_there_are() -> None:
    network = ScriptedNetwork([peer] * 8)
    with perdure.Client(network=network, max_per_origin=4) as client:
        assert client.warm("http://origin.test/any/path", 3) == 3
        assert client.warm("http://origin.test/", 9) == 4
        assert client.get("http://origin.test/").connection.reused
        assert len(network.dialled) == 4


def test_warming_of_what_cannot_be_dialled_says_so() -> None:
    client = perdure.Client(network=ScriptedNetwork([REFUSED]))
    with pytest.raises(perdure.ConnectError, match="refused"):
        client.warm("http://origin.test/", 1)
    client.close()
    with pytest.raises(perdure.ClientClosed):
        client.warm("http://origin.test/", 1)


def test_a_thread_in_a_hurry_does_not_refuse_those_with_patience() -> None:
    """Its dial runs out of its own time, which says nothing of the origin."""
    network = ScriptedNetwork([UNANSWERED, peer])
    texts: list[str] = []
    with perdure.Client(network=network, max_per_origin=1) as client:
        pool = client._pool
        origin = Origin("http", "origin.test", 80)
        hasty = pool._asked(origin, pool.now(), repeatable=True, fresh=False).ticket

        def ask() -> None:
            texts.append(client.get("http://origin.test/").text)

        waiting = threading.Thread(target=ask)
        waiting.start()
        while client.statistics().waiting < 2:
            pass
        pool._dial(hasty, 0.5)  # of ten
        assert isinstance(hasty.error, perdure.ConnectTimeout)
        waiting.join(10.0)
        assert texts == ["hello"]


@pytest.mark.row("R108")
def test_a_request_whose_dial_hangs_takes_the_connection_that_comes_back_meanwhile() -> None:
    """Nothing accepts the second connection: its dial would take all of `connect_timeout`."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        pool = BlockingPool(ClientSettings(connect_timeout=20.0), BlockingNetwork(), ClientConnection)
        origin = Origin("http", *listening.getsockname())
        entry = pool.lease(origin, repeatable=True, fresh=False, timeout=None)
        leased: list[object] = []

        def ask() -> None:
            leased.append(pool.lease(origin, repeatable=True, fresh=False, timeout=None))

        waiting = threading.Thread(target=ask)
        waiting.start()
        while not pool.statistics().dialling:
            pass
        pool.release(entry, Reason.PERSISTS_11)
        waiting.join(10.0)
        assert leased == [entry]
        pool.discard(entry, Reason.CANCELLED)
        pool.close()
    while pool.statistics().dialling:  # which is refused now
        pass
