"""Frames: what enters one end of a pair of interfaces is heard at the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perdure.wire.frames import FramePort, do_it_all, left_to_hardware, wait_readable
from perdure.wire.namespace import Namespace, NamespacesUnavailable

FRAME = (
    b"\x02\x00\x00\x00\x00\x02"
    + b"\x02\x00\x00\x00\x00\x01"
    + b"\x88\xb5"
    + b"a frame of nobody's protocol".ljust(46)
)
SETUP = """link add name v0 type veth peer name v1
link set dev v0 up
link set dev v1 up
"""


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    try:
        made = Namespace.create("test")
        made.set_kernel("net.ipv6.conf.default.disable_ipv6", 1)  # or its neighbours would talk, too
        made.run("ip", "-batch", "-", text=SETUP)
    except NamespacesUnavailable as error:
        pytest.skip(str(error))
    yield made
    made.close()


def test_frame_that_one_end_sends_is_heard_at_the_other(namespace: Namespace) -> None:
    with namespace.entered():
        near, far = FramePort("v0"), FramePort("v1")
    assert near.send(FRAME)
    assert wait_readable([near, far], 5.0) == [far]
    assert far.receive() == FRAME
    assert far.receive() is None
    assert near.receive() is None  # its own is not heard again
    near.close()
    far.close()


def test_waiting_without_a_frame_ends_with_its_time(namespace: Namespace) -> None:
    with namespace.entered():
        port = FramePort("v0")
    assert wait_readable([port], 0.0) == []
    port.close()


def test_frame_for_an_interface_that_is_gone_is_lost(namespace: Namespace) -> None:
    with namespace.entered():
        port = FramePort("v0")
    namespace.run("ip", "link", "delete", "dev", "v0")
    assert not port.send(FRAME)
    port.close()


def test_kernel_can_be_made_to_do_what_it_leaves_to_hardware(namespace: Namespace) -> None:
    with namespace.entered():
        before = left_to_hardware("v0")
        do_it_all("v0")
        do_it_all("no-such")  # what cannot be switched is left
        after = left_to_hardware("v0")
    assert {"send checksums", "TCP segmentation", "generic segmentation"} <= before - after


def test_interface_that_is_not_there_is_an_error(namespace: Namespace) -> None:
    with namespace.entered(), pytest.raises(OSError, match="No such device"):
        FramePort("v7")


def test_elsewhere_than_on_linux_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "plan9")
    with pytest.raises(OSError, match="plan9"):
        FramePort("v0")
