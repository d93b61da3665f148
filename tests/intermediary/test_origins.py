"""Which origins there are, and which one is next."""

from __future__ import annotations

import pytest

from perdure.client.errors import InvalidURL
from perdure.intermediary.failures import LOOP
from perdure.intermediary.origins import Balance, Refused, parse_origin
from tests.intermediary.heads import HOP, origin, request

ANY = request(b"GET / HTTP/1.1\r\nHost: a\r\n")


def balanced(urls: list[str]) -> Balance:
    return Balance([origin(url) for url in urls])


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


def test_gateway_without_origin_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Balance([])


def test_equals_take_turns() -> None:
    balance = balanced(["http://a", "http://b", "http://c"])
    chosen = [balance.choose(ANY, HOP).key.host for _ in range(6)]
    assert sorted(chosen[:3]) == sorted(chosen[3:]) == ["a", "b", "c"]


def test_origin_with_the_fewest_exchanges_is_next() -> None:
    balance = balanced(["http://a", "http://b"])
    a, b = balance.origins
    a.outstanding = 2
    assert {balance.choose(ANY, HOP) for _ in range(4)} == {b}
    b.outstanding = 3
    assert balance.choose(ANY, HOP) is a


def test_another_origin_is_one_that_was_not_tried() -> None:
    balance = balanced(["http://a", "http://b"])
    a, b = balance.origins
    assert balance.another(a, [a]) is b
    assert balance.another(a, [a, b]) is None
    assert balanced(["http://a"]).choose(ANY, HOP).authority == b"a"
    assert str(a) == "http://a:80"


def test_refusal_says_what_the_client_is_told() -> None:
    assert (str(Refused(LOOP)), Refused(LOOP).row) == (LOOP.sentence, LOOP)
