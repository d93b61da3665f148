"""How origins are named, and how a request is refused that nobody is asked for."""

from __future__ import annotations

import pytest

from perdure.client.errors import InvalidURL
from perdure.intermediary.failures import LOOP
from perdure.intermediary.origins import Refused, parse_origin


def test_origin_is_read_from_its_url() -> None:
    key, authority = parse_origin("http://Example.test:8001/")
    assert (key.host, key.port, authority) == ("example.test", 8001, b"example.test:8001")
    assert parse_origin("https://a")[0].port == 443
    assert parse_origin("http+unix:/run/a.sock")[0].unix_path == "/run/a.sock"


@pytest.mark.parametrize(
    "url", ["a:80", "ftp://a", "http://", "http://a/path", "http://a?x", "http+unix:", ""]
)
def test_what_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(InvalidURL):
        parse_origin(url)


def test_refusal_says_what_the_client_is_told() -> None:
    assert (str(Refused(LOOP)), Refused(LOOP).row) == (LOOP.sentence, LOOP)
