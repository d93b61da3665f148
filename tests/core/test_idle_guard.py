"""Octets that nobody asked for never become a response (9112 §9.2, §6.3): the guard of idle connections."""

from __future__ import annotations

import pytest

from perdure.core import ClientConnection, Data, LocalViolation, Reason, Response, State
from tests.core.harness import every_way, read_responses, request_for, responses_every_way

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INJECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def asked() -> ClientConnection:
    """A client that has sent one request."""
    client = ClientConnection()
    client.send_whole(request_for(b"GET"))
    return client


def after(octets: bytes) -> ClientConnection:
    """A client that has read one response, and begun the next cycle."""
    client = asked()
    client.receive(octets)
    client.next_cycle()
    return client


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize(
    "surplus", [INJECTED, b"x", b"\r\nHTTP", b"\0", b"\r\n\r\n\r", b"\n" * 5, b"\r\n" * 9]
)
def test_octets_beyond_the_last_response_end_the_connection_and_are_no_response(surplus: bytes) -> None:
    outcome = responses_every_way(OK + surplus)
    assert (outcome.contents, outcome.complete) == ([b"ok"], 1)
    assert outcome.reason is Reason.SURPLUS_OCTETS


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize("stray", [b"\r\n", b"\n", b"\r\n\r\n", b"\r\r\n\n"])
def test_few_stray_line_ends_are_swallowed(stray: bytes) -> None:
    for pieces in every_way(OK + stray):
        client = asked()
        assert read_responses(pieces, [], connection=client).reason is Reason.PERSISTS_11
        client.send_whole(request_for(b"GET"))
        assert [type(event) for event in client.receive(OK)] == [Response, Data]


@pytest.mark.row("R90")
@pytest.mark.parametrize("stray", [b"\r\n", b"\r\r\n\n"])
def test_line_ends_that_come_after_the_next_request_was_sent_are_swallowed_too(stray: bytes) -> None:
    for pieces in every_way(stray + OK):
        client = after(OK)
        client.send_whole(request_for(b"GET"))
        assert read_responses(pieces, [], connection=client).contents == [b"ok"]
        assert client.reason is Reason.PERSISTS_11


@pytest.mark.row("R90", "R111")
def test_line_ends_alone_are_not_the_beginning_of_a_response() -> None:
    client = after(OK)
    client.send_whole(request_for(b"GET"))
    client.receive(b"\r\n")
    assert not client.response_begun


@pytest.mark.row("R64")
def test_more_line_ends_than_a_few_before_a_response_are_a_violation() -> None:
    outcome = responses_every_way(b"\r\n" * 3 + OK)
    assert (outcome.complete, outcome.status, outcome.reason) == (0, 502, Reason.BAD_SYNTAX)


@pytest.mark.row("R90")
def test_connection_on_which_nothing_was_asked_takes_no_response() -> None:
    client = ClientConnection()
    assert client.receive(INJECTED) == []
    assert (client.reason, client.own_state) == (Reason.SURPLUS_OCTETS, State.CLOSED)


@pytest.mark.row("R90", "R88")
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_408_on_an_idle_connection_is_its_servers_idle_limit(version: bytes) -> None:
    client = after(OK)
    assert client.receive(b"\r\nHTTP/%b 408 Request Timeout\r\nConnection: close\r\n\r\n" % version) == []
    assert (client.reason, client.own_state) == (Reason.IDLE_408, State.CLOSED)


@pytest.mark.row("R90")
@pytest.mark.parametrize("octets", [b"HTTP/1.1 400 Bad\r\n\r\n", b"HTTP/2.0 408 x\r\n\r\n", b"408"])
def test_other_octets_on_an_idle_connection_are_surplus(octets: bytes) -> None:
    assert [after(OK).receive(octets)] == [[]]
    client = after(OK)
    client.receive(octets)
    assert client.reason is Reason.SURPLUS_OCTETS


@pytest.mark.row("R64", "R90")
def test_what_came_before_a_request_was_sent_never_answers_it() -> None:
    client = asked()
    client.receive(OK)
    client.receive(INJECTED)
    with pytest.raises(LocalViolation, match="begin the next cycle before the next request"):
        client.send_whole(request_for(b"GET"))
    assert client.next_cycle() == []
    assert client.reason is Reason.SURPLUS_OCTETS


@pytest.mark.row("R64")
def test_surplus_behind_pipelined_responses_is_found_at_the_end_of_the_last() -> None:
    outcome = responses_every_way(OK + OK + INJECTED, [b"GET", b"GET"])
    assert (outcome.contents, outcome.reason) == ([b"ok", b"ok"], Reason.SURPLUS_OCTETS)


@pytest.mark.row("R110", "R183")
def test_server_that_closes_an_idle_connection_is_noticed_at_once() -> None:
    client = after(OK)
    client.receive_eof()
    assert (client.reason, client.own_state) == (Reason.PEER_CLOSED, State.CLOSED)
