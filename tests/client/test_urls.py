"""URLs: where to connect, what to ask for, what Host says."""

from __future__ import annotations

import pytest

import perdure
from perdure.client.urls import Origin, form_encoded, locate, with_parameters


@pytest.mark.row("R17", "R21")
@pytest.mark.parametrize(
    ("url", "origin", "target", "host"),
    [
        ("http://a.test", Origin("http", "a.test", 80), b"/", b"a.test"),
        ("HTTP://A.test:80/x", Origin("http", "a.test", 80), b"/x", b"a.test"),
        ("https://a.test:8443?q=1#f", Origin("https", "a.test", 8443), b"/?q=1", b"a.test:8443"),
        ("http://user:secret@a.test/", Origin("http", "a.test", 80), b"/", b"a.test"),
        (
            "http://[::1]:8000//b/%2e%2e/?x=%2f",
            Origin("http", "::1", 8000),
            b"//b/%2e%2e/?x=%2f",
            b"[::1]:8000",
        ),
        ("http://a.test/é x|y", Origin("http", "a.test", 80), b"/%C3%A9%20x%7Cy", b"a.test"),
        ("http://bücher.test/", Origin("http", "xn--bcher-kva.test", 80), b"/", b"xn--bcher-kva.test"),
        ("http://a.test/\r\nX: y", Origin("http", "a.test", 80), b"/%0D%0AX:%20y", b"a.test"),
    ],
)
def test_a_url_becomes_an_origin_a_target_and_a_host(
    url: str, origin: Origin, target: bytes, host: bytes
) -> None:
    location = locate(url)
    assert (location.origin, location.target, location.host) == (origin, target, host)


@pytest.mark.parametrize(
    "url",
    [
        "", "/path", "ftp://a.test/", "http://", "http:///x", "http://a.test:0/", "http://a.test:99999/",
        "http://a b/", "http://a.test\r\n/", "http://a..b/", "http://[::1/", "http://" + "a" * 64 + "/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(perdure.InvalidURL):
        locate(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter/2@host/", "http://user:hunter2@ho st/", "user:hunter2@host",
        "http://user:12345678/2@host/", "http://user:99999/hunter@host/", "ftp://user:hunter2@host/",
    ],
)  # fmt: skip
def test_a_url_that_is_refused_shows_no_password(url: str) -> None:
    with pytest.raises(perdure.InvalidURL) as caught:
        locate(url)
    assert not any(secret in str(caught.value) for secret in ("user", "hunter", "1234", "9999"))


@pytest.mark.parametrize(
    ("url", "parameters", "expected"),
    [
        ("http://a/", {"x": 1, "y": None}, "http://a/?x=1&y="),
        ("http://a/?z=1#f", [("x", "ä &"), ("x", True)], "http://a/?z=1&x=%C3%A4+%26&x=true#f"),
        ("http://a/?", "raw=1", "http://a/?raw=1"),
        ("http://a/", {}, "http://a/"),
    ],
)
def test_parameters_are_appended_to_the_query(url: str, parameters: dict[str, object], expected: str) -> None:
    assert with_parameters(url, parameters) == expected


def test_a_list_makes_a_pair_of_each_member() -> None:
    assert form_encoded({"a": [1, "b"], "c": (False,)}) == "a=1&a=b&c=false"


def test_an_origin_in_words() -> None:
    assert str(Origin("http", "::1", 80)) == "http://[::1]:80"
    assert str(Origin("http", "a", 80, unix_path="/run/x")) == "http://a:80 (/run/x)"
