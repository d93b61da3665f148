"""Which options go together, and what they mean for the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perdure.client.settings import ClientSettings
from perdure.commands.get_options import GetOptions, adapted

URL = ["http://a.test/"]


@pytest.mark.parametrize(
    ("options", "verb"),
    [
        ({}, "GET"),
        ({"head": True}, "HEAD"),
        ({"data": ["a"]}, "POST"),
        ({"data": ["a"], "in_query": True}, "GET"),
        ({"upload_file": Path("f")}, "PUT"),
        ({"form": ["a=b"]}, "POST"),
        ({"method": "PATCH", "data": ["a"], "head": True}, "PATCH"),
    ],
)
def test_method_is_what_the_options_need_unless_it_is_named(options: dict[str, Any], verb: str) -> None:
    assert GetOptions(url=URL, **options).verb == verb


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "f", "requests": 2}, "--output and --include take one request, got 2"),
        ({"include": True, "pipeline": 2}, "--output and --include take one request, got a pipeline"),
        ({"remote_name": True, "requests": 2}, "--remote-name takes one request to each URL, got 2"),
        ({"remote_name": True, "output": "f"}, "one of --output and --remote-name expected, got both"),
        ({"upload_file": Path("f"), "data": ["a"]}, "one of --data, --form and --upload-file expected"),
        ({"form": ["a=b"], "data": ["a"]}, "one of --data, --form and --upload-file expected"),
        ({"pipeline": 2, "proxy": "http://a"}, "--pipeline goes without --location, --digest and --proxy"),
        ({"continue_at": "x", "output": "f"}, "--continue-at: a number of octets"),
        ({"continue_at": "-"}, "--continue-at: the file of one request expected in --output, got none"),
        ({"continue_at": "-", "output": "f", "range": "1-"}, "one of --range and --continue-at expected"),
        ({"range": "x"}, "--range: FIRST-LAST, FIRST- or -LAST expected, got 'x'"),
        ({"range": "9-2"}, "--range: .*, got '9-2'"),
        ({"range": "0-1,,-2"}, "--range: .*, got ''"),
        ({"pipeline": 2, "dump_header": "f"}, "--pipeline goes without --dump-header"),
        ({"key": "k"}, "key: its certificate expected in cert, got none"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GetOptions(url=URL, **options)


@pytest.mark.parametrize("part", ["0-0", "5-", "-5", "0-1, 4-, -2"])
def test_parts_of_content_are_named_as_in_http(part: str) -> None:
    assert GetOptions(url=URL, range=part).range == part


def test_client_may_open_as_many_connections_as_were_asked_for() -> None:
    settings = adapted(ClientSettings(), GetOptions(connections=200, no_keep_alive=True, http1_0=True))
    assert (settings.max_per_origin, settings.max_total) == (200, 200)
    assert (settings.persist, settings.http_version) == (False, "1.0")


def test_zero_seconds_are_any_time_and_minus_one_redirect_is_any_number_as_in_curl() -> None:
    assert GetOptions(max_time=0.0).longest is None
    assert GetOptions(max_time=0.5).longest == 0.5
    assert GetOptions(max_redirs=-1).most_redirects > 10**9
    assert GetOptions(max_redirs=0).most_redirects == 0
