"""Waiting for one socket."""

from __future__ import annotations

import math
import socket

from perdure.wire.clock import now
from perdure.wire.poll import READ, WRITE, Waiter, look_at, milliseconds_until


def test_each_direction_is_waited_for_by_itself() -> None:
    near, far = socket.socketpair()
    with near, far:
        waiter = Waiter(near.fileno())
        assert waiter.wait(WRITE, math.inf)
        assert not waiter.wait(READ, 0.0)
        assert waiter.wait(READ | WRITE, math.inf)
        far.send(b"!")
        assert waiter.wait(READ, now() + 5)


def test_the_peers_end_makes_a_socket_readable() -> None:
    near, far = socket.socketpair()
    with near:
        far.close()
        assert Waiter(near.fileno()).wait(READ, now() + 5)


def test_a_wait_ends_at_its_deadline_and_not_before() -> None:
    near, far = socket.socketpair()
    with near, far:
        deadline = now() + 0.02
        assert not Waiter(near.fileno()).wait(READ, deadline)
        assert now() >= deadline


def test_the_time_left_is_rounded_up() -> None:
    assert milliseconds_until(math.inf) is None
    assert milliseconds_until(now() - 1) == 0
    assert milliseconds_until(now() + 0.0005) in (0, 1)


def test_a_look_sees_octets_and_the_end_and_waits_for_neither() -> None:
    near, far = socket.socketpair()
    with near:
        with far:
            look = look_at(near.fileno())
            assert not look()
            far.send(b"!")
            assert look()
            near.recv(1)
            assert not look()
        assert look()
