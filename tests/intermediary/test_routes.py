"""Which origins a request goes to: by host and path, octet for octet."""

from __future__ import annotations

import pytest

from perdure.intermediary.balance import BalanceSettings, make_group
from perdure.intermediary.failures import DOT_SEGMENTS, MISDIRECTED, NO_ROUTE, Row
from perdure.intermediary.origins import Refused
from perdure.intermediary.routes import Route, Routes, has_dot_segments, plain_host, read_host, read_path
from tests.intermediary.heads import HOP, origin, request


def routes(*named: str) -> Routes:
    """Routes such as "example.org/api"; the origin of each has its number as its host."""
    found = []
    for number, text in enumerate(named):
        host, slash, path = text.partition("/")
        group = make_group([origin(f"http://{number}")], BalanceSettings())
        found.append(Route(read_host(host), read_path(slash + path), group))
    return Routes(found)


def goes(to: Routes, target: str, host: str | None = "example.org") -> int | Row:
    """The number of the route that a request takes, or why none."""
    line = "" if host is None else f"Host: {host}\r\n"
    method = "OPTIONS" if target == "*" else "GET"
    version = "1.1" if host is not None else "1.0"
    try:
        return int(to.choose(request(f"{method} {target} HTTP/{version}\r\n{line}".encode()), HOP).key.host)
    except Refused as refused:
        return refused.row


HOSTS = routes(
    "*/", "example.org/", "*.example.org/", "*.a.example.org/", "[2001:db8::1]/", "b\u00fccher.example/"
)


@pytest.mark.parametrize(
    ("host", "number"),
    [
        ("example.org", 1),
        ("EXAMPLE.org", 1),
        ("example.org:8080", 1),
        ("example.org.", 1),
        ("example.org.:80", 1),
        ("www.example.org", 2),
        ("x.y.example.org", 2),
        ("x.a.example.org", 3),
        ("a.example.org", 2),
        ("notexample.org", 0),
        ("example.org.evil.test", 0),
        ("[2001:db8::1]", 4),
        ("[2001:DB8::1]:80", 4),
        ("[2001:db8::2]", 0),
        ("xn--bcher-kva.example", 5),
        ("", 0),
        (None, 0),
    ],
)
def test_the_most_specific_host_is_taken(host: str | None, number: int) -> None:
    assert goes(HOSTS, "/", host) == number
    assert goes(HOSTS, "/", host) == number  # it is known now


PATHS = routes("*/", "*/api", "*/api/v1", "*/static/")


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("/", 0),
        ("/api", 1),
        ("/api/", 1),
        ("/api?x", 1),
        ("/api/x", 1),
        ("/apix", 0),
        ("/api;x=1", 0),
        ("/API", 0),
        ("/api/v1", 2),
        ("/api/v1/x", 2),
        ("/api/v12", 1),
        ("/static", 0),
        ("/static/", 3),
        ("/static/x", 3),
        ("/x?/api", 0),
        ("*", 0),
    ],
)
def test_path_is_matched_by_whole_segments_the_longest_first(target: str, number: int) -> None:
    assert goes(PATHS, target) == number


@pytest.mark.parametrize("target", ["//api", "/%61pi", "/a%70i/x", "/x/api", "/x//api"])
def test_octets_decide_and_what_is_spelt_otherwise_is_another_path(target: str) -> None:
    assert goes(PATHS, target) == 0


DOTTED = [
    "/..",
    "/.",
    "/x/../api",
    "/x/..",
    "/./api",
    "/x/%2e%2e/api",
    "/x/%2E./api",
    "/x/.%2e",
    "/x%2f..%2fapi",
    "/x/..%2Fapi",
    "/x\\..\\api",
    "/x/..;/api",
    "/x/..%3bv=1/api",
    "/x/%2e%2e;v/api",
]
PLAIN = [
    "/.well-known/x",
    "/...",
    "/x/..y",
    "/x/y..",
    "/a.b/c.d",
    "/x?y=/../z",
    "/x?%2e%2e",
    "/%2e%2ex",
    "/x;..",
]


@pytest.mark.parametrize("target", DOTTED)
def test_dot_segments_are_refused_where_routes_have_paths(target: str) -> None:
    assert goes(PATHS, target) is DOT_SEGMENTS
    assert goes(HOSTS, target) == 1, "no path decides, so they cross as they are"


@pytest.mark.parametrize("target", PLAIN)
def test_what_merely_looks_like_dot_segments_passes(target: str) -> None:
    assert not has_dot_segments(target.encode().partition(b"?")[0])
    assert goes(PATHS, target) == 0


def test_absolute_form_names_host_and_path() -> None:
    to = routes("*/", "example.org/api")
    assert goes(to, "http://EXAMPLE.org:80/api?x", "example.org:80") == 1
    assert goes(to, "http://example.org", "example.org") == 0
    assert goes(to, "http://example.org?/api", "example.org") == 0
    assert goes(to, "http://other.test/api", "other.test") == 0


def test_path_that_no_route_of_a_host_names_falls_to_routes_of_any_host() -> None:
    to = routes("example.org/api", "*/", "*.org/x")
    assert goes(to, "/api") == 0
    assert goes(to, "/x") == 2
    assert goes(to, "/y") == 1


def test_where_no_route_is_for_a_request_it_is_refused() -> None:
    to = routes("example.org/api", "www.example.org/")
    assert goes(to, "/other") is NO_ROUTE
    assert goes(to, "*") is NO_ROUTE
    assert goes(to, "/api", "other.test") is MISDIRECTED
    assert goes(to, "/api", None) is MISDIRECTED


def test_many_invented_hosts_are_not_all_remembered() -> None:
    to = routes("example.org/", "*/")
    for number in range(5000):
        assert goes(to, "/", f"h{number}.test") == 1
    assert len(to._found) <= 1024
    assert goes(to, "/") == 0


def test_another_origin_is_one_of_the_same_route() -> None:
    first, second = origin("http://a"), origin("http://b")
    other = make_group([origin("http://c")], BalanceSettings())
    to = Routes([Route("", b"/a", make_group([first, second], BalanceSettings())), Route("", b"/", other)])
    assert to.another(first, [first]) is second
    assert to.another(second, [first, second]) is None


@pytest.mark.parametrize(
    "text", ["", "a:80", "a b", "a/b", "*a.example", "a.*", "*.", "*.*", "[::1", "http://a"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^host: "):
        read_host(text)


@pytest.mark.parametrize("text", ["", "api", "/a b", "/a?b", "/a#b", "/a/../b", "/%2e%2e/", "/ü", '/"'])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^path: "):
        read_path(text)


def test_route_is_named_by_host_and_path() -> None:
    assert [str(route) for route in routes("*/", "a/x", "*.b/").routes] == ["a/x", "*.b/", "*/"]
    assert plain_host(b"A.B.:80") == "a.b"
