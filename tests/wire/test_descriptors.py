"""The limit of descriptors is raised in a process of its own, so that the tests' is left alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ASK = "from perdure.wire.descriptors import raise_descriptor_limit as ask; print(ask(), ask())"


def limits(script: str) -> str:
    """What a process says that was started with other limits."""
    command = f'{script}; exec "$0" -c "$1"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, ASK],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert limits("ulimit -Sn 128; ulimit -Hn 512") == "512 512"


def test_a_limit_that_is_as_high_as_it_can_be_is_left_alone() -> None:
    assert limits("ulimit -n 300") == "300 300"
