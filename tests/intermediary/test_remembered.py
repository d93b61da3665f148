"""A head that is the same as the last one is forwarded the same way; any other is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import ClientConnection, RemoteViolation, Request, Response, ServerConnection, make_lines
from perdure.intermediary.forwarding import Forwarding, add_to_request, forward_response, strip_request
from perdure.intermediary.remembered import MOST_UNLIKE, TRIED_AGAIN, RememberedRequest, remember_response
from tests.intermediary.heads import DATE, HOP, PLAIN, octets, request, response


def test_remembered_request_is_forwarded_as_it_would_be_anew() -> None:
    received = request(b"GET /1 HTTP/1.1\r\nHost: a\r\nX: 1\r\n")
    sent = add_to_request(strip_request(received, PLAIN, b"o"), received, PLAIN, HOP)
    again = RememberedRequest(received, sent, PLAIN).forward(
        request(b"GET /2 HTTP/1.1\r\nHost: a\r\nX: 1\r\n"), PLAIN
    )
    assert again is not None
    assert (again.method, again.target, again.fields, again.facts) == (b"GET", b"/2", sent.fields, sent.facts)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /1 HTTP/1.1\r\nHost: b\r\nX: 1\r\n",
        b"GET /1 HTTP/1.1\r\nHost: a\r\n",
        b"GET /1 HTTP/1.1\r\nHost: a\r\nx: 1\r\n",
        b"GET /1 HTTP/1.0\r\nHost: a\r\nX: 1\r\n",
        b"GET http://b/ HTTP/1.1\r\nHost: a\r\nX: 1\r\n",
    ],
)
def test_another_head_is_not_the_remembered_one(head: bytes) -> None:
    received = request(b"GET /1 HTTP/1.1\r\nHost: a\r\nX: 1\r\n")
    remembered = RememberedRequest(received, strip_request(received, PLAIN, b"o"), PLAIN)
    assert remembered.forward(request(head), PLAIN) is None


def test_same_head_is_another_where_other_rules_hold() -> None:
    received = request(b"GET /1 HTTP/1.1\r\nHost: a\r\n")
    remembered = RememberedRequest(received, strip_request(received, PLAIN, b"o"), PLAIN)
    assert remembered.forward(received, Forwarding()) is None
    assert remembered.forward(received, PLAIN) is not None


def test_response_without_a_date_is_not_remembered() -> None:
    dated = response(b"HTTP/1.1 200 OK\r\nDate: then\r\nX: 1\r\n")
    bare = response(b"HTTP/1.1 200 OK\r\nX: 1\r\n")
    assert remember_response(bare, forward_response(bare, PLAIN, lambda: DATE)) is None
    remembered = remember_response(dated, forward_response(dated, PLAIN, lambda: DATE))
    assert remembered is not None
    again = remembered.forward(response(b"HTTP/1.1 404 No\r\nDate: then\r\nX: 1\r\n"))
    assert again is not None
    assert (again.status, octets(again.fields)) == (404, b"Date: then\r\nX: 1\r\nVia: 1.1 perdure\r\n")
    assert remembered.forward(bare) is None
    assert remembered.forward(response(b"HTTP/1.0 200 OK\r\nDate: then\r\nX: 1\r\n")) is None


NAMES = [
    b"X-Id",
    b"X-Id",
    b"Cookie",
    b"Via",
    b"X-Forwarded-For",
    b"Forwarded",
    b"Connection",
    b"TE",
    b"Max-Forwards",
]
VALUES = [b"1", b"22", b"", b"x-id", b"1.1 perdure", b"trailers", b"close, x-id"]
RULES = [Forwarding(forwarded="replace"), Forwarding(forwarded="append"), PLAIN]


def sent(forwarded: Request) -> bytes:
    return ClientConnection().send_whole(forwarded)


@given(
    st.sampled_from(RULES),
    st.lists(
        st.tuples(
            st.sampled_from([b"GET", b"GET", b"HEAD"]),
            st.sampled_from([b"/", b"/a?b", b"http://b/"]),
            st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3),
            st.integers(0, 3),
        ),
        max_size=6,
    ),
)
@pytest.mark.row("R133", "R135", "R142")
def test_whatever_was_said_before_a_head_leaves_as_it_would_alone(
    rules: Forwarding, said: list[tuple[bytes, bytes, list[tuple[bytes, bytes]], int]]
) -> None:
    inbound = ServerConnection()
    remembered: RememberedRequest | None = None
    for method, target, pairs, repeated in said:
        for number in range(repeated + 1):
            lines = [b"Host: a", *[b"%b: %b" % pair for pair in pairs], b"X-Number: %d" % number]
            head = b"%b %b HTTP/1.1\r\n" % (method, target) + b"\r\n".join([*lines, b"", b""])
            (received,) = inbound.receive(head)
            assert isinstance(received, Request)
            alone = request(head[:-2])
            try:
                expected = add_to_request(strip_request(alone, rules, b"o"), alone, rules, HOP)
            except RemoteViolation:
                return
            forwarded = remembered.forward(received, rules) if remembered is not None else None
            if forwarded is None:
                forwarded = add_to_request(strip_request(received, rules, b"o"), received, rules, HOP)
                if target.startswith(b"/"):
                    remembered = RememberedRequest(received, forwarded, rules)
            assert octets(forwarded.fields) == octets(expected.fields)
            assert sent(forwarded) == sent(expected)
            assert ClientConnection().say_again(forwarded) in (None, sent(expected))
            inbound.send_whole(Response(200))
            if not inbound.rest():
                return


def test_a_client_that_numbers_its_requests_has_them_said_from_memory() -> None:
    inbound, remembered = ServerConnection(), None
    for number in range(6):
        head = b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Id: %d\r\nAccept: */*\r\n\r\n" % (number, number)
        (received,) = inbound.receive(head)
        assert isinstance(received, Request)
        forwarded = remembered.forward(received, PLAIN) if remembered is not None else None
        assert forwarded is not None or number <= 2
        if forwarded is None:
            forwarded = add_to_request(strip_request(received, PLAIN, b"o"), received, PLAIN, HOP)
            remembered = RememberedRequest(received, forwarded, PLAIN)
        else:
            assert ClientConnection().say_again(forwarded) == sent(forwarded)
        assert b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Id: %d\r\n" % (number, number) in sent(forwarded)
        inbound.send_whole(Response(200))
        assert inbound.rest()


def test_a_head_for_other_rules_is_not_the_remembered_one() -> None:
    received = request(b"GET /1 HTTP/1.1\r\nHost: a\r\n")
    remembered = RememberedRequest(received, strip_request(received, PLAIN, b"o"), PLAIN)
    assert remembered.forward(received, Forwarding()) is None


@pytest.mark.parametrize("status", [b"101", b"408"])
def test_a_response_that_is_no_mere_answer_is_not_remembered(status: bytes) -> None:
    dated = response(b"HTTP/1.1 %b X\r\nDate: then\r\n" % status)
    assert remember_response(dated, dated) is None


# --- responses that differ in values ---


def answered(octets: bytes, method: bytes = b"GET") -> tuple[ClientConnection, Response]:
    """A connection to an origin that asked, heard this, and asked again."""
    origin = ClientConnection()
    asking = Request(method, b"/", make_lines([(b"Host", b"a")]))
    origin.send_whole(asking)
    heard = origin.receive(octets)[0]
    assert isinstance(heard, Response)
    origin.next_cycle()
    origin.send_whole(asking)
    return origin, heard


def tagged(etag: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"%b\r\nDate: a\r\nETag: %b\r\nContent-Length: 2\r\n\r\nok" % (start, etag)


def test_response_like_the_remembered_one_is_taken_with_its_own_values() -> None:
    origin, heard = answered(tagged(b"1"))
    remembered = remember_response(heard, forward_response(heard, PLAIN, lambda: DATE))
    assert remembered is not None
    taken = remembered.hear_like(origin, tagged(b"2"))
    assert taken is not None
    assert (taken[0].fields[1].value, taken[2], remembered.unlike) == (b"2", b"ok", 0)


def test_after_a_response_with_the_same_fields_another_status_is_not_taken_for_its_own() -> None:
    """The protocol may still remember the one before it, whose head can tell everything."""
    origin, heard = answered(tagged(b"1"))
    remembered = remember_response(heard, forward_response(heard, PLAIN, lambda: DATE))
    assert remembered is not None
    bad = Response(500, heard.fields, b"Bad", facts=heard.facts)
    forwarded = remembered.forward(bad)
    assert forwarded is not None
    assert forwarded.status == 500
    assert remembered.hear_like(origin, tagged(b"2")) is None


def test_response_that_says_another_version_is_not_taken_for_one_of_http_11() -> None:
    origin, heard = answered(tagged(b"1", b"HTTP/1.2 200 OK"))
    remembered = remember_response(heard, forward_response(heard, PLAIN, lambda: DATE))
    assert remembered is not None
    assert remembered.hear_like(origin, tagged(b"2")) is None


def test_reads_of_a_response_under_way_are_not_compared_and_do_not_count() -> None:
    origin, heard = answered(tagged(b"1"))
    remembered = remember_response(heard, forward_response(heard, PLAIN, lambda: DATE))
    assert remembered is not None
    origin.receive(tagged(b"2")[:-1])
    assert remembered.hear_like(origin, b"k") is None
    assert remembered.unlike == 0


def test_where_few_responses_are_alike_few_are_compared() -> None:
    origin, heard = answered(tagged(b"1"))
    remembered = remember_response(heard, forward_response(heard, PLAIN, lambda: DATE))
    assert remembered is not None
    for _ in range(MOST_UNLIKE):
        assert remembered.hear_like(origin, b"HTTP/1.1 404 Not Found\r\n\r\n") is None
    for _ in range(MOST_UNLIKE, TRIED_AGAIN - 1):
        assert remembered.hear_like(origin, tagged(b"2")) is None
    assert remembered.hear_like(origin, tagged(b"2")) is not None
    assert remembered.unlike == 0
