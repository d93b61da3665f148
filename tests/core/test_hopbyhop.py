"""What was said to one hop stays there: in requests, responses and trailers (9110 §7.6.1)."""

from __future__ import annotations

import pytest

from perdure.core import Facts, FieldLine, Reason, RemoteViolation
from perdure.core.fields import HTTP_10, HTTP_11, gather, make_lines
from perdure.core.hopbyhop import (
    HOP_BY_HOP,
    MOST_OPTIONS,
    NEVER_IN_TRAILERS,
    NEVER_NOMINATED,
    refuse_nominations,
    strip,
    strip_trailers,
)

Pairs = list[tuple[bytes, bytes]]
both_directions = pytest.mark.parametrize("is_request", [True, False], ids=["request", "response"])


def head(pairs: Pairs, is_request: bool = True) -> tuple[list[FieldLine], Facts]:
    lines = make_lines(pairs)
    return lines, gather(HTTP_11, is_request, lines)


def stripped(pairs: Pairs, is_request: bool = True) -> Pairs:
    """What crosses the hop, as (name, value)."""
    return [(line.name, line.value) for line in strip(*head(pairs, is_request))]


@pytest.mark.row("R131", "R35", "S11")
@both_directions
def test_nominated_fields_stay_and_unknown_ones_cross(is_request: bool) -> None:
    pairs = [(b"Connection", b"X-Hop, close"), (b"x-hop", b"1"), (b"X-Unknown", b"1"), (b"X-Hop", b"2")]
    assert stripped(pairs, is_request) == [(b"X-Unknown", b"1")]


@pytest.mark.row("R131")
def test_nominations_of_all_connection_lines_count() -> None:
    pairs = [
        (b"Connection", b" ,X-A,, "),
        (b"X-A", b"1"),
        (b"X-B", b"2"),
        (b"Connection", b"x-b"),
        (b"X-C", b"3"),
    ]
    assert stripped(pairs) == [(b"X-C", b"3")]


@pytest.mark.row("R131")
def test_nomination_is_a_whole_token() -> None:
    assert stripped([(b"Connection", b"X-Hop"), (b"X-Hop-Count", b"1"), (b"My-X-Hop", b"2")]) == [
        (b"X-Hop-Count", b"1"),
        (b"My-X-Hop", b"2"),
    ]


@pytest.mark.row("R133", "R178", "R181")
@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
@pytest.mark.parametrize("options", [[], [(b"Connection", b"x-other")]], ids=["no option", "another option"])
@both_directions
def test_connection_specific_fields_stay_even_when_unlisted(
    name: bytes, options: Pairs, is_request: bool
) -> None:
    pairs = [*options, (name.upper(), b"x"), (b"Accept", b"*/*")]
    assert stripped(pairs, is_request) == [(b"Accept", b"*/*")]


@pytest.mark.row("R34")
def test_what_crosses_keeps_its_order_and_spelling() -> None:
    pairs = [(b"X-A", b"2"), (b"hOsT", b"h"), (b"X-A", b"1"), (b"Content-Length", b"0"), (b"x-a", b"3")]
    assert stripped(pairs) == pairs


@pytest.mark.row("R123")
def test_field_named_close_is_an_ordinary_field() -> None:
    lines, facts = head([(b"Close", b"now"), (b"Accept", b"*/*")])
    assert facts.options == frozenset()
    assert len(strip(lines, facts)) == 2


@pytest.mark.row("R135")
@pytest.mark.parametrize("name", [*sorted(NEVER_NOMINATED), b"X-Forwarded-For", b"x-forwarded-anything"])
@pytest.mark.parametrize("shape", [b"%b", b"close, %b", b",,%b ,keep-alive"])
def test_nomination_of_what_frames_routes_or_authenticates_is_refused(name: bytes, shape: bytes) -> None:
    for is_request, status in ((True, 400), (False, 502)):
        lines, facts = head([(b"Connection", shape % name.title()), (name, b"1")], is_request)
        with pytest.raises(RemoteViolation, match=r"not for one hop \(9110 §7\.6\.1\)") as caught:
            strip(lines, facts)
        assert (caught.value.status, caught.value.reason) == (status, Reason.BAD_SYNTAX)


@pytest.mark.row("R135")
@pytest.mark.parametrize("name", [b"content-length", b"x-forwarded-for", b"host"])
def test_refused_nomination_is_refused_where_the_field_is_absent_too(name: bytes) -> None:
    with pytest.raises(RemoteViolation):
        refuse_nominations(head([(b"Connection", name)])[1])


@pytest.mark.row("R135")
@pytest.mark.parametrize(
    "value", [b"close", b"keep-alive, TE", b"upgrade", b"x-forwarded", b"hostess", b"xx-forwarded-for"]
)
def test_honest_options_are_not_refused(value: bytes) -> None:
    refuse_nominations(head([(b"Connection", value)])[1])
    refuse_nominations(head([])[1])


@pytest.mark.row("R135")
def test_more_options_than_any_honest_message_has_are_refused() -> None:
    options = [b"x-%d" % number for number in range(MOST_OPTIONS + 1)]
    refuse_nominations(head([(b"Connection", b", ".join(options[1:]))])[1])
    with pytest.raises(RemoteViolation, match="11 connection options, at most 10 allowed"):
        refuse_nominations(head([(b"Connection", b", ".join(options))])[1])


@pytest.mark.row("R132")
def test_trailers_that_the_head_nominated_stay() -> None:
    _, facts = head([(b"Connection", b"x-hop"), (b"Trailer", b"X-Hop, X-Sum")], False)
    trailers = make_lines([(b"X-Hop", b"1"), (b"X-Sum", b"2")])
    assert [line.name for line in strip_trailers(trailers, facts)] == [b"X-Sum"]


@pytest.mark.row("R132", "R78", "R133")
@pytest.mark.parametrize("name", sorted(NEVER_IN_TRAILERS))
def test_trailers_that_frame_route_or_speak_of_the_connection_stay(name: bytes) -> None:
    trailers = make_lines([(name.title(), b"1"), (b"X-Sum", b"2")])
    assert [line.name for line in strip_trailers(trailers, head([])[1])] == [b"X-Sum"]


@pytest.mark.row("R136", "R143")
@pytest.mark.parametrize(
    ("version", "pairs", "upgrade"),
    [
        (HTTP_11, [(b"Upgrade", b"websocket")], ()),
        (HTTP_11, [(b"Upgrade", b"websocket"), (b"Connection", b"close")], ()),
        (HTTP_10, [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")], ()),
        (HTTP_11, [(b"Upgrade", b"WebSocket"), (b"Connection", b"close, Upgrade")], (b"websocket",)),
    ],
)
def test_upgrade_without_its_option_or_in_http_10_was_meant_for_somebody_else(
    version: tuple[int, int], pairs: Pairs, upgrade: tuple[bytes, ...]
) -> None:
    assert gather(version, True, make_lines(pairs)).upgrade == upgrade


@pytest.mark.row("R131", "R135")
@both_directions
def test_empty_first_connection_line_hides_nothing_that_follows(is_request: bool) -> None:
    """Go took the first line alone (CVE-2021-33197)."""
    pairs = [(b"Connection", b""), (b"Connection", b"x-hop"), (b"X-Hop", b"1"), (b"X-Kept", b"2")]
    assert stripped(pairs, is_request) == [(b"X-Kept", b"2")]
    with pytest.raises(RemoteViolation):
        stripped([(b"Connection", b""), (b"Connection", b"X-Forwarded-For")], is_request)


@pytest.mark.row("R135")
def test_options_of_all_lines_count_toward_the_most() -> None:
    pairs = [(b"Connection", b"x-%d" % number) for number in range(MOST_OPTIONS + 1)]
    with pytest.raises(RemoteViolation, match="11 connection options"):
        refuse_nominations(head(pairs)[1])


@pytest.mark.row("R78")
def test_trailers_never_say_who_the_client_is() -> None:
    trailers = make_lines([(b"X-Forwarded-For", b"6.6.6.6"), (b"X-Real-IP", b"6.6.6.6"), (b"X-Sum", b"2")])
    assert [line.name for line in strip_trailers(trailers, head([])[1])] == [b"X-Sum"]
