"""Tables as bars."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from perdure.lab.table import Table
from tests.lab.outcomes import TABLE

plot = pytest.importorskip("perdure.lab.plot", reason="matplotlib is an extra", exc_type=ImportError)


def test_every_number_of_a_table_stands_beside_its_bar() -> None:
    drawn = plot.bars(TABLE)
    words = [
        element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    ]
    for expected in (
        "a <page>: strategy",
        "seconds",
        "packets",
        "serial",
        "persistent",
        "2.5",
        "400",
        "1.25",
        "90",
    ):
        assert expected in words


def test_same_table_is_the_same_picture() -> None:
    assert plot.bars(TABLE) == plot.bars(TABLE)


def test_table_without_numbers_is_not_drawn() -> None:
    assert plot.bars(Table("words", ("name", "word"), [("a", "b")])) == ""
    assert plot.bars(Table("nothing", ("name", "number"), [])) == ""
