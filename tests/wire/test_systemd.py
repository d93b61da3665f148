"""Sockets passed by systemd, and its readiness messages, over real descriptors and sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.wire.systemd import inherited_sockets, notify

TAKE_AND_ACCEPT = """
import os
os.environ["LISTEN_PID"] = str(os.getpid())
from perdure.wire.systemd import inherited_sockets
[bound] = inherited_sockets()
bound.setblocking(True)
accepted, _ = bound.accept()
accepted.sendall(b"taken " + str("LISTEN_FDS" in os.environ).encode())
"""


@pytest.mark.slow
def test_a_passed_socket_is_taken_and_its_announcement_removed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        child = subprocess.Popen(
            [sys.executable, "-c", TAKE_AND_ACCEPT],
            env={**os.environ, "LISTEN_FDS": "1"},
            preexec_fn=lambda: os.dup2(listening.fileno(), 3),  # where systemd would put it
            pass_fds=[3],
        )
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            assert client.recv(100) == b"taken False"
        assert child.wait(10) == 0


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"},
    ],
)
def test_sockets_meant_for_nobody_or_another_process_are_left_alone(environment: dict[str, str]) -> None:
    assert inherited_sockets(environment) == []


def test_readiness_reaches_the_socket_that_was_named(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(path))
        supervisor.settimeout(10)
        assert notify("READY=1", {"NOTIFY_SOCKET": str(path)})
        assert supervisor.recv(100) == b"READY=1"


def test_an_abstract_socket_is_reached_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0perdure-test-notify")
        supervisor.settimeout(10)
        assert notify("STOPPING=1", {"NOTIFY_SOCKET": "@perdure-test-notify"})
        assert supervisor.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}]
)
def test_nobody_to_notify_is_no_error(environment: dict[str, str]) -> None:
    assert not notify("READY=1", environment)
