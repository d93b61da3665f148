"""A head that is the same as the last one is forwarded the same way; any other is not."""

from __future__ import annotations

import pytest

from perdure.intermediary.forwarding import Forwarding, add_to_request, forward_response, strip_request
from perdure.intermediary.remembered import RememberedRequest, remember_response
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
