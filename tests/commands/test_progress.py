"""The progress bar: on a terminal, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from perdure.commands import progress
from perdure.commands.progress import Bar
from tests.programs import COMMAND, ENVIRONMENT, PATIENCE_SECONDS, raw_server, read_heads

TERMINAL = {name: value for name, value in ENVIRONMENT.items() if name != "NO_COLOR"} | {
    "TERM": "xterm",
    "COLUMNS": "100",
}
"""A terminal that can move its cursor."""
HALF = 50_000


def read_to_the_end(terminal: int, until: threading.Event | None = None, sign: bytes = b"") -> bytes:
    """What a program writes on a terminal; `until` is set once `sign` is in it."""
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the program has ended
        while octets := os.read(terminal, 65536):
            seen += octets
            if until is not None and sign in seen:
                until.set()
    return seen


@pytest.mark.slow
def test_slow_download_has_a_bar_on_the_terminal_and_the_content_is_whole(tmp_path: Path) -> None:
    shown = threading.Event()

    def converse(connection: socket.socket) -> None:
        read_heads(connection, 1)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * HALF))
        sent = 0
        while not shown.wait(0.05) and sent < HALF:  # little by little until the bar is seen
            connection.sendall(b"x" * 100)
            sent += 100
        connection.sendall(b"x" * (2 * HALF - sent))
        read_heads(connection, 1)

    ours, theirs = pty.openpty()
    try:
        with raw_server(converse) as url:
            process = subprocess.Popen(
                [*COMMAND, "get", "-o", "file", url], stderr=theirs, env=TERMINAL, cwd=tmp_path
            )
            os.close(theirs)
            seen = read_to_the_end(ours, shown, b"kB")
            assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        os.close(ours)
    assert b"file" in seen
    assert b"100.0 kB" in seen
    assert (tmp_path / "file").read_bytes() == b"x" * 2 * HALF


def seen_of(bar: Bar, capfd: pytest.CaptureFixture[str]) -> str:
    bar.begin("requests", 10)
    for _ in range(10):
        bar.advance(1)
    bar.end()
    bar.end()
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_what_nobody_watches_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    assert seen_of(Bar(watched=False, counts_octets=False), capfd) == ""


def test_what_is_quick_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 60.0)
    assert seen_of(Bar(watched=True, counts_octets=False), capfd) == ""


def test_requests_are_counted_where_a_person_watches(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert "10/10" in seen_of(Bar(watched=True, counts_octets=False), capfd)


def test_pipe_and_dumb_terminal_are_not_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    with (tmp_path / "pipe").open("w") as file:
        assert not progress.is_watched(file)
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w") as terminal:
            monkeypatch.setenv("TERM", "xterm")
            assert progress.is_watched(terminal)
            monkeypatch.setenv("TERM", "dumb")
            assert not progress.is_watched(terminal)
    finally:
        os.close(ours)
