"""`perdure gateway` as a process, in front of `perdure serve` as another."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from tests.commands.conftest import Perdure
from tests.programs import ECHO, TOP, Serving, document, serving


@pytest.mark.slow
@pytest.mark.row("S8", "S11")
def test_both_hops_persist_and_each_counts_its_own(perdure: Perdure) -> None:
    with serving("serve", ECHO, folder=TOP) as origin, serving("gateway", "--to", origin.url) as gateway:
        totals = document(perdure("get", "-n", "40", "-c", "4", "--json", gateway.url))["totals"]
        assert (totals["answered"], totals["connections"]) == (40, 4)
        gateway.end()
        origin.end()
    assert (gateway.counted["connections"], gateway.counted["requests"]) == (4, 40)
    assert origin.counted["requests"] == 40
    assert 1 <= origin.counted["connections"] <= 4


@pytest.mark.slow
def test_settings_toward_origins_have_names_of_their_own(perdure: Perdure, tmp_path: Path) -> None:
    text = "[gateway]\nmax_requests = 5\norigin_max_requests = 2\n"
    (tmp_path / "perdure.toml").write_text(text, encoding="utf-8")
    with (
        serving("serve", ECHO, folder=TOP) as origin,
        serving("gateway", "--to", origin.url, "--config", "perdure.toml", folder=tmp_path) as gateway,
    ):
        perdure("get", "-n", "10", gateway.url)
        gateway.end()
        origin.end()
    assert (gateway.counted["connections"], origin.counted["connections"]) == (2, 5)


@pytest.mark.slow
def test_requests_are_spread_over_the_origins(perdure: Perdure) -> None:
    with (
        serving("serve", ECHO, folder=TOP) as first,
        serving("serve", ECHO, folder=TOP) as second,
        serving("gateway", "--to", first.url, "--to", second.url) as gateway,
    ):
        perdure("get", "-n", "10", gateway.url)
        gateway.end()
        first.end()
        second.end()
    assert first.counted["requests"] + second.counted["requests"] == 10
    assert min(first.counted["requests"], second.counted["requests"]) > 0


@pytest.mark.slow
def test_origin_that_is_not_there_is_a_bad_gateway(perdure: Perdure) -> None:
    with serving("gateway", "--to", "http://127.0.0.1:1") as gateway:
        result = perdure("get", "-i", gateway.url)
    assert result.stdout.startswith("HTTP/1.1 502")
    assert result.returncode == 1


@pytest.mark.slow
def test_routes_of_the_file_lead_where_they_say_and_change_at_a_hangup(
    perdure: Perdure, tmp_path: Path
) -> None:
    config = tmp_path / "perdure.toml"
    with serving("serve", ECHO, folder=TOP) as first, serving("serve", ECHO, folder=TOP) as second:
        config.write_text(
            f'[gateway]\n[[gateway.routes]]\npath = "/a"\nto = ["{first.url}"]\n', encoding="utf-8"
        )
        with (
            serving("gateway", "-v", "--config", str(config)) as gateway,
            contextlib.closing(Asking(gateway.url)) as client,
        ):
            assert [client.status(path) for path in ("/a", "/b", "/a/../b")] == [200, 404, 400]
            config.write_text(f'[gateway]\nidle_timeout = "x"\nto = ["{second.url}"]\n', encoding="utf-8")
            gateway.process.send_signal(signal.SIGHUP)
            assert [client.status("/a") for _ in range(20)] == [200] * 20, "the old one goes on"
            config.write_text(f'[gateway]\nto = ["{second.url}"]\n', encoding="utf-8")
            gateway.process.send_signal(signal.SIGHUP)
            while client.status("/b") == 404:
                continue
            assert client.status("/b") == 200
            gateway.end()
        first.end()
        second.end()
    assert gateway.counted["connections"] == 1, "it was never closed"
    assert "gateway.idle_timeout: a number of seconds expected" in gateway.told
    assert second.counted["requests"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_faulty_route_changes_nothing_at_a_hangup_and_a_good_one_is_told(
    tmp_path: Path, workers: str
) -> None:
    config = tmp_path / "perdure.toml"
    with serving("serve", ECHO, folder=TOP) as origin:
        good = f'[gateway]\n[[gateway.routes]]\npath = "/a"\nto = ["{origin.url}"]\n'
        config.write_text(good, encoding="utf-8")
        with serving("gateway", "--config", str(config), "--workers", workers) as gateway:
            config.write_text(good.replace("/a", "a"), encoding="utf-8")
            gateway.process.send_signal(signal.SIGHUP)
            for _ in range(20):
                with contextlib.closing(Asking(gateway.url)) as client:
                    assert client.status("/a") == 200
            config.write_text(
                good + f'[[gateway.routes]]\npath = "/b"\nto = ["{origin.url}"]\n', encoding="utf-8"
            )
            gateway.process.send_signal(signal.SIGHUP)
            told = told_until(gateway, "reloaded").splitlines()
            gateway.end()
    assert 'gateway.routes[1].path: one expected as it is sent, as in "/api", got ' in told[0]
    assert told[1:] == [f"reloaded {config}: 2 routes"]


def test_unusable_files_are_told_by_file_and_key_at_the_start(perdure: Perdure, tmp_path: Path) -> None:
    config = tmp_path / "perdure.toml"
    route = '[[gateway.routes]]\npath = "/a"\nto = ["https://127.0.0.1:1"]\n'
    for text, told in (
        (f'{route}[[gateway.routes]]\nto = ["https://127.0.0.1:1"]\norigin_ca_file = "no.pem"\n',
         "gateway.routes[2].origin_ca_file: authorities file no.pem: no such file"),
        (f'[gateway]\norigin_tls_cert = "no.pem"\n{route}',
         "gateway.origin_tls_cert: certificate file no.pem: no such file"),
        (f'[gateway]\ntls_cert = "no.pem"\n{route}',
         "gateway.tls_cert: certificate file no.pem: no such file"),
        (route.replace("/a", "a"), "gateway.routes[1].path: one expected as it is sent"),
    ):  # fmt: skip
        config.write_text(text, encoding="utf-8")
        result = perdure("gateway", "--config", str(config), "--bind", "127.0.0.1:0")
        assert result.returncode == 2
        assert f"{config}: {told}" in result.stderr
        assert result.stderr.count("\n") == 1
    result = perdure("gateway", "--to", "http://127.0.0.1:1", "--tls-cert", "no.pem", "--bind", "127.0.0.1:0")
    assert "--tls-cert: certificate file no.pem: no such file" in result.stderr


@pytest.mark.slow
def test_hangup_tells_of_files_that_are_missing_and_of_what_stays_until_a_restart(tmp_path: Path) -> None:
    config = tmp_path / "perdure.toml"
    with serving("serve", ECHO, folder=TOP) as origin:
        good = f'[gateway]\nto = ["{origin.url}"]\n'
        config.write_text(good, encoding="utf-8")
        with serving("gateway", "-v", "--config", str(config)) as gateway:
            client = Asking(gateway.url)
            assert client.status("/") == 200
            missing = (
                '[[gateway.routes]]\npath = "/a"\nto = ["https://127.0.0.1:1"]\norigin_ca_file = "no.pem"\n'
            )
            config.write_text(good + missing, encoding="utf-8")
            gateway.process.send_signal(signal.SIGHUP)
            first = told_until(gateway, "the settings stay as they were")
            config.write_text(good + "workers = 2\n", encoding="utf-8")
            gateway.process.send_signal(signal.SIGHUP)
            second = told_until(gateway, "goes on with what was read anew")
            assert client.status("/") == 200
            client.close()
            gateway.end()
    assert f"{config}: gateway.routes[1].origin_ca_file: authorities file no.pem: no such file; " in first
    assert "workers: stays 1 until a restart, though 2 was read" in second


@pytest.mark.slow
def test_hook_of_the_folder_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "our_rules.py").write_text(
        "from perdure.core import Response\n\n\ndef refuse(request):\n    return Response(403)\n",
        encoding="utf-8",
    )
    arguments = ("--to", "http://127.0.0.1:1", "--on-request", "our_rules:refuse")
    with serving("gateway", *arguments, folder=tmp_path) as gateway:
        with contextlib.closing(Asking(gateway.url)) as client:
            assert client.status("/") == 403
        gateway.end()


def told_until(gateway: Serving, words: str) -> str:
    """What it tells on standard error, up to the line with these words."""
    assert gateway.process.stderr is not None
    told = ""
    for line in gateway.process.stderr:
        told += line
        if words in line:
            return told
    raise AssertionError(told)


class Asking:
    """A connection that asks one request after the other, octet for octet."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._file = self._socket.makefile("rb")

    def status(self, path: str) -> int:
        """Ask for a path; the status."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        status = int(self._file.readline().split()[1])
        length = 0
        while line := self._file.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self._file.read(length)
        return status

    def close(self) -> None:
        self._file.close()
        self._socket.close()
