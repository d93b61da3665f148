"""Where the content of responses goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.commands.delivery import Delivery
from perdure.commands.get_options import GetOptions
from perdure.commands.outcome import CouldNot
from perdure.commands.progress import Bar
from tests.commands.conftest import Perdure
from tests.programs import Serving

UNSEEN = Bar(watched=False, counts_octets=True)


def delivery(options: GetOptions) -> Delivery:
    return Delivery(options, UNSEEN, printed=True)


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
    assert delivery(options).path_of(url) == Path("folder") / name


@pytest.mark.parametrize(
    "url", ["http://a.test", "http://a.test/b/", "http://a.test/..", "http://a.test/b/."]
)
def test_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(CouldNot, match="--remote-name: the name of a file expected"):
        delivery(GetOptions(url=[url], remote_name=True)).path_of(url)


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
