"""A server as one process: signals, successors, exit statuses, over real sockets."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from perdure.server.process import bind_slots
from perdure.wire.bind import release_sockets, socket_address
from perdure.wire.errors import AddressInUse
from tests.server.programs import GET, program

HALF_A_POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello"
ENDINGS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.slow
@pytest.mark.row("R115")
@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_drains_and_the_exit_status_is_0(number: signal.Signals) -> None:
    with program(settings={"drain_grace": 0.2}) as server:
        server.hear()
        working, idle = server.dial(), server.dial()
        idle.ask()
        working.send(HALF_A_POST)
        idle.ask()
        server.tell(number)
        assert idle.at_eof(), "an idle connection ends by FIN after its grace"
        working.send(b"world")
        head, content = working.answer()
        assert content == b"%d helloworld" % server.said["process"]
        assert b"\r\nConnection: close\r\n" in head
        assert working.at_eof()
        idle.close()
        working.close()
        assert server.status() == 0


@pytest.mark.slow
def test_a_second_signal_cuts_off_what_is_left() -> None:
    with program(settings={"drain_timeout": 100.0, "drain_grace": 100.0}) as server:
        server.hear()
        client = server.dial()
        client.ask()
        client.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        server.tell(signal.SIGTERM)
        assert server.refuses()
        server.tell(signal.SIGTERM)
        with pytest.raises((ConnectionResetError, EOFError)):
            client.answer()
        assert server.status() == 0


@pytest.mark.slow
def test_a_second_signal_ends_a_shutdown_that_hangs() -> None:
    with program(shutdown="hang") as server:
        server.hear()
        server.tell(signal.SIGTERM)
        assert server.refuses()
        server.tell(signal.SIGTERM)
        assert server.status() == 0


@pytest.mark.slow
def test_a_signal_ends_a_server_that_is_still_starting() -> None:
    with program(startup="hang") as server:
        _until_handled(server.process.pid, signal.SIGTERM)
        server.tell(signal.SIGTERM)
        assert server.status() == 0


def _until_handled(pid: int, number: signal.Signals) -> None:
    """Wait until a process catches a signal (proc(5))."""
    status = Path(f"/proc/{pid}/status")
    while True:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) >> (number - 1) & 1:
            return


@pytest.mark.slow
def test_a_start_that_fails_says_why() -> None:
    with program(startup="failed") as server:
        assert server.hear() == {"kind": "StartupFailed", "error": "the application failed to start: as told"}
        assert server.status() == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_busy_port_is_an_error(workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        bind = f"127.0.0.1:{busy.getsockname()[1]}"
        with program(binds=[bind], workers=workers) as server:
            assert server.hear() == {
                "kind": "AddressInUse",
                "error": f"cannot listen on {bind}: the address is in use",
            }
            assert server.status() == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_another_server_of_ours_shares_among_its_workers_is_busy(workers: int) -> None:
    with program(workers=2) as first:
        bind = first.hear()["urls"][0].removeprefix("http://")
        with program(binds=[bind], workers=workers) as second:
            assert second.hear()["kind"] == "AddressInUse"


@pytest.mark.slow
def test_sighup_makes_the_server_anew_without_losing_a_connection(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"idle_timeout": 11.0}))
    log = tmp_path / "access.log"
    logged = {"access_log": "json", "access_log_file": str(log)}
    with program(file=str(file), settings={"drain_grace": 1.0} | logged) as server:
        server.hear()
        old = server.dial()
        old.send(GET)
        assert b"timeout=11," in old.answer()[0]
        old.send(HALF_A_POST)
        file.write_text(json.dumps({"idle_timeout": 22.0}))
        server.tell(signal.SIGHUP)
        seen = b""
        while b"timeout=22," not in seen:
            new = server.dial()
            new.send(GET)
            seen = new.answer()[0]
            new.close()
        old.send(b"world")
        head, content = old.answer()
        assert content.endswith(b" helloworld")
        assert b"\r\nConnection: close\r\n" in head
        old.close()
        server.tell(signal.SIGTERM)
        assert server.status() == 0
    records = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    closed = [record["connection_number"] for record in records if record["event"] == "close"]
    assert len(closed) == len(set(closed)) > 1, "the successor goes on with the numbers"
    assert all("process" not in record for record in records), "one process serves alone"


@pytest.mark.slow
def test_a_successor_that_cannot_be_made_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text("{}")
    with program(file=str(file)) as server:
        server.hear()
        client = server.dial()
        client.ask()
        file.write_text("no JSON")
        server.tell(signal.SIGHUP)
        server.log_until("making the server anew failed, so it stays as it was")
        client.ask()
        other = server.dial()
        other.ask()
        other.close()
        client.close()
        server.tell(signal.SIGTERM)
        assert server.status() == 0


def test_a_successor_shares_a_port_where_both_are_told_to() -> None:
    first = bind_slots(["127.0.0.1:0"], 1, share_port=True)
    successor: list[list[socket.socket]] = []
    try:
        first[0][0].listen()
        where = f"127.0.0.1:{first[0][0].getsockname()[1]}"
        successor = bind_slots([where], 2, share_port=True)
        successor[0][0].listen()
        with pytest.raises(AddressInUse):
            bind_slots([where], 2)
    finally:
        release_sockets({bound for slot in [*first, *successor] for bound in slot})


def test_each_worker_has_a_socket_of_its_own_on_one_port(tmp_path: Path) -> None:
    unix = f"unix:{tmp_path / 'socket'}"
    slots = bind_slots(["127.0.0.1:0", unix], 3)
    try:
        assert len({socket_address(slot[0]) for slot in slots}) == 1
        assert len({slot[0].fileno() for slot in slots}) == 3
        assert len({slot[1].fileno() for slot in slots}) == 1, "unix sockets cannot share an address"
        slots[0][0].listen()
        port = slots[0][0].getsockname()[1]
        with pytest.raises(AddressInUse):
            bind_slots(["127.0.0.1:0", f"127.0.0.1:{port}"], 1)
    finally:
        release_sockets({bound for slot in slots for bound in slot})
