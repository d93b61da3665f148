"""Connecting elsewhere than the URL says."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.commands.destinations import Destinations
from perdure.commands.outcome import CouldNot
from tests.commands.conftest import Perdure
from tests.programs import Serving, serving


def test_everything_else_stays_as_it_is() -> None:
    assert Destinations([], [], None).find("a.test", 80) == ("a.test", 80)


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ("a.test:80:b.test:81", ("b.test", 81)),
        ("A.test:80:b.test:81", ("b.test", 81)),
        ("a.test:81:b.test:82", ("a.test", 80)),
        ("::b.test:", ("b.test", 80)),
        (":80::81", ("a.test", 81)),
        ("a.test::[::1]:8000", ("::1", 8000)),
    ],
)
def test_connect_to_names_another_host_and_port(rule: str, place: tuple[str, int]) -> None:
    assert Destinations([], [rule], None).find("a.test", 80) == place


def test_address_of_a_name_is_what_resolve_says() -> None:
    destinations = Destinations(["a.test:80:127.0.0.1", "b.test:81:[::1]"], ["c.test::b.test:81"], None)
    assert destinations.find("a.test", 80) == ("127.0.0.1", 80)
    assert destinations.find("a.test", 8080) == ("a.test", 8080)
    assert destinations.find("c.test", 80) == ("::1", 81)


@pytest.mark.parametrize("text", ["a.test", "a.test:80", "a.test:x:127.0.0.1", ":80:127.0.0.1", "a.test:80:"])
def test_resolve_that_is_none_says_what_is_expected(text: str) -> None:
    with pytest.raises(CouldNot, match="--resolve: HOST:PORT:ADDRESS expected, got"):
        Destinations([text], [], None)


@pytest.mark.parametrize("text", ["a.test:80", "a.test:80:b.test:x", "a:b:c:d:e"])
def test_connect_to_that_is_none_says_what_is_expected(text: str) -> None:
    with pytest.raises(CouldNot, match="--connect-to: HOST:PORT:HOST:PORT expected, got"):
        Destinations([], [text], None)


@pytest.mark.parametrize("how", [[], ["--pipeline", "2"]])
def test_requests_go_there_and_host_stays(perdure: Perdure, echo: Serving, how: list[str]) -> None:
    port = echo.url.rpartition(":")[2]
    for rule in (["--resolve", f"a.test:{port}:127.0.0.1"], ["--connect-to", f"::127.0.0.1:{port}"]):
        result = perdure("get", *how, "--json", *rule, f"http://a.test:{port}/")
        assert result.returncode == 0, result.stderr
    said = perdure("get", "--connect-to", f"::127.0.0.1:{port}", "http://a.test/").stdout
    assert "host=a.test " in said


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--pipeline", "2"]])
def test_unix_socket_is_dialled_whatever_the_url_says(
    perdure: Perdure, tmp_path: Path, how: list[str]
) -> None:
    (tmp_path / "index.html").write_text("by path", encoding="utf-8")
    path = tmp_path / "s"
    with serving("serve", str(tmp_path), "--bind", f"unix:{path}"):
        result = perdure("get", *how, "--unix-socket", str(path), "http://a.test/")
        assert "by path" in result.stdout or "1 answered" in result.stdout
    gone = perdure("get", *how, "--unix-socket", str(path), "http://a.test/")
    assert gone.stderr.startswith(f"perdure: unix:{path}: connecting failed: ")
    assert gone.returncode == 2
