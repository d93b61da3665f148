"""A bell keeps one ring."""

from __future__ import annotations

import threading

from perdure.client.bell import Bell


def test_rings_before_the_wait_are_one_and_are_taken_by_it() -> None:
    bell = Bell()
    assert not bell.wait(0.0)
    bell.ring()
    bell.ring()
    assert bell.wait(0.0)
    assert not bell.wait(0.0)


def test_a_ring_can_be_forgotten() -> None:
    bell = Bell()
    bell.clear()
    bell.ring()
    bell.clear()
    assert not bell.wait(0.0)


def test_who_waits_is_woken() -> None:
    bell = Bell()
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(bell.wait(20.0)))
    waiting.start()
    bell.ring()
    waiting.join(20.0)
    assert woken == [True]
