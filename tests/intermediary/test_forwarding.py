"""What crosses, as pure functions: literal heads in, literal lines out."""

from __future__ import annotations

import pytest

from perdure.core import Interim, LocalViolation, RemoteViolation, Request, Response, make_line
from perdure.core.events import Event
from perdure.intermediary.forwarding import (
    Forwarding,
    add_to_request,
    date_line,
    forward_interim,
    forward_response,
    forward_trailers,
    max_forwards,
    readdress,
    reflection,
    refuse_response,
    seen_before,
    strip_request,
)
from tests.intermediary.heads import DATE, HOP, PLAIN, lines_of, octets, request, response


def forwarded(head: bytes, rules: Forwarding = PLAIN, end: bool = True) -> tuple[bytes, bytes]:
    """The target and the field lines that leave for the origin."""
    received = request(head, end)
    result = add_to_request(strip_request(received, rules, b"origin:9000"), received, rules, HOP)
    assert result.version == (1, 1)
    assert result.facts.hosts == tuple(line.value for line in result.fields if line.lowered == b"host")
    return result.target, octets(result.fields)


def returned(head: bytes, rules: Forwarding = PLAIN) -> bytes:
    return octets(forward_response(response(head), rules, lambda: DATE).fields)


# Requests


@pytest.mark.row("R35", "R34", "R140")
def test_unknown_and_repeated_fields_cross_in_order_and_via_says_the_version_received() -> None:
    head = b"GET /x HTTP/1.0\r\nHost: a\r\nX-A: 1\r\nX-Unknown: ?\r\nx-a: 2\r\nVia: 1.1 other\r\n"
    assert forwarded(head) == (
        b"/x",
        b"Host: a\r\nX-A: 1\r\nX-Unknown: ?\r\nx-a: 2\r\nVia: 1.1 other\r\nVia: 1.0 perdure\r\n",
    )


@pytest.mark.row("R141")
def test_via_members_of_others_are_left_alone() -> None:
    _, lines = forwarded(b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 a, 1.1 b\r\n")
    assert lines == b"Host: a\r\nVia: 1.0 a, 1.1 b\r\nVia: 1.1 perdure\r\n"


@pytest.mark.row("R131", "R132", "R133", "S11")
@pytest.mark.parametrize(
    "connection",
    [
        b"Connection: X-Hop, X-Other\r\n",
        b"Connection: x-hop\r\nCONNECTION:  X-OTHER ,close\r\n",
        b"Connection: ,, X-Other,keep-alive ,x-hop,\r\n",
    ],
)
def test_nominated_fields_and_those_of_one_hop_stay_behind(connection: bytes) -> None:
    hop_by_hop = (
        b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: deflate\r\n"
        b"Transfer-Encoding: chunked\r\nUpgrade: h2c\r\n"
    )
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Hop: 1\r\nX-Kept: 2\r\nx-other: 3\r\n" + connection + hop_by_hop
    assert forwarded(head)[1] == b"Host: a\r\nX-Kept: 2\r\nVia: 1.1 perdure\r\n"


@pytest.mark.row("R133", "R181")
def test_fields_of_one_hop_stay_behind_even_if_nothing_names_them() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: x\r\n"
    assert forwarded(head)[1] == b"Host: a\r\nVia: 1.1 perdure\r\n"


@pytest.mark.row("R135")
@pytest.mark.parametrize(
    "name",
    [
        b"Host", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"Cookie", b"Via",
        b"Max-Forwards", b"X-Forwarded-For", b"x-forwarded-anything", b"Forwarded",
    ],
)  # fmt: skip
def test_nomination_of_what_frames_routes_or_authenticates_is_refused(name: bytes) -> None:
    with pytest.raises(RemoteViolation) as caught:
        forwarded(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, " + name + b"\r\n")
    assert caught.value.status == 400


def test_a_client_cannot_remove_what_is_added_after_stripping() -> None:
    rules = Forwarding(on_request=None)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Real\r\nX-Real: forged\r\n"
    received = request(head)
    stripped = strip_request(received, rules, b"o")
    stripped.fields = [*stripped.fields, make_line(b"X-Real", b"hook")]  # what a hook would do
    assert b"X-Real: hook\r\n" in octets(add_to_request(stripped, received, rules, HOP).fields)


@pytest.mark.row("R142")
@pytest.mark.parametrize("target", [b"/a//b/%2e%2e/?x=%2f", b"/./%7Eb;c?", b"/?", b"//x", b"/a?b?c=%00"])
def test_path_and_query_cross_octet_for_octet(target: bytes) -> None:
    assert forwarded(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n")[0] == target
    assert forwarded(b"GET http://a" + target + b" HTTP/1.1\r\nHost: a\r\n")[0] == target


@pytest.mark.row("R19")
def test_authority_of_an_absolute_form_replaces_host() -> None:
    target, lines = forwarded(b"GET http://a:81/x?y HTTP/1.1\r\nHost: b\r\nX-A: 1\r\n")
    assert target == b"/x?y"
    assert lines == b"Host: a:81\r\nX-A: 1\r\nVia: 1.1 perdure\r\n"


@pytest.mark.row("R23")
@pytest.mark.parametrize(
    ("target", "sent"),
    [(b"http://a", b"*"), (b"http://a/", b"/"), (b"http://a?x", b"/?x"), (b"*", b"*"), (b"/", b"/")],
)
def test_options_for_a_whole_server_becomes_the_asterisk(target: bytes, sent: bytes) -> None:
    assert forwarded(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: a\r\n")[0] == sent


def test_get_of_an_absolute_form_without_path_asks_for_the_root() -> None:
    assert forwarded(b"GET http://a HTTP/1.1\r\nHost: a\r\n")[0] == b"/"


@pytest.mark.parametrize(
    ("host", "line", "sent"),
    [
        ("keep", b"Host: a\r\n", b"a"),
        ("origin", b"Host: a\r\n", b"origin:9000"),
        ("keep", b"", b"origin:9000"),  # HTTP/1.0 without Host
    ],
)
def test_host_is_kept_or_replaced(host: str, line: bytes, sent: bytes) -> None:
    rules = Forwarding(forwarded="leave", host="origin" if host == "origin" else "keep")
    assert forwarded(b"GET / HTTP/1.0\r\n" + line, rules)[1].startswith(b"Host: " + sent + b"\r\n")


def test_another_origin_gets_its_own_name_where_host_is_replaced() -> None:
    received = request(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n")
    rules = Forwarding(forwarded="leave", host="origin")
    result = strip_request(received, rules, b"first")
    readdress(result, received, rules, b"second")
    assert octets(result.fields) == b"Host: second\r\nX: 1\r\n"
    kept = strip_request(received, PLAIN, b"first")
    readdress(kept, received, PLAIN, b"second")
    assert octets(kept.fields) == b"Host: a\r\nX: 1\r\n"
    nameless = request(b"GET / HTTP/1.0\r\nX: 1\r\n")
    moved = strip_request(nameless, PLAIN, b"first")
    readdress(moved, nameless, PLAIN, b"second")
    assert octets(moved.fields) == b"Host: second\r\nX: 1\r\n"


FORGED = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\n"
)


def test_what_a_client_says_of_forwarding_is_replaced_by_default() -> None:
    assert forwarded(FORGED, Forwarding())[1] == (
        b"Host: a\r\nVia: 1.1 perdure\r\n"
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
    )


def test_what_a_proxy_before_us_says_is_added_to_where_it_is_trusted() -> None:
    assert forwarded(FORGED, Forwarding(forwarded="append"))[1] == (
        b"Host: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\n"
        b"Via: 1.1 perdure\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-Host: a\r\n"
    )


def test_nothing_is_said_of_forwarding_where_that_is_wanted() -> None:
    assert b"6.6.6.6\r\n" in forwarded(FORGED)[1]
    assert b"192.0.2.1" not in forwarded(FORGED)[1]


@pytest.mark.row("R83", "R134")
def test_trailers_are_asked_for_only_on_behalf_of_a_client_that_takes_them() -> None:
    wanted = b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate;q=0.5\r\nConnection: te\r\n"
    assert forwarded(wanted)[1] == b"Host: a\r\nVia: 1.1 perdure\r\nTE: trailers\r\n"
    assert b"TE" not in forwarded(b"GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n")[1]


@pytest.mark.row("R162", "R158")
@pytest.mark.parametrize(
    ("version", "end", "crosses"), [(b"1.1", False, True), (b"1.0", False, False), (b"1.1", True, False)]
)
def test_an_expectation_crosses_only_where_content_follows(version: bytes, end: bool, crosses: bool) -> None:
    head = b"POST / HTTP/" + version + b"\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n"
    assert (b"Expect" in forwarded(head, end=end)[1]) is crosses


@pytest.mark.row("R138", "R139")
@pytest.mark.parametrize(
    ("head", "hops"),
    [
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n", 0),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n", 10),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n", None),
    ],
)
def test_max_forwards_counts_for_trace_and_options(head: bytes, hops: int | None) -> None:
    assert max_forwards(request(head)) == hops


@pytest.mark.row("R138", "R139")
def test_max_forwards_is_taken_down_by_one_and_never_added() -> None:
    assert b"Max-Forwards: 0\r\n" in forwarded(b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n")[1]
    assert b"Max-Forwards: 9\r\n" in forwarded(b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n")[1]
    assert b"Max-Forwards: 0\r\n" in forwarded(b"GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n")[1]
    assert b"Max-Forwards" not in forwarded(b"OPTIONS / HTTP/1.1\r\nHost: a\r\n")[1]


@pytest.mark.parametrize("value", [b"-1", b"1x", b"", b"9999999999", b"1\r\nMax-Forwards: 2"])
def test_max_forwards_that_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(RemoteViolation):
        max_forwards(request(b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: " + value + b"\r\n"))


@pytest.mark.row("R137")
def test_our_own_mark_in_via_shows_a_loop_and_the_same_name_does_not() -> None:
    rules = Forwarding(mark=b"c0ffee")
    once = lines_of(b"Via: 1.1 a, 1.1 perdure (c0ffee)\r\n")
    assert seen_before(once, rules)
    assert not seen_before(
        lines_of(b"Via: 1.1 perdure (abcdef), 1.1 perdure\r\nX: perdure (c0ffee)\r\n"), rules
    )
    received = request(b"GET / HTTP/1.1\r\nHost: a\r\n")
    assert seen_before(
        add_to_request(strip_request(received, rules, b"o"), received, rules, HOP).fields, rules
    )


@pytest.mark.row("R137")
def test_a_loop_is_bounded_even_if_others_remove_comments() -> None:
    via = make_line(b"Via", b"1.1 perdure, 1.0 x")
    rules = Forwarding(mark=b"c0ffee")
    assert not seen_before([via] * 7, rules)
    assert seen_before([via] * 8, rules)


def test_trace_is_reflected_without_what_is_private() -> None:
    head = b"TRACE /a HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\nAuthorization: x\r\nX-A: 1\r\n"
    assert reflection(request(head)) == b"TRACE /a HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"


# Responses


@pytest.mark.row("R11", "R178", "R133")
def test_response_loses_what_was_for_us_and_gains_via_and_date() -> None:
    head = (
        b"HTTP/1.0 200 Fine\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
        b"Proxy-Connection: close\r\nUpgrade: h2c\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nX-A: 2\r\n"
    )
    assert returned(head) == b"X-A: 1\r\nX-A: 2\r\n" + DATE.octets + b"Via: 1.0 perdure\r\n"


def test_date_of_the_origin_is_kept() -> None:
    head = b"HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 2\r\n"
    assert returned(head) == b"date: then\r\nContent-Length: 2\r\nVia: 1.1 perdure\r\n"


def test_our_date_is_one_of_http() -> None:
    assert date_line().value.endswith(b" GMT")


@pytest.mark.row("R135")
def test_response_that_nominates_its_length_is_refused() -> None:
    with pytest.raises(RemoteViolation) as caught:
        returned(b"HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n")
    assert caught.value.status == 502


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
    ],
)
def test_what_nobody_asked_for_cannot_be_forwarded(head: bytes) -> None:
    with pytest.raises(RemoteViolation) as caught:
        refuse_response(response(head))
    assert caught.value.status == 502


@pytest.mark.row("R81")
def test_chunked_in_any_case_can_be_forwarded() -> None:
    refuse_response(response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n"))


def test_hook_may_change_a_response_and_its_failure_is_ours() -> None:
    def change(head: Response) -> None:
        head.status = 203
        head.fields = [*head.fields, make_line(b"X-Hook", b"1")]

    def fail(head: Response) -> None:
        raise KeyError(head.status)

    changed = forward_response(response(b"HTTP/1.1 200 OK\r\n"), Forwarding(on_response=change), lambda: DATE)
    assert changed.status == 203
    assert octets(changed.fields) == DATE.octets + b"X-Hook: 1\r\nVia: 1.1 perdure\r\n"
    with pytest.raises(LocalViolation, match="KeyError"):
        forward_response(response(b"HTTP/1.1 200 OK\r\n"), Forwarding(on_response=fail), lambda: DATE)


@pytest.mark.row("R166")
def test_interim_response_is_stripped_too() -> None:
    fields = lines_of(b"Link: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n")
    result = forward_interim(Interim(103, fields, b"Early Hints"))
    assert (result.status, result.reason_phrase) == (103, b"Early Hints")
    assert octets(result.fields) == b"Link: </a>\r\n"


@pytest.mark.row("R132", "R78")
def test_trailers_lose_what_was_nominated_and_what_frames() -> None:
    facts = response(b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\n").facts
    trailers = lines_of(b"X-Sum: 1\r\nX-Hop: 2\r\nContent-Length: 3\r\nHost: a\r\nSet-Cookie: b\r\n")
    assert octets(forward_trailers(trailers, facts, True)) == b"X-Sum: 1\r\n"
    assert not forward_trailers(trailers, facts, False)


def test_events_are_not_changed_by_forwarding_them() -> None:
    received: list[Event] = [
        request(b"GET http://a/ HTTP/1.1\r\nHost: b\r\nConnection: close\r\n"),
        response(b"HTTP/1.1 200 OK\r\nConnection: close\r\n"),
    ]
    before = [octets(event.fields) for event in received if isinstance(event, Request | Response)]
    forwarded(b"GET http://a/ HTTP/1.1\r\nHost: b\r\nConnection: close\r\n")
    assert isinstance(received[0], Request)
    strip_request(received[0], PLAIN, b"o")
    assert isinstance(received[1], Response)
    forward_response(received[1], PLAIN, lambda: DATE)
    after = [octets(event.fields) for event in received if isinstance(event, Request | Response)]
    assert before == after
