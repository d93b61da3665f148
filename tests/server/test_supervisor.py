"""Several workers under a supervisor, over real sockets."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.server.programs import Program, program

pytestmark = pytest.mark.slow


def pids_of(server: Program, count: int) -> set[int]:
    """Ask on new connections until so many processes have answered."""
    pids: set[int] = set()
    for _ in range(2000):
        client = server.dial()
        pids.add(client.ask())
        client.close()
        if len(pids) == count:
            return pids
    raise AssertionError(f"only {pids} answered")


def test_connections_are_spread_over_the_workers() -> None:
    with program(workers=2) as server:
        assert server.hear()["process"] == server.process.pid, "it is said once, by the supervisor"
        assert server.process.pid not in pids_of(server, 2)
        server.tell(signal.SIGTERM)
        assert server.status() == 0


@pytest.mark.row("R115")
def test_a_signal_drains_every_worker() -> None:
    with program(workers=2, settings={"drain_grace": 0.2}) as server:
        server.hear()
        clients = [server.dial() for _ in range(8)]
        for client in clients:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        idle = [server.dial() for _ in range(20)]
        assert len({client.ask() for client in idle}) == 2
        server.tell(signal.SIGTERM)
        assert all(client.at_eof() for client in idle), "both drain"
        for client in idle:
            client.close()
        for client in clients:
            client.send(b"b")
            head, content = client.answer()
            assert content.endswith(b" ab")
            assert b"\r\nConnection: close\r\n" in head
            client.close()
        assert server.status() == 0


def test_ctrl_c_reaches_the_workers_as_one_signal() -> None:
    with program(workers=2, settings={"drain_grace": 0.2}) as server:
        server.hear()
        client = server.dial()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        pids_of(server, 2)
        os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
        client.send(b"b")
        assert client.answer()[1].endswith(b" ab")
        client.close()
        assert server.status() == 0


def test_a_second_signal_cuts_off_what_is_left() -> None:
    with program(workers=2, settings={"drain_timeout": 100.0}) as server:
        server.hear()
        client = server.dial()
        client.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        pids_of(server, 2)
        server.tell(signal.SIGTERM)
        assert server.refuses()
        server.tell(signal.SIGTERM)
        assert server.status() == 0


def test_a_killed_worker_is_restarted_and_its_queue_served() -> None:
    with program(workers=2) as server:
        server.hear()
        before = pids_of(server, 2)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        after: set[int] = set()
        for _ in range(2000):  # a connection that the killed one had accepted is lost with it
            client = server.dial()
            try:
                after.add(client.ask())
            except (ConnectionResetError, EOFError):
                continue
            finally:
                client.close()
            if len(after - before) == 1:
                break
        assert len(after - before) == 1
        server.tell(signal.SIGTERM)
        assert f"worker {victim} was killed by SIGKILL" in server.end()
        assert server.process.returncode == 0


def test_sighup_replaces_every_worker_without_losing_a_request() -> None:
    with program(workers=2, settings={"drain_grace": 0.2}) as server:
        server.hear()
        before = pids_of(server, 2)
        upload = server.dial()
        upload.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        server.tell(signal.SIGHUP)
        after: set[int] = set()
        while len(after - before) < 2:
            client = server.dial()
            after.add(client.ask())
            client.close()
        upload.send(b"b")
        assert upload.answer()[1].endswith(b" ab")
        upload.close()
        server.tell(signal.SIGTERM)
        assert server.status() == 0


def test_no_two_connections_have_one_name_in_the_access_log_however_often_workers_are_replaced(
    tmp_path: Path,
) -> None:
    file = tmp_path / "access.log"
    settings = {"drain_grace": 0.2, "access_log": "json", "access_log_file": str(file)}
    with program(workers=2, settings=settings) as server:
        server.hear()
        before = pids_of(server, 2)
        server.tell(signal.SIGHUP)
        after: set[int] = set()
        while len(after - before) < 2:
            client = server.dial()
            after.add(client.ask())
            client.close()
        server.tell(signal.SIGTERM)
        assert server.status() == 0
    records = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    closes = [record for record in records if record["event"] == "close"]
    names = {(record["process"], record["connection_number"]) for record in closes}
    assert len(names) == len(closes)
    assert {process for process, _ in names} == before | after


@pytest.mark.parametrize(
    ("startup", "error"),
    [
        ("failed", "the application failed to start: as told"),
        ("exit", "ended before it accepted connections"),
    ],
)
def test_a_first_worker_that_cannot_start_is_an_error(startup: str, error: str) -> None:
    with program(workers=2, startup=startup) as server:
        assert error in server.hear()["error"]
        assert server.status() == 2


def test_a_signal_ends_workers_that_are_still_starting() -> None:
    with program(workers=2, startup="hang") as server:
        while not _children(server.process.pid):
            pass
        server.tell(signal.SIGTERM)
        assert server.status() == 0


def _children(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""
