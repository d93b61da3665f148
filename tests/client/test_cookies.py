"""The jar. RFC 6265."""

from __future__ import annotations

from http.cookiejar import CookieJar

import pytest

from perdure.client.cookies import Cookies, sets_cookies
from perdure.core import make_lines


def after(url: str, *values: str) -> Cookies:
    cookies = Cookies()
    cookies.take(url, make_lines([(b"Set-Cookie", value.encode()) for value in values]))
    return cookies


@pytest.mark.parametrize(
    ("set_by", "value", "asked", "sent"),
    [
        ("http://a.test/", "a=1", "http://a.test/b", "a=1"),
        ("http://a.test/", "a=1", "http://b.test/", ""),
        ("http://a.test/", "a=1", "http://sub.a.test/", ""),
        ("http://www.a.test/", "a=1; Domain=a.test", "http://sub.a.test/", "a=1"),
        ("http://a.test/", "a=1; Domain=b.test", "http://b.test/", ""),
        ("http://x.co.uk/", "a=1; Domain=co.uk", "http://y.co.uk/", ""),
        ("http://a.test/x/", "a=1; Path=/x", "http://a.test/y", ""),
        ("https://a.test/", "a=1; Secure", "http://a.test/", ""),
        ("https://a.test/", "a=1; Secure", "https://a.test/", "a=1"),
        ("http://a.test/", "a=1; Max-Age=0", "http://a.test/", ""),
        ("http://127.0.0.1:8000/", "a=1", "http://127.0.0.1:8001/", "a=1"),
        ("http://localhost/", "a=1", "http://localhost/", "a=1"),
        ("http://a.test/", 'a="x, y"', "http://a.test/", 'a="x, y"'),
    ],
)
def test_a_cookie_goes_back_where_it_may(set_by: str, value: str, asked: str, sent: str) -> None:
    assert after(set_by, value).header_for(asked) == sent


def test_every_line_is_a_cookie_of_its_own() -> None:
    cookies = after("http://a.test/", "a=1; Expires=Wed, 09 Jun 2120 10:18:14 GMT", "b=2")
    assert dict(cookies) == {"a": "1", "b": "2"}
    assert len(cookies) == 2
    del cookies["a"]
    assert "a" not in cookies
    with pytest.raises(KeyError):
        del cookies["a"]
    with pytest.raises(KeyError):
        cookies["a"]


def test_a_cookie_without_a_domain_goes_to_who_is_asked_by_name() -> None:
    cookies = Cookies({"a": "1"})
    cookies.set("b", "2", domain="b.test")
    assert cookies.header_for("http://x.test/") == "a=1"
    assert sorted(cookies.header_for("http://b.test/").split("; ")) == ["a=1", "b=2"]
    assert cookies.header_for("http://b.test/", away=True) == "b=2"
    assert cookies.header_for("http://x.test/", {"a": "3", "c": "4"}) == "a=3; c=4"


@pytest.mark.parametrize("theirs", ["theirs", "mine"])
def test_a_cookie_that_stays_behind_takes_none_of_a_servers_with_it(theirs: str) -> None:
    cookies = after("http://b.test/", f"id={theirs}")
    cookies["id"] = "mine"
    assert cookies.header_for("http://b.test/", away=True) == f"id={theirs}"
    assert cookies.header_for("http://c.test/", away=True) == ""
    cookies.set("id", "elsewhere", path="/x")
    assert cookies.header_for("http://b.test/", away=True) == f"id={theirs}"


def test_a_jar_of_the_standard_library_is_used_itself() -> None:
    jar = CookieJar()
    cookies = Cookies(jar)
    cookies["a"] = "1"
    assert [cookie.name for cookie in jar] == ["a"]
    assert Cookies(cookies).jar is jar


def test_values_are_not_shown() -> None:
    assert "secret" not in repr(Cookies({"a": "secret"}))


@pytest.mark.parametrize(("name", "value"), [("", "1"), ("a b", "1"), ("a", "1;b=2"), ("a", "1\r\nX: y")])
def test_a_cookie_cannot_break_out_of_its_place(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="cookie"):
        Cookies({name: value})


def test_a_head_that_sets_none_is_not_looked_at_twice() -> None:
    assert not sets_cookies(make_lines([(b"Cookie", b"a=1"), (b"Date", b"x")]))
    assert sets_cookies(make_lines([(b"SET-cookie", b"a=1")]))
    assert not Cookies()
