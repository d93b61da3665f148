"""Where the content of responses goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.commands.delivery import path_of
from perdure.commands.get_options import GetOptions
from perdure.commands.outcome import CouldNot
from tests.commands.conftest import Perdure
from tests.programs import Serving, serving


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://a.test/b/c.tar.gz", "c.tar.gz"),
        ("http://a.test/c?d/e", "c"),
        ("http://a.test/%2e%2e%2fpasswd", "%2e%2e%2fpasswd"),
    ],
)
def test_remote_name_is_the_last_part_of_the_path_as_it_stands(url: str, name: str) -> None:
    options = GetOptions(url=[url], remote_name=True, output_dir=Path("folder"))
    assert path_of(options, url) == Path("folder") / name


@pytest.mark.parametrize(
    "url", ["http://a.test", "http://a.test/b/", "http://a.test/..", "http://a.test/b/."]
)
def test_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(CouldNot, match="--remote-name: the name of a file expected"):
        path_of(GetOptions(url=[url], remote_name=True), url)


def test_file_of_each_url_is_written_and_the_requests_are_listed(
    perdure: Perdure, echo: Serving, tmp_path: Path
) -> None:
    result = perdure("get", "-O", "--output-dir", str(tmp_path), f"{echo.url}/a", f"{echo.url}/b")
    assert (tmp_path / "a").read_bytes().startswith(b"GET /a 1.1\n")
    assert (tmp_path / "b").read_bytes().startswith(b"GET /b 1.1\n")
    assert "2 answered, 0 failed" in result.stdout
    assert "GET /" not in result.stdout


def test_file_that_cannot_be_written_is_status_2(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-o", "absent/file", echo.url)
    assert result.stderr == "perdure: --output: absent/file: No such file or directory\n"
    assert (result.stdout, result.returncode) == ("", 2)


def test_fail_keeps_the_content_of_an_error_to_itself(
    perdure: Perdure, echo: Serving, tmp_path: Path
) -> None:
    result = perdure("get", "-f", f"{echo.url}/status/404")
    assert result.stdout == ""
    assert result.stderr == "perdure: request 1: the server answered 404 Not Found\n"
    assert result.returncode == 1
    perdure("get", "-f", "-o", str(tmp_path / "out"), f"{echo.url}/status/500")
    assert not (tmp_path / "out").exists()


def test_head_alone_is_printed(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "-I", echo.url)
    assert result.stdout.startswith("HTTP/1.1 200 OK\r\n")
    assert result.stdout.endswith("\r\n\r\n")


def test_dash_is_standard_output_with_json_too(perdure: Perdure, echo: Serving) -> None:
    result = perdure("get", "--json", "-o", "-", echo.url)
    assert result.stdout.startswith("GET / 1.1\n")
    assert '"totals"' in result.stdout


@pytest.mark.slow
def test_download_goes_on_where_its_file_ends(perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "long").write_bytes(b"0123456789")
    part = tmp_path / "part"
    part.write_bytes(b"0123")
    with serving("serve", str(tmp_path / "served")) as program:
        result = perdure("get", "-C", "-", "-o", str(part), f"{program.url}/long")
        assert (result.stderr, result.returncode, part.read_bytes()) == ("", 0, b"0123456789")
        perdure("get", "-C", "7", "-o", str(part), f"{program.url}/long")
        assert part.read_bytes() == b"0123456789"
        perdure("get", "-r", "2-4", "-o", str(part), f"{program.url}/long")
        assert part.read_bytes() == b"234"


def test_file_stays_as_it_is_where_the_server_begins_anew(
    perdure: Perdure, echo: Serving, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"0123")
    result = perdure("get", "-C", "-", "-o", str(part), echo.url)
    words = "perdure: request 1: --continue-at: 206 from octet 4 on expected of the server, got 200 OK\n"
    assert (result.stderr, result.returncode, part.read_bytes()) == (words, 1, b"0123")


@pytest.mark.slow
def test_download_that_is_complete_already_is_no_failure(perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "long").write_bytes(b"0123456789")
    part = tmp_path / "part"
    part.write_bytes(b"0123456789")
    with serving("serve", str(tmp_path / "served")) as program:
        result = perdure("get", "-f", "-C", "-", "-o", str(part), f"{program.url}/long")
        words = "perdure: --continue-at: the file is complete already\n"
        assert (result.stdout, result.stderr, result.returncode) == ("", words, 0)
        assert perdure("get", "-s", "-C", "-", "-o", str(part), f"{program.url}/long").stderr == ""
        assert part.read_bytes() == b"0123456789"
        part.write_bytes(b"0123456789+")
        result = perdure("get", "-C", "-", "-o", str(part), f"{program.url}/long")
        assert "206 from octet 11 on expected of the server, got 416" in result.stderr
        assert (result.returncode, part.read_bytes()) == (1, b"0123456789+")


def test_heads_of_all_responses_go_into_one_file(perdure: Perdure, echo: Serving, tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    perdure("get", "-n", "2", "-D", str(heads), echo.url)
    assert heads.read_bytes().count(b"HTTP/1.1 200 OK\r\n") == 2
    assert heads.read_bytes().endswith(b"\r\n\r\n")
