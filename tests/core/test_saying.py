"""A request that is like one that was said is said as it would be anew: RFC 9112 §3."""

from __future__ import annotations

import pytest

from perdure.core import ClientConnection, Request, make_lines
from perdure.core.saying import Saying, saying_of


def request(target: bytes, *pairs: tuple[bytes, bytes]) -> Request:
    return Request(b"GET", target, make_lines([(b"Host", b"a"), *pairs]))


def said(asking: Request) -> bytes:
    return ClientConnection().send_whole(asking)


def say(asking: Request) -> Request:
    """A request that was said while it kept its octets."""
    asking.prepared = {}
    said(asking)
    return asking


def again(asking: Request) -> bytes:
    """What is said for it from memory, which is what would be said anew."""
    connection = ClientConnection()
    octets = connection.say_again(asking)
    assert octets is not None
    assert connection.outstanding == 1
    asking.prepared = None
    assert octets == said(asking)
    return octets


def made(saying: Saying | None) -> Saying:
    assert saying is not None
    return saying


def test_another_target() -> None:
    saying = made(saying_of(say(request(b"/1", (b"X", b"1")))))
    assert again(saying.to(b"/22?a")) == said(request(b"/22?a", (b"X", b"1")))


@pytest.mark.parametrize("place", [1, 2, 3])
def test_another_value_of_one_field(place: int) -> None:
    pairs = [(b"X", b"1"), (b"Max", b"1"), (b"x", b"1")]
    first = say(request(b"/", *pairs))
    saying = made(saying_of(first, first.fields[place]))
    pairs[place - 1] = pairs[place - 1][0], b"22"
    assert again(saying.like(b"/2", b"22")) == said(request(b"/2", *pairs))
    assert saying.like(b"/2", b"22").fields == request(b"/2", *pairs).fields


def test_a_line_that_is_the_end_of_another_is_not_taken_for_it() -> None:
    first = say(request(b"/", (b"A-X", b"1"), (b"X", b"1")))
    saying = made(saying_of(first, first.fields[2]))
    assert again(saying.like(b"/", b"2")) == said(request(b"/", (b"A-X", b"1"), (b"X", b"2")))


def test_what_was_not_said_or_stands_in_it_twice_tells_nothing() -> None:
    assert saying_of(request(b"/")) is None
    unsaid = request(b"/")
    unsaid.prepared = {}
    assert saying_of(unsaid) is None
    twice = say(request(b"/", (b"X", b"1"), (b"X", b"1")))
    assert saying_of(twice, twice.fields[1]) is None
    once = say(request(b"/", (b"X", b"1")))
    assert saying_of(once, make_lines([(b"Y", b"1")])[0]) is None
    assert saying_of(once, once.fields[0]) is None, "Host means something to us"
