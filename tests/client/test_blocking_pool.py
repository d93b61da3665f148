"""The ledger driven by threads: dialling, waiting, refusing; in virtual time where nobody waits."""

from __future__ import annotations

import threading

import pytest

import perdure
from perdure.core.reason import Reason
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
