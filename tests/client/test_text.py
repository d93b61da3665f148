"""Text and lines do not depend on how the octets are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.client.text import Lines, TextDecoder


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    return [whole[start:end] for start, end in itertools.pairwise(places)] or [whole]


EACH_LENGTH = "a\x7f\x80é\u07ff\u0800€\ufeff\uffff\U00010000😀\U0010ffff"
"""The first and the last characters of one, two, three and four octets, a mark of order, and some between."""
CUTS = st.lists(st.integers(0, 60), max_size=8)


@given(st.text(EACH_LENGTH, max_size=30), CUTS)
def test_characters_survive_any_cut(text: str, cuts: list[int]) -> None:
    decoder = TextDecoder("utf-8")
    assert "".join(map(decoder.decode, pieces(text.encode(), cuts))) + decoder.finish() == text


@given(st.text(alphabet="ab\r\n\x0b", max_size=30), CUTS)
def test_lines_survive_any_cut(text: str, cuts: list[int]) -> None:
    lines = Lines()
    found = [line for piece in pieces(text.encode(), cuts) for line in lines.split(piece.decode())]
    found += lines.finish()
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert found == (expected[:-1] if expected[-1] == "" else expected)


@pytest.mark.parametrize("charset", ["nobody-knows", "hex_codec", "base64"])
def test_a_charset_that_is_none_counts_as_utf_8(charset: str) -> None:
    assert TextDecoder(charset).decode("é".encode()) == "é"


def test_a_character_that_is_cut_off_is_replaced() -> None:
    decoder = TextDecoder("utf-8")
    assert decoder.decode(b"a\xc3") == "a"
    assert decoder.finish() == "\ufffd"
