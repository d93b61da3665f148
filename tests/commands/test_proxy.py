"""`perdure proxy` as a process, between `perdure get` and `perdure serve`."""

from __future__ import annotations

import io
import signal
import sys
import time
from pathlib import Path

import pytest

from perdure.commands.proxy import warn_of_strangers
from perdure.intermediary.passwords import parse_hash
from tests.commands.conftest import Perdure
from tests.programs import PATIENCE_SECONDS, Serving, document, serving


@pytest.mark.slow
@pytest.mark.row("S8", "S13")
def test_both_hops_persist_and_each_counts_its_own(perdure: Perdure, echo: Serving) -> None:
    with serving("proxy", "--allow", "127.0.0.1") as proxy:
        asked = perdure("get", "-n", "40", "-c", "4", "--json", "--proxy", proxy.url, echo.url)
        totals = document(asked)["totals"]
        assert (totals["answered"], totals["connections"]) == (40, 4)
        assert proxy.end() == 0
    assert (proxy.counted["connections"], proxy.counted["requests"]) == (4, 40)


@pytest.mark.slow
def test_a_tunnel_leads_to_the_ports_that_are_allowed(perdure: Perdure, echo: Serving) -> None:
    port = echo.url.rpartition(":")[2]
    through = ("get", "-p", "-i", "--proxy")
    with serving("proxy", "--allow", "127.0.0.1", "--connect-ports", port) as proxy:
        assert perdure(*through, proxy.url, echo.url).stdout.startswith("HTTP/1.1 200")
    with serving("proxy", "--allow", "127.0.0.1") as proxy:
        refused = perdure(*through, proxy.url, echo.url)
        assert (refused.returncode, "refused the tunnel: 403" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_loopback_is_refused_unless_it_is_allowed(perdure: Perdure, echo: Serving) -> None:
    with serving("proxy") as proxy:
        refused = perdure("get", "-i", "--proxy", proxy.url, echo.url)
    assert refused.stdout.startswith("HTTP/1.1 403")
    assert "error=destination_ip_prohibited" in refused.stdout
    assert refused.returncode == 1


@pytest.mark.slow
def test_who_may_use_it_stands_in_the_file(perdure: Perdure, echo: Serving, tmp_path: Path) -> None:
    hashed = perdure_hash(perdure)
    text = f'[proxy]\nallow = ["127.0.0.1"]\nauth = ["alice:{hashed}"]\nconnect_ports = [443, "8000-8080"]\n'
    (tmp_path / "perdure.toml").write_text(text, encoding="utf-8")
    with serving("proxy", "--config", "perdure.toml", folder=tmp_path) as proxy:
        assert perdure("get", "-i", "--proxy", proxy.url, echo.url).stdout.startswith("HTTP/1.1 407")
        named = proxy.url.replace("//", "//alice:wonderland@")
        assert perdure("get", "-i", "--proxy", named, echo.url).stdout.startswith("HTTP/1.1 200")


def perdure_hash(perdure: Perdure) -> str:
    """The hash of a password, as the command makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO("wonderland\n"))
        made = perdure("proxy", "--hash-password")
    assert made.returncode == 0
    return made.stdout.strip()


def test_a_hash_is_made_of_a_line_of_input(perdure: Perdure, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_hash(perdure_hash(perdure)).matches(b"wonderland")
    monkeypatch.setattr(sys, "stdin", io.StringIO("wonderland"))
    as_json = document(perdure("proxy", "--hash-password", "--json"))
    assert parse_hash(as_json["hash"]).matches(b"wonderland")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    empty = perdure("proxy", "--hash-password")
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "a password expected" in empty.stderr


@pytest.mark.parametrize(("second", "status"), [("wonderland", 0), ("wonderlamb", 2)])
def test_on_a_terminal_the_password_is_asked_for_twice(
    perdure: Perdure, monkeypatch: pytest.MonkeyPatch, second: str, status: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = ["wonderland", second]
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: said.pop(0))
    assert perdure("proxy", "--hash-password").returncode == status


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_reads_the_rules_again(perdure: Perdure, echo: Serving, tmp_path: Path, workers: int) -> None:
    file = tmp_path / "perdure.toml"
    file.write_text(f"[proxy]\nworkers = {workers}\n", encoding="utf-8")
    with serving("proxy", "--config", "perdure.toml", folder=tmp_path) as proxy:

        def asked() -> str:
            return perdure("get", "-i", "--proxy", proxy.url, echo.url).stdout[:12]

        assert asked() == "HTTP/1.1 403"
        file.write_text('[proxy]\nallow = ["127.0.0.1/33"]\n', encoding="utf-8")
        proxy.process.send_signal(signal.SIGHUP)  # which changes nothing
        assert asked() == "HTTP/1.1 403"
        file.write_text(f'[proxy]\nworkers = {workers}\nallow = ["127.0.0.1"]\n', encoding="utf-8")
        proxy.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE_SECONDS
        while asked() != "HTTP/1.1 200":
            assert time.monotonic() < until
        assert proxy.end() == 0
        assert "a network expected" in proxy.told or "a host, a .domain" in proxy.told
        # Of two workers the second may still be about to be replaced as the proxy is told to end.
        assert workers > 1 or proxy.told.splitlines()[1:] == ["reloaded perdure.toml"]


def test_who_leaves_the_proxy_open_to_strangers_is_told(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_strangers(["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:a"], [])
    warn_of_strangers([":1"], ["alice:hash"])
    assert not caplog.records
    warn_of_strangers([":1", "10.0.0.1:1"], [])
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["", "10.0.0.1"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--allow", "10.0.0.1/8"], "--allow: a network expected"),
        (["--auth", "alice:secret"], "--auth: of 'alice': a hash of `perdure proxy --hash-password`"),
        (["--connect-ports", "https"], "--connect-ports: a port such as 443"),
        (["--parent", "http://u:secret@a/b"], "--parent: http://HOST:PORT"),
        (["--parent", "foo"], "--parent: its port expected too, as in foo:3128, got 'foo'"),
        (["--bind", "8080"], "--bind: expected HOST:PORT"),
        (["--bind", ":3128", "--bind", ":"], "--bind: expected HOST:PORT or unix:PATH, got ':'"),
        (["--bind", ":3128", "--tls-cert", "absent.pem"], "--tls-cert: certificate file absent.pem: no such"),
        (["--forwarded", "x"], "--forwarded: one of"),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_status_2(
    perdure: Perdure, flags: list[str], message: str
) -> None:
    failed = perdure("proxy", *flags)
    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    assert message in failed.stderr
    assert "secret" not in failed.stderr


def test_help_says_where_it_goes_by_default(perdure: Perdure) -> None:
    shown = perdure("proxy", "--help").stdout
    assert "public addresses only" in " ".join(shown.split())
    for flag in "--allow", "--deny", "--connect-ports", "--auth", "--parent", "--bind", "--workers":
        assert flag in shown
    assert "127.0.0.1:3128" in shown
