"""Requests: fields, defaults, and what must not be sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import perdure
from perdure.client.decoding import ACCEPT_ENCODING
from perdure.client.requests import Options, RequestMaker
from perdure.client.settings import ClientSettings

URL = "http://a.test/"


def lines(options: Options, headers: dict[str, str] | None = None) -> list[bytes]:
    asked = RequestMaker(ClientSettings(), headers).make("GET", URL, options)
    return [line.octets for line in asked.request.fields]


@pytest.mark.row("R17")
def test_host_comes_first_and_a_callers_header_replaces_ours() -> None:
    assert lines({"headers": {"accept": "text/html", "X-A": "1"}}, {"user-agent": "me"}) == [
        b"Host: a.test\r\n",
        b"Accept-Encoding: " + ACCEPT_ENCODING + b"\r\n",
        b"user-agent: me\r\n",
        b"accept: text/html\r\n",
        b"X-A: 1\r\n",
    ]
    assert lines({"headers": {"host": "b.test"}})[0] == b"host: b.test\r\n"


def test_a_plain_request_is_made_once() -> None:
    maker = RequestMaker(ClientSettings(), None)
    assert maker.make("GET", URL, {}).request is maker.make("GET", URL, {}).request
    assert maker.make("HEAD", URL, {}).request is not maker.make("GET", URL, {}).request


def test_parameters_of_an_iterator_are_in_every_request() -> None:
    maker = RequestMaker(ClientSettings(), None, params=iter([("key", "1"), ("key", "2")]))
    targets = [maker.make("GET", URL + name, {}).request.target for name in "ab"]
    assert targets == [b"/a?key=1&key=2", b"/b?key=1&key=2"]


@pytest.mark.row("R39", "R3", "R27", "R37")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nY: b"),
        ("X", "a\rb"),
        ("X", "a\r\n b"),
        ("X\r\nY", "a"),
        ("X Y", "a"),
        ("", "a"),
        ("X", "\0"),
    ],
)
def test_a_header_cannot_break_out_of_its_line(name: str, value: str) -> None:
    with pytest.raises(perdure.LocalProtocolError):
        lines({"headers": {name: value}})


@pytest.mark.row("R71", "R156")
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("TRACE", {"content": b"x"}),
        ("PUT", {"content": b"", "headers": {"Expect": "100-continue"}}),
        ("GET", {"headers": {"Expect": "100-continue"}}),
        ("GÉT", {}),
    ],
)
def test_what_must_not_be_sent_is_refused(method: str, options: Options) -> None:
    with pytest.raises(perdure.LocalProtocolError):
        RequestMaker(ClientSettings(), None).make(method, URL, options)


@pytest.mark.parametrize("options", [{"content": b"x", "json": 1}, {"content": 1}, {"content": {"a": b"b"}}])
def test_content_of_an_unknown_kind_or_of_two_is_refused(options: Options) -> None:
    with pytest.raises(TypeError, match="content: expected"):
        RequestMaker(ClientSettings(), None).make("PUT", URL, options)


def test_an_option_that_no_request_knows_is_refused_by_name() -> None:
    client = perdure.Client()
    asks: list[Callable[[], object]] = [
        lambda: client.get("http://a/", allow_redirects=True),  # type: ignore[call-arg]
        lambda: client.request("GET", "http://a/", timout=1),  # type: ignore[call-arg]
        lambda: client.get("http://a/", follow_redirects=True, jsn={}),  # type: ignore[call-arg]
    ]
    for ask in asks:
        with pytest.raises(TypeError, match="no option of a request"):
            ask()
    with pytest.raises(TypeError, match="timout: no option of a request; did you mean timeout"):
        client.get("http://a/", timout=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": "a=b"}, "form or query: a mapping or pairs expected, got 'a=b'"),
        ({"params": 3}, "form or query: a mapping or pairs expected, got 3"),
        ({"params": ["ab"]}, "form or query: a mapping or pairs expected, got 'ab' among them"),
        ({"headers": "A: b"}, "headers: a mapping or pairs expected, got 'A: b'"),
        (
            {"headers": [("A", "b", "c")]},
            "headers: a mapping or pairs expected, got ('A', 'b', 'c') among them",
        ),
        ({"headers": {"A": 1}}, "headers: text or octets expected, got 1"),
    ],
)
def test_values_of_a_wrong_kind_are_named(options: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        lines(options)
