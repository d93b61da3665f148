"""Which method and content follow a redirect. RFC 9110 §15.4."""

from __future__ import annotations

import traceback

import pytest

import perdure
from perdure.client.content import Content
from perdure.client.headers import RequestHeaders
from perdure.client.models import ConnectionUse, Response
from perdure.client.redirects import redirected, redirected_method
from perdure.client.request import NOTHING_SAID, SaidCookies
from perdure.client.urls import locate
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
    reference: str | bytes,
    method: str = "POST",
    url: str = "http://a.test/x?q=1",
    server_hostname: str = "",
) -> perdure.Request:
    headers = RequestHeaders(make_lines([(b"Content-Type", b"text/plain"), (b"Accept", b"*/*")]))
    request = perdure.Request(method, url, headers, Content(b"hello"), server_hostname)
    octets = reference if isinstance(reference, bytes) else reference.encode()
    head = Head(status, make_lines([(b"Location", octets)]))
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
        ("/é y", "http://a.test/é y"), ("//bücher.test/", "http://bücher.test/"),
    ],
)  # fmt: skip
def test_a_location_is_relative_to_what_was_asked(reference: str, expected: str) -> None:
    assert follow(307, reference).url == expected


@pytest.mark.parametrize(
    ("octets", "target"), [(b"/caf\xc3\xa9", b"/caf%C3%A9"), (b"/caf\xe9?\xff=%41", b"/caf%E9?%FF=%41")]
)
def test_octets_that_no_uri_has_are_asked_for_as_they_came(octets: bytes, target: bytes) -> None:
    assert locate(follow(307, octets).url).target == target


@pytest.mark.parametrize(
    "reference", ["//user:hunter2@ho st/", "http://user:hunter/2@b.test/", "ftp://user:hunter2@b.test/",
                  "//user:hunter2@[b/", "//user:hunter2@b\u2100.test/", "//user:hunter2@b:99999/"]
)  # fmt: skip
def test_a_location_that_cannot_be_followed_shows_no_password(reference: str) -> None:
    with pytest.raises(perdure.RedirectError, match=r"307 to '[a-z:/]*\.\.\.': expected") as caught:
        follow(307, reference)
    told = "".join(traceback.format_exception(caught.value, limit=0))
    assert "InvalidURL" in told
    assert "hunter" not in told
    assert "user" not in told


def test_credentials_in_a_location_are_used_and_not_shown() -> None:
    following = follow(307, "http://you:there@b.test/")
    assert following.url == "http://b.test/"
    assert following.headers["authorization"] == "Basic eW91OnRoZXJl"


def test_a_name_for_tls_stays_with_its_origin() -> None:
    assert follow(307, "/y", server_hostname="n.test").server_hostname == "n.test"
    assert follow(307, "//b.test/", server_hostname="n.test").server_hostname == ""


def test_a_cookie_that_the_client_said_is_not_said_again_and_a_callers_own_is() -> None:
    def following(said: SaidCookies, reference: str = "/y") -> perdure.Request:
        request = perdure.Request("GET", "http://a.test/", RequestHeaders(make_lines([(b"Cookie", b"a=1")])))
        request.said = said
        head = Head(302, make_lines([(b"Location", reference.encode())]))
        response = Response(request.url, head, ConnectionUse(Entry(1, "", None, 0.0), 0.0), ())
        found = redirected(request, response)
        assert found is not None
        return found

    own = {"a": "1"}
    client = following(SaidCookies("a=1", own))
    assert ("cookie" in client.headers, client.said) == (False, SaidCookies("", own, False))
    assert following(NOTHING_SAID).headers["cookie"] == "a=1"
    assert following(SaidCookies("a=0")).headers["cookie"] == "a=1", "a hook changed it"
    assert following(SaidCookies("a=1", own), "//b.test/").said == SaidCookies("", {}, True)
    assert following(SaidCookies("a=1", {}, True)).said.away
