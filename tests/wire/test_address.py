"""Addresses as people write them."""

from __future__ import annotations

import socket

import pytest

from perdure.wire.address import (
    Address,
    Bind,
    Target,
    address_text,
    interleave,
    numeric_family,
    parse_bind,
    plain_address,
    url_of,
)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8000", Bind("127.0.0.1", 8000, None)),
        ("localhost:0", Bind("localhost", 0, None)),
        (":80", Bind("", 80, None)),
        ("[::1]:8000", Bind("::1", 8000, None)),
        ("unix:/run/a:b.sock", Bind("", 0, "/run/a:b.sock")),
    ],
)
def test_a_bind_address_is_read(text: str, bind: Bind) -> None:
    assert parse_bind(text) == bind


@pytest.mark.parametrize("text", ["", "8000", "localhost", "a:b", "a:70000", "a:-1", "a:٣", "unix:"])
def test_anything_else_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT or unix:PATH, got"):
        parse_bind(text)


def test_ipv6_without_brackets_is_explained() -> None:
    with pytest.raises(ValueError, match="needs brackets"):
        parse_bind("::1:80")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80), "[::1]:80"),
        ("/run/a", "unix:/run/a"),
        (None, "?"),
    ],
)
def test_an_address_is_written(address: Address, text: str) -> None:
    assert address_text(address) == text


def test_an_address_is_written_as_a_url() -> None:
    assert url_of("https", ("::1", 443)) == "https://[::1]:443"
    assert url_of("http", "/run/a") == "http+unix:/run/a"


def test_what_the_system_gives_is_reduced() -> None:
    assert plain_address(("::1", 80, 0, 0)) == ("::1", 80)
    assert plain_address(b"\0abstract") == "\0abstract"
    assert plain_address("/run/a") == "/run/a"
    assert plain_address(None) is None


def test_literal_addresses_are_known() -> None:
    assert numeric_family("127.0.0.1") == socket.AF_INET
    assert numeric_family("::1") == socket.AF_INET6
    assert numeric_family("localhost") is None
    assert numeric_family("127.1") is None
    assert numeric_family("nul\0") is None


def test_families_alternate_beginning_with_the_favourite() -> None:
    v6 = [(socket.AF_INET6, 1, 6, "", (f"::{n}", 80, 0, 0)) for n in (1, 2, 3)]
    v4 = [(socket.AF_INET, 1, 6, "", ("10.0.0.1", 80))]
    assert [target.address[0] for target in interleave([*v6, *v4, *v6])] == ["::1", "10.0.0.1", "::2", "::3"]
    assert interleave(v4) == [Target(socket.AF_INET, ("10.0.0.1", 80))]
