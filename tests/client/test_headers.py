"""Fields of a request, which a hook may change."""

from __future__ import annotations

import pytest

import perdure
from perdure.client.headers import RequestHeaders
from perdure.core import make_lines


def headers() -> RequestHeaders:
    return RequestHeaders(make_lines([(b"A", b"1"), (b"B", b"2"), (b"a", b"3")]))


def octets(found: RequestHeaders) -> list[bytes]:
    return [line.octets for line in found.lines]


def test_setting_a_field_replaces_all_lines_of_its_name_in_place() -> None:
    found = headers()
    found["a"] = "4"
    found["C"] = "é"
    assert octets(found) == [b"a: 4\r\n", b"B: 2\r\n", b"C: \xe9\r\n"]
    assert dict(found) == {"a": "4", "b": "2", "c": "é"}


def test_deleting_a_field_deletes_all_lines_of_its_name() -> None:
    found = headers()
    del found["a"]
    found.discard("b", "absent")
    assert octets(found) == []
    with pytest.raises(KeyError):
        del found["a"]


@pytest.mark.row("R39")
@pytest.mark.parametrize(("name", "value"), [("A", "1\r\nB: 2"), ("A B", "1"), ("A", "€")])
def test_a_field_cannot_break_out_of_its_line(name: str, value: str) -> None:
    found = headers()
    with pytest.raises(perdure.LocalProtocolError):
        found[name] = value
    assert dict(found) == dict(headers())
