"""Which method and content follow a redirect. RFC 9110 §15.4."""

from __future__ import annotations

import pytest

import perdure
from perdure.client.content import Content
from perdure.client.headers import RequestHeaders
from perdure.client.models import ConnectionUse, Response
from perdure.client.redirects import redirected, redirected_method
from perdure.core import Response as Head
from perdure.core import make_lines
from perdure.core.pool import Entry


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST"),
        (308, "POST", "POST"), (301, "PUT", "PUT"), (302, "DELETE", "DELETE"), (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"), (301, "HEAD", "HEAD"), (302, "GET", "GET"),
    ],
)  # fmt: skip
def test_the_method_that_follows(status: int, method: str, expected: str) -> None:
    assert redirected_method(method, status) == expected


def follow(
    status: int,
    reference: str,
    method: str = "POST",
    url: str = "http://a.test/x?q=1",
    server_hostname: str = "",
) -> perdure.Request:
    headers = RequestHeaders(make_lines([(b"Content-Type", b"text/plain"), (b"Accept", b"*/*")]))
    request = perdure.Request(method, url, headers, Content(b"hello"), server_hostname)
    head = Head(status, make_lines([(b"Location", reference.encode())]))
    use = ConnectionUse(Entry(1, "", None, 0.0), 0.0)
    following = redirected(request, Response(url, head, use, ()))
    assert following is not None
    return following


def test_content_follows_where_the_method_does() -> None:
    kept = follow(308, "/y")
    assert (kept.method, kept.content.whole, kept.headers["content-type"]) == ("POST", b"hello", "text/plain")
    dropped = follow(302, "/y")
    assert (dropped.method, dropped.content.length, dict(dropped.headers)) == ("GET", 0, {"accept": "*/*"})


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("/y", "http://a.test/y"), ("y", "http://a.test/y"), ("?z=2", "http://a.test/x?z=2"),
        ("//b.test", "http://b.test"), ("https://a.test/", "https://a.test/"), ("#f", "http://a.test/x?q=1#f"),
        ("/é y", "http://a.test/é y"),
    ],
)  # fmt: skip
def test_a_location_is_relative_to_what_was_asked(reference: str, expected: str) -> None:
    following = follow(307, reference)
    assert following.url == expected.encode().decode("latin-1")


def test_credentials_in_a_location_are_used_and_not_shown() -> None:
    following = follow(307, "http://you:there@b.test/")
    assert following.url == "http://b.test/"
    assert following.headers["authorization"] == "Basic eW91OnRoZXJl"


def test_a_name_for_tls_stays_with_its_origin() -> None:
    assert follow(307, "/y", server_hostname="n.test").server_hostname == "n.test"
    assert follow(307, "//b.test/", server_hostname="n.test").server_hostname == ""
