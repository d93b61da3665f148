"""Idle connections of threads, looked at before a request that may not be repeated: RFC 9112 §9.5.

Nobody watches connections that are scripts, so that what is closed was looked at.
"""

from __future__ import annotations

import contextlib

import pytest

import perdure
from perdure.core.reason import Reason
from perdure.wire.scripted import FIN, Pause, Script, ScriptedNetwork, Until
from tests.client.conftest import BLANK, answer

URL = "http://origin.test/"
HELLO = answer(b"hello")


def lasting() -> Script:
    while True:
        yield Until(BLANK)
        yield HELLO


def ending() -> Script:
    """Closes five seconds after its response."""
    yield Until(BLANK)
    yield HELLO
    yield Pause(5.0)
    yield FIN


def lay_idle(client: perdure.Client, network: ScriptedNetwork, connections: int) -> None:
    """Let so many lie idle: the first one longest, one second before the next."""
    with contextlib.ExitStack() as opened:
        responses = [opened.enter_context(client.stream("GET", URL)) for _ in range(connections)]
        for response in responses:
            response.read()
            network.clock.advance(1.0)


@pytest.mark.row("R110")
def test_all_that_a_request_relies_on_live_when_it_is_sent() -> None:
    """The canary has ended, and the one that would prove in its place; so has the one to be used."""
    network = ScriptedNetwork([ending, ending, lasting, ending, lasting])
    with perdure.Client(network=network) as client:
        lay_idle(client, network, 4)
        network.clock.advance(6.0)
        response = client.post(URL, content=b"once")
        assert (response.text, response.connection.reused) == ("hello", False)
        assert client.statistics().closes == {Reason.PEER_CLOSED: 3}


def test_what_a_request_does_not_rely_on_is_left_to_the_watch() -> None:
    network = ScriptedNetwork([lasting, ending, ending, ending, lasting])
    with perdure.Client(network=network) as client:
        lay_idle(client, network, 5)
        network.clock.advance(10.0)
        response = client.get(URL)
        network.clock.advance(1.0)
        again = client.post(URL, content=b"once")  # proven by the first, on the last
        assert (again.connection.id, again.connection.uses) == (response.connection.id, 3)
        assert not client.statistics().closes
