"""no_proxy: what its members mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.client.exemptions import Exemptions


@pytest.mark.parametrize(
    ("text", "host", "port", "exempt"),
    [
        ("", "origin.test", 80, False),
        (" , ,", "origin.test", 80, False),
        ("*", "origin.test", 80, True),
        ("a.test,*", "192.0.2.1", 443, True),
        ("origin.test", "origin.test", 80, True),
        ("ORIGIN.Test", "origin.test", 80, True),
        ("origin.test.", "origin.test", 80, True),
        ("origin.test", "origin.test.", 80, True),
        ("origin.test", "www.origin.test", 80, True),
        (".origin.test", "www.origin.test", 80, True),
        (".origin.test", "origin.test", 80, True),
        ("*.origin.test", "www.origin.test", 80, True),
        ("origin.test", "notorigin.test", 80, False),
        ("www.origin.test", "origin.test", 80, False),
        ("test", "origin.test", 80, True),
        ("a.test origin.test\tb.test", "origin.test", 80, True),
        ("origin.test:8080", "origin.test", 8080, True),
        ("origin.test:8080", "origin.test", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1", "127.0.0.10", 80, False),
        ("127.0.0.1:81", "127.0.0.1", 81, True),
        ("127.0.0.1:81", "127.0.0.1", 80, False),
        ("10.0.0.0/8", "10.255.0.1", 80, True),
        ("10.1.2.3/8", "10.255.0.1", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.0.0.0/8", "10.origin.test", 80, False),
        ("10.0.0.0/8:81", "10.0.0.1", 81, True),
        ("10.0.0.0/8:81", "10.0.0.1", 80, False),
        ("0.1", "10.0.0.1", 80, False),  # an address has no parent domain
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:81", "::1", 81, True),
        ("[::1]:81", "::1", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("fd00::/8", "fe80::1", 80, False),
        ("10.0.0.0/99", "10.0.0.1", 80, False),
        ("http://origin.test", "origin.test", 80, False),
    ],
)
def test_what_is_reached_without_the_proxy(text: str, host: str, port: int, exempt: bool) -> None:
    assert Exemptions(text).exempt(host, port) is exempt


@pytest.mark.slow
@given(st.text(max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    Exemptions(text).exempt("origin.test", 80)
