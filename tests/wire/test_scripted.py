"""ScriptedNetwork: the blocking wire's contract, against a peer of literal octets."""

from __future__ import annotations

import math

import pytest

from perdure.wire.blocking import BlockingNetwork, StreamNetwork
from perdure.wire.errors import ConnectFailed, ConnectTimeout, PeerReset, ReadTimeout, WriteTimeout
from perdure.wire.scripted import (
    CLIENT_END,
    FIN,
    REFUSED,
    RST,
    UNANSWERED,
    Deadlock,
    Exactly,
    NoAnswer,
    Pause,
    Script,
    ScriptedNetwork,
    ScriptedWire,
    Stall,
    Until,
)


def dial(*scripts: Script | NoAnswer, latency: float = 0.0) -> tuple[ScriptedNetwork, ScriptedWire]:
    def play(script: Script | NoAnswer) -> Script:
        assert not isinstance(script, NoAnswer)
        return script

    network = ScriptedNetwork([lambda s=script: play(s) for script in scripts], latency=latency)  # type: ignore[misc]  # a lambda's default
    return network, network.dial("origin.test", 80, timeout=10.0)


def test_both_networks_keep_one_contract() -> None:
    networks: list[StreamNetwork] = [BlockingNetwork(), ScriptedNetwork([])]
    assert all(isinstance(network.now(), float) for network in networks)


def test_a_script_hears_and_answers() -> None:
    heard: list[bytes] = []

    def peer() -> Script:
        heard.append((yield Until(b"\r\n")))
        yield b"one"
        heard.append((yield Exactly(2)))
        yield b"two"
        yield FIN

    network, wire = dial(peer())
    wire.send(b"first\r")
    assert not wire.readable()
    wire.send(b"\nse")
    assert wire.readable()
    assert wire.receive(max_octets=2) == b"on"
    assert wire.receive() == b"e"
    assert wire.receive() == b"two"
    assert wire.receive() == b""
    assert wire.receive() == b""
    assert heard == [b"first\r\n", b"se"]
    assert bytes(network.connections[0].client_octets) == b"first\r\nse"
    assert wire.octets_accepted == 9
    assert network.dialled == [("origin.test", 80)]


def test_time_passes_only_while_the_client_waits() -> None:
    def peer() -> Script:
        yield Exactly(1)
        yield Pause(5.0)
        yield b"late"

    network, wire = dial(peer(), latency=0.5)
    began = network.now()
    wire.send(b"?")
    assert network.now() == began
    with pytest.raises(ReadTimeout):
        wire.receive(began + 2)
    assert network.now() == began + 2
    assert wire.receive(began + 100) == b"late"
    assert network.now() == began + 6, "half a second each way and five of pause"


def test_an_idle_wire_shows_the_peers_end_once_its_time_has_come() -> None:
    def peer() -> Script:
        yield Pause(5.0)
        yield FIN

    network, wire = dial(peer())
    network.clock.advance(4.9)
    assert not wire.readable()
    network.clock.advance(0.1)
    assert wire.readable()


def test_a_reset_is_told_to_the_sender_and_to_the_receiver() -> None:
    def peer() -> Script:
        yield b"a"
        yield RST

    _, wire = dial(peer())
    assert wire.receive() == b"a"
    with pytest.raises(PeerReset):
        wire.receive()
    with pytest.raises(PeerReset):
        wire.send(b"x")


def test_a_stalled_peer_takes_so_many_octets_and_no_more() -> None:
    def peer() -> Script:
        yield Stall(3)

    network, wire = dial(peer())
    deadline = network.now() + 7
    with pytest.raises(WriteTimeout):
        wire.send(b"abcdef", deadline)
    assert wire.octets_accepted == 3
    assert network.now() == deadline


def test_an_early_response_interrupts_an_upload() -> None:
    def peer() -> Script:
        yield Stall(3)
        yield Exactly(3)
        yield Pause(1.0)
        yield b"413"

    network, wire = dial(peer())
    assert wire.send_or_receive(b"abcdef", network.now() + 10) == (3, b"413")
    _, other = dial(peer())
    assert other.send_or_receive(b"ab") == (2, None)


def test_a_script_may_wait_for_the_clients_end() -> None:
    heard: list[bytes] = []

    def peer() -> Script:
        heard.append((yield CLIENT_END))
        yield b"after your end"

    _, wire = dial(peer())
    wire.send(b"all of it")
    assert wire.half_close()
    assert heard == [b"all of it"]
    assert wire.receive() == b"after your end"
    wire.close()
    assert wire.ended_by_client == "close"
    assert wire.readable()


def test_waiting_for_ever_is_told() -> None:
    def peer() -> Script:
        yield Exactly(1)

    _, wire = dial(peer())
    with pytest.raises(Deadlock):
        wire.receive(math.inf)


def test_dialling_may_come_to_nothing() -> None:
    network = ScriptedNetwork([REFUSED, UNANSWERED])
    with pytest.raises(ConnectFailed, match=r"origin\.test:80: connecting failed: Connection refused"):
        network.dial("origin.test", 80, timeout=3.0)
    began = network.now()
    with pytest.raises(ConnectTimeout):
        network.dial("origin.test", 80, timeout=3.0)
    assert network.now() == began + 3
    with pytest.raises(ConnectFailed):
        network.dial_unix("/run/a.sock", timeout=3.0)
