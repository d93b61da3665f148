"""The Link field. RFC 8288 §3."""

from __future__ import annotations

import pytest

from perdure.client.links import links_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('</?page=2>; rel="next"', {"next": {"url": "/?page=2", "rel": "next"}}),
        (
            '<a,b>; rel=prev; title="x, \\"y\\"; <z>" , <c>;rel="next last"',
            {
                "prev": {"url": "a,b", "rel": "prev", "title": 'x, "y"; <z>'},
                "next": {"url": "c", "rel": "next last"},
                "last": {"url": "c", "rel": "next last"},
            },
        ),
        ("<d>; crossorigin", {"d": {"url": "d", "crossorigin": ""}}),
        ("nonsense; rel=next", {}),
        ("", {}),
    ],
)
def test_links_by_relation(value: str, expected: dict[str, dict[str, str]]) -> None:
    assert links_of([value]) == expected


def test_the_first_of_one_relation_stays() -> None:
    assert links_of(["<a>; rel=next", "<b>; rel=next"])["next"]["url"] == "a"
