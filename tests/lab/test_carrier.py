"""The process that carries frames: it answers, it keeps to its links, and it ends with its parent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from perdure.lab.carrier import LENGTH, settings_of
from perdure.lab.link import Carried, Link, unpack
from perdure.wire.clock import now
from perdure.wire.frames import FramePort, wait_readable
from perdure.wire.namespace import Namespace
from tests.lab.machine import needs_namespaces

pytestmark = [pytest.mark.slow, needs_namespaces]

SETUP = """link add name a0 type veth peer name h0
link add name b0 type veth peer name h1
link set dev a0 up
link set dev h0 up
link set dev b0 up
link set dev h1 up
"""
FRAME = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x88\xb5".ljust(60, b"x")


class Carrying:
    """A carrier between two pairs of interfaces; hosts would have h0 and h1."""

    def __init__(self, namespace: Namespace, link: Link) -> None:
        command = [sys.executable, "-m", "perdure.lab.carrier", settings_of([(link, "a0", "b0")])]
        with namespace.entered():
            self.near, self.far = FramePort("h0"), FramePort("h1")
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.answer() == b""  # ready

    def answer(self) -> bytes:
        assert self.process.stdout is not None
        (length,) = LENGTH.unpack(self.process.stdout.read(LENGTH.size))
        return self.process.stdout.read(int(length))

    def ask(self, *command: object) -> bytes:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        return self.answer()

    def crossing_seconds(self) -> float:
        began = now()
        assert self.near.send(FRAME)
        assert wait_readable([self.far], 5.0)
        assert self.far.receive() == FRAME
        return now() - began


@pytest.fixture
def carrying() -> Iterator[Carrying]:
    namespace = Namespace.create("test")
    namespace.set_kernel("net.ipv6.conf.default.disable_ipv6", 1)
    namespace.run("ip", "-batch", "-", text=SETUP)
    made = Carrying(namespace, Link(a="a", b="b", rtt=0.1))
    yield made
    assert made.process.stdin is not None
    assert made.process.stdout is not None
    made.process.stdin.close()
    assert made.process.wait(5.0) == 0  # it ends with its standard input
    made.process.stdout.close()
    made.near.close()
    made.far.close()
    namespace.close()


def test_frames_cross_late_and_are_recorded(carrying: Carrying) -> None:
    assert carrying.crossing_seconds() >= 0.05
    [record] = unpack(carrying.ask("take"))
    assert isinstance(record, Carried)
    assert (record.link, record.forward, record.octets, record.head) == (0, True, len(FRAME), FRAME)
    assert record.left_at is not None
    assert record.left_at - record.entered_at >= 0.05
    assert carrying.ask("take") == b""


def test_link_becomes_another_and_loses_what_it_is_told_to(carrying: Carrying) -> None:
    lossy = {"a": "a", "b": "b", "rtt": 0.002, "loss": 0.999999}
    assert carrying.ask("shape", 0, lossy) == b""
    assert carrying.near.send(FRAME)
    assert wait_readable([carrying.far], 0.1) == []
    [record] = unpack(carrying.ask("take"))
    assert record.left_at is None
