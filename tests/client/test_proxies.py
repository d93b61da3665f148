"""Which requests go through a proxy, what they look like then, and who sees the credentials (9112 §3.2.2)."""

from __future__ import annotations

import pytest

import perdure
from perdure.client.exemptions import Exemptions
from perdure.client.proxies import FROM_ENVIRONMENT, Proxies, Routes, make_routes, read_proxy
from perdure.client.requests import RequestMaker
from perdure.client.settings import ClientSettings
from perdure.client.urls import NextProxy, locate

BASIC = b"Basic YWxpY2U6c2VjcmV0"  # alice:secret
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *map(str.upper, VARIABLES), "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.test:3128", NextProxy("http", "proxy.test", 3128)),
        ("proxy.test:3128", NextProxy("http", "proxy.test", 3128)),
        ("HTTP://Proxy.Test/", NextProxy("http", "proxy.test", 80)),
        ("https://proxy.test", NextProxy("https", "proxy.test", 443)),
        ("http://[::1]:3128", NextProxy("http", "::1", 3128)),
        ("http://alice:secret@proxy.test", NextProxy("http", "proxy.test", 80, BASIC)),
        ("http://alic%65:s%65cret@proxy.test", NextProxy("http", "proxy.test", 80, BASIC)),
        ("alice@proxy.test", NextProxy("http", "proxy.test", 80, b"Basic YWxpY2U6")),
    ],
)
def test_the_url_of_a_proxy_is_read(url: str, proxy: NextProxy) -> None:
    assert read_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "socks5://alice:secret@proxy.test",
        "http://alice:secret@",
        "http://alice:secret@proxy.test/path",
    ],
)
def test_another_url_is_refused_without_a_word_of_its_credentials(url: str) -> None:
    with pytest.raises(perdure.InvalidURL, match="proxy: expected http://HOST:PORT") as caught:
        read_proxy(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(perdure.InvalidURL):
        perdure.Client(proxy=url)


def test_neither_a_proxy_nor_an_origin_shows_the_credentials() -> None:
    proxy = read_proxy("http://alice:secret@proxy.test:3128")
    origin = locate("https://origin.test/").origin._replace(proxy=proxy)
    assert str(origin) == "https://origin.test:443 through http://proxy.test:3128"
    assert "secret" not in repr(Proxies(url="http://alice:secret@proxy.test:3128"))
    for text in str(proxy), repr(proxy), repr(origin), repr([origin]):
        assert "proxy.test:3128" in text
        assert "secret" not in text
        assert "YWxpY2U6" not in text


def routes_of(url: str = "", no_proxy: str | None = None, tunnel: bool = False) -> Routes | None:
    return make_routes(Proxies(url=url, no_proxy=no_proxy, tunnel=tunnel), True)


def target(url: str, routes: Routes | None) -> tuple[bytes, bool]:
    """The request target for a URL, and whether a proxy reads it."""
    assert routes is not None
    location = routes.route(locate(url))
    return location.target, location.origin.asks_proxy


@pytest.mark.row("R21")
@pytest.mark.parametrize(
    ("url", "tunnel", "expected"),
    [
        ("http://origin.test/a?b=c", False, (b"http://origin.test/a?b=c", True)),
        ("http://Origin.Test:80", False, (b"http://origin.test/", True)),
        ("http://origin.test:8080/", False, (b"http://origin.test:8080/", True)),
        ("http://alice:secret@[::1]:81/", False, (b"http://[::1]:81/", True)),
        ("https://origin.test/a", False, (b"/a", False)),
        ("http://origin.test/a", True, (b"/a", False)),
        ("http://exempt.test/a", False, (b"/a", False)),
    ],
)
def test_absolute_form_is_for_proxies_alone(url: str, tunnel: bool, expected: tuple[bytes, bool]) -> None:
    assert target(url, routes_of("http://proxy.test", "exempt.test", tunnel=tunnel)) == expected


def test_connections_are_parted_by_proxy_and_origin() -> None:
    direct = locate("http://origin.test/").origin
    routes = [routes_of(f"http://{name}.test") for name in ("a", "b")]
    others = [route.route(locate("http://origin.test/")).origin for route in routes if route]
    assert len({direct, *others, others[0]._replace(host="other.test")}) == 4


def chosen(url: str) -> str:
    """The proxy that the environment chooses; "" for none."""
    routes = routes_of()
    proxy = routes.route(locate(url)).origin.proxy if routes else None
    return str(proxy or "")


def test_the_environment_names_proxies_by_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    assert routes_of() is None
    monkeypatch.setenv("http_proxy", "a.test:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://b.test:2")
    monkeypatch.setenv("no_proxy", ".exempt.test")
    assert chosen("http://origin.test/") == "http://a.test:1"
    assert chosen("https://origin.test/") == "http://b.test:2"
    assert chosen("http://www.exempt.test/") == ""
    monkeypatch.delenv("HTTPS_PROXY")
    assert chosen("https://origin.test/") == ""
    monkeypatch.setenv("ALL_PROXY", "c.test:3")
    assert chosen("http://origin.test/") == "http://a.test:1"
    assert chosen("https://origin.test/") == "http://c.test:3"


def test_lower_case_wins_over_upper_case_even_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "upper.test:1")
    assert chosen("http://origin.test/") == "http://upper.test:1"
    monkeypatch.setenv("http_proxy", "lower.test:1")
    assert chosen("http://origin.test/") == "http://lower.test:1"
    monkeypatch.setenv("http_proxy", "")
    assert chosen("http://origin.test/") == ""


def test_the_field_named_proxy_of_a_cgi_request_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("HTTP_PROXY", "attacker.test:1")
    assert chosen("http://origin.test/") == ""
    monkeypatch.setenv("http_proxy", "lower.test:1")
    assert chosen("http://origin.test/") == "http://lower.test:1"


def test_the_caller_overrules_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "environment.test:1")
    assert make_routes(None, True) is None
    assert make_routes(FROM_ENVIRONMENT, False) is None
    named = make_routes("http://named.test", False)
    assert target("http://origin.test/", named) == (b"http://origin.test/", True)
    monkeypatch.setenv("no_proxy", "origin.test")
    assert target("http://origin.test/", routes_of("http://named.test"))[1]
    exempted = routes_of(no_proxy="other.test")
    assert target("http://origin.test/", exempted)[1]
    assert not target("http://other.test/", exempted)[1]


def test_a_proxy_of_the_environment_that_cannot_be_used_hurts_only_who_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://proxy.test")
    assert chosen("http://origin.test/") == ""
    with pytest.raises(perdure.InvalidURL, match="proxy: expected"):
        chosen("https://origin.test/")


def said(
    url: str, headers: dict[str, str] | None = None, proxy: str = "alice:secret@proxy.test"
) -> list[bytes]:
    """The values of Proxy-Authorization in a request."""
    maker = RequestMaker(ClientSettings(), headers, routes=routes_of(proxy, "exempt.test"))
    fields = maker.make("GET", url, {}).request.fields
    assert list(fields) == list(maker.make("GET", url, {"params": ()}).request.fields)
    return [line.value for line in fields if line.lowered == b"proxy-authorization"]


@pytest.mark.parametrize(
    ("url", "proxy", "own", "values"),
    [
        ("http://origin.test/", "alice:secret@proxy.test", None, [BASIC]),
        ("http://origin.test/", "alice:secret@proxy.test", "Bearer x", [b"Bearer x"]),
        ("http://origin.test/", "proxy.test", "Bearer x", [b"Bearer x"]),
        ("http://origin.test/", "proxy.test", None, []),
        ("https://origin.test/", "alice:secret@proxy.test", None, []),
        ("https://origin.test/", "alice:secret@proxy.test", "Bearer x", []),
        ("http://exempt.test/", "alice:secret@proxy.test", None, []),
        ("http://exempt.test/", "alice:secret@proxy.test", "Bearer x", []),
    ],
)
def test_the_credentials_of_a_proxy_are_said_to_it_alone(
    url: str, proxy: str, own: str | None, values: list[bytes]
) -> None:
    assert said(url, {"Proxy-Authorization": own} if own else None, proxy) == values


def test_neither_a_caller_nor_the_next_origin_gets_the_credentials() -> None:
    """What a caller sees of a request, and what a redirect repeats, is made without the proxy."""
    routes = routes_of("alice:secret@proxy.test", "exempt.test")
    maker = RequestMaker(ClientSettings(), None, routes=routes)
    asked = maker.make("GET", "http://origin.test/", {})
    assert b"Proxy-Authorization" in [line.name for line in asked.request.fields]
    assert "proxy-authorization" not in asked.as_request().headers
    draft = maker.draft("GET", "http://exempt.test/", {})
    assert "proxy-authorization" not in draft.headers
    assert all(line.lowered != b"proxy-authorization" for line in maker.freeze(draft).request.fields)


def test_choices_are_remembered_within_bounds() -> None:
    routes = Routes({"all": "proxy.test"}, Exemptions(""), Proxies())
    for number in range(3000):
        routes.route(locate(f"http://{number}.test/"))
    assert len(routes._choices) <= 1024
