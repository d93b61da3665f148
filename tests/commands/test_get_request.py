"""What the options mean for a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perdure.client.settings import ClientSettings
from perdure.commands.get_options import GetOptions
from perdure.commands.get_request import content_of, fields_of, request_of, wanted_of
from perdure.commands.outcome import CouldNot
from perdure.core.errors import Error

SETTINGS = ClientSettings()


def fields(**options: Any) -> dict[str, str | None]:
    return dict(fields_of(GetOptions(**options)))


def head(**options: Any) -> bytes:
    """The lines of the request's head."""
    options.setdefault("url", ["http://a.test/"])
    (wanted,) = wanted_of(GetOptions(**options), SETTINGS)
    request = request_of(wanted, SETTINGS)
    start = request.method + b" " + request.target + b"\r\n"
    return start + b"".join(line.octets for line in request.fields)


def test_plain_request_says_little() -> None:
    said = head()
    assert said.startswith(b"GET /\r\nHost: a.test\r\nUser-Agent: perdure/")
    assert said.endswith(b"\r\nAccept: */*\r\nAccept-Encoding: identity\r\n")


def test_url_without_a_scheme_is_http() -> None:
    (wanted,) = wanted_of(GetOptions(url=["a.test:81/b?c=http://d"]), SETTINGS)
    assert wanted.url == "http://a.test:81/b?c=http://d"


def test_field_without_a_value_leaves_a_default_out_and_with_a_semicolon_is_empty() -> None:
    said = head(header=["Accept:", "user-agent:", "Accept-Encoding:", "X-Empty;", "X-Full: a: b "])
    assert said == b"GET /\r\nHost: a.test\r\nX-Empty: \r\nX-Full: a: b\r\n"


def test_fields_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "fields"
    file.write_text("X-One: 1\n\nX-Two: 2\n", encoding="utf-8")
    assert head(header=[f"@{file}"]).endswith(b"X-One: 1\r\nX-Two: 2\r\nAccept-Encoding: identity\r\n")
    with pytest.raises(CouldNot, match="--header: absent: No such file or directory"):
        fields(header=["@absent"])


@pytest.mark.parametrize("text", ["X", ":", ": value", ""])
def test_field_that_is_none_says_what_is_expected(text: str) -> None:
    with pytest.raises(CouldNot, match="--header: NAME: VALUE expected, got"):
        fields(header=[text])


def test_credentials_are_those_of_the_field_else_of_the_option_else_of_the_url() -> None:
    url = ["http://u%3A:p%40ss@a.test/"]
    assert b"Authorization: Basic dTo6cEBzcw==\r\n" in head(url=url)
    assert b"Authorization: Basic YTpi\r\n" in head(url=url, user="a:b")
    said = head(url=url, user="a:b", header=["Authorization: Bearer x"])
    assert b"Authorization: Bearer x\r\n" in said
    assert b"Basic" not in said
    assert b"Authorization: Basic dTo=\r\n" in head(url=["http://u@a.test/"])


def test_url_of_what_is_wanted_has_no_credentials() -> None:
    (wanted,) = wanted_of(GetOptions(url=["http://u:p@a.test:81/u:p@?q#f"]), SETTINGS)
    assert wanted.url == "http://a.test:81/u:p@?q"


def test_user_without_a_password_is_an_error_where_nobody_can_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(CouldNot, match="--user: USER:PASSWORD expected, got 'u'"):
        head(user="u")


def test_short_options_are_fields_that_a_field_overrides() -> None:
    assert fields(user_agent="me", cookie=["a=1", "b=2"], compressed=True) == {
        "User-Agent": "me",
        "Cookie": "a=1; b=2",
        "Accept-Encoding": "gzip",
    }
    assert fields(user_agent="")["User-Agent"] is None
    assert fields(user_agent="me", header=["User-Agent: you"])["User-Agent"] == "you"


def test_data_is_a_form_whose_pieces_are_joined(tmp_path: Path) -> None:
    file = tmp_path / "in"
    file.write_bytes(b"b=2\r\n&c=3\n")
    options = GetOptions(data=["a=1", f"@{file}"], data_binary=[f"@{file}"])
    assert content_of(options) == b"a=1&b=2&c=3&b=2\r\n&c=3\n"
    assert options.verb == "POST"
    assert fields(data=["a"])["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Content-Type" not in fields(data=["{}"], header=["content-type: application/json"])


def test_data_goes_into_the_query_instead() -> None:
    assert head(data=["a=1", "b=2"], in_query=True).startswith(b"GET /?a=1&b=2\r\n")
    assert head(url=["http://a.test/p?x#f"], data=["a=1"], in_query=True).startswith(b"GET /p?x&a=1\r\n")
    assert b"Content-Type" not in head(data=["a=1"], in_query=True)


def test_file_is_put_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "in"
    file.write_bytes(b"as it is\r\n")
    (wanted,) = wanted_of(GetOptions(url=["http://a.test/"], upload_file=file), SETTINGS)
    assert (wanted.method, wanted.content) == ("PUT", file)
    with pytest.raises(CouldNot, match=r"--upload-file: .*absent: No such file or directory"):
        content_of(GetOptions(upload_file=tmp_path / "absent"))


@pytest.mark.parametrize(
    "options",
    [
        {"method": "B AD"},
        {"method": "P\u00c4TCH"},
        {"method": "TRACE", "data": ["content"]},
        {"header": ["Bad Name: x"]},
        {"header": ["X: a\r\nInjected: b"]},
    ],
)
def test_what_must_not_be_sent_is_refused_before_anything_is(options: dict[str, Any]) -> None:
    with pytest.raises(Error):
        wanted_of(GetOptions(url=["http://a.test/"], **options), SETTINGS)


def test_a_raw_at_sign_is_no_file_and_a_range_is_a_field() -> None:
    assert content_of(GetOptions(data=["a=1"], data_raw=["@b"])) == b"a=1&@b"
    assert b"\r\nRange: bytes=-500\r\n" in head(range="-500")
