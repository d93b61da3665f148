"""Requests and responses that say the same again are not decided anew, and nobody can tell (9112 §9.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import (
    CLIENT_LIMITS,
    HTTP_10,
    ClientConnection,
    Data,
    EndOfMessage,
    Event,
    Reason,
    RemoteViolation,
    Request,
    Response,
    Terms,
    make_lines,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RESPONSES = (
    OK,
    OK,
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
    OK + b"\r\n\r\n\r\n",
    OK + OK,
    b"\r\n" + OK,
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nok",
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
)


def request(
    method: bytes = b"GET", *pairs: tuple[bytes, bytes], version: tuple[int, int] = (1, 1)
) -> Request:
    return Request(method, b"/", make_lines([(b"Host", b"x"), *pairs]), version)


REQUESTS = (
    request(),
    request(b"HEAD"),
    request(b"POST"),
    request(b"GET", (b"Connection", b"close")),
    request(b"GET", version=HTTP_10),
)


def told(client: ClientConnection, deliveries: list[bytes], at_once: bool = False) -> list[object]:
    """What a client hands out for these octets, and where it stands: the content of one response as one."""
    story: list[object] = []
    content = b""
    try:
        for octets in deliveries:
            again = client.receive_again(octets) if at_once else None
            if again is not None:
                head, content = again
                story.append((head.status, head.fields, head.framing, head.end, head.reason_phrase))
                continue
            events: list[Event] = client.receive(octets)
            for event in events:
                if isinstance(event, Data):
                    content += event.octets
                elif isinstance(event, Response):
                    story.append((event.status, event.fields, event.framing, event.end, event.reason_phrase))
                elif not isinstance(event, EndOfMessage):
                    story.append(repr(event))
    except RemoteViolation as violation:
        story.append((str(violation), violation.status))
    if client.peer_state.value == "done":
        client.next_cycle()
    return [*story, content, client.reason, client.own_state, client.peer_state, client.outstanding]


@pytest.mark.row("R64", "R90", "R97", "R98")
@given(
    exchanges=st.lists(st.tuples(st.sampled_from(REQUESTS), st.sampled_from(RESPONSES)), max_size=8),
    persist=st.booleans(),
    limited_from=st.integers(0, 12),
    at_once=st.booleans(),
)
def test_what_comes_again_is_told_as_if_it_came_an_octet_at_a_time(
    exchanges: list[tuple[Request, bytes]], persist: bool, limited_from: int, at_once: bool
) -> None:
    whole = ClientConnection(CLIENT_LIMITS, Terms(persist=persist))
    dripped = ClientConnection(CLIENT_LIMITS, Terms(persist=persist))
    for number, (asked, octets) in enumerate(exchanges):
        if number == limited_from:
            whole.limit = dripped.limit = Reason.MAX_AGE
        if not whole.persists or whole.peer_state.value != "idle":
            return
        if asked.prepared is None:
            asked.prepared = {}
        anew = Request(asked.method, asked.target, asked.fields, asked.version)
        assert whole.send_whole(asked) == dripped.send_whole(anew)
        if octets == OK + OK or octets.endswith(b"\n\r\n\r\n\r\n"):
            # Octets beyond a response are judged as they come: only what is left over may differ.
            assert told(whole, [octets], at_once)[-2:] == told(dripped, [octets])[-2:]
            continue
        assert told(whole, [octets], at_once) == told(
            dripped, [octets[at : at + 1] for at in range(len(octets))]
        )


def test_request_that_is_sent_again_is_said_as_before_or_as_its_connection_wants() -> None:
    asked = request()
    asked.prepared = {}
    plain = ClientConnection().send_whole(asked)
    assert ClientConnection().send_whole(asked) is plain
    closing = ClientConnection(CLIENT_LIMITS, Terms(persist=False)).send_whole(asked)
    assert closing == b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    limited = ClientConnection()
    limited.limit = Reason.MAX_AGE
    assert limited.send_whole(asked) == closing
    assert ClientConnection().send_whole(asked) is plain


def test_same_response_is_the_same_head_with_its_own_content() -> None:
    client = ClientConnection()
    heads = []
    for content in (b"ok", b"no"):
        client.send_whole(request())
        head, data = client.receive(OK.replace(b"ok", content))
        assert isinstance(data, Data)
        assert (data.octets, data.end) == (content, True)
        heads.append(head)
        client.next_cycle()
    assert heads[0] is heads[1]


def test_same_head_that_answers_another_method_is_framed_anew() -> None:
    client = ClientConnection()
    for method, events in ((b"HEAD", 1), (b"GET", 2), (b"HEAD", 1)):
        client.send_whole(request(method))
        octets = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"ok" if events == 2 else b"")
        assert len(client.receive(octets)) == events
        client.next_cycle()


def test_response_taken_again_begins_the_next_cycle() -> None:
    client = ClientConnection()
    client.send_whole(request())
    assert client.receive_again(OK) is None
    head, _ = client.receive(OK)
    client.next_cycle()
    client.send_whole(request())
    assert client.receive_again(OK.replace(b"ok", b"no")) == (head, b"no")
    assert (client.idle, client.outstanding, client.exchanges) == (True, 0, 2)


@pytest.mark.parametrize(
    "octets", [OK + b"H", OK[:-1], OK.replace(b"OK", b"Ok"), OK.replace(b"2\r\n", b"1\r\n", 1)]
)
def test_response_that_is_not_like_the_one_before_is_not_taken_again(octets: bytes) -> None:
    client = ClientConnection()
    client.send_whole(request())
    client.receive(OK)
    client.next_cycle()
    client.send_whole(request())
    assert client.receive_again(octets) is None
    assert client.outstanding == 1
    assert isinstance(client.receive(octets)[0], Response)


def test_response_after_the_end_of_the_stream_is_not_taken_again() -> None:
    client = ClientConnection()
    client.send_whole(request())
    client.receive(OK)
    client.receive_eof()
    assert client.receive_again(OK) is None


def test_408_is_not_taken_again_for_it_may_end_what_it_says_persists() -> None:
    client = ClientConnection()
    timeout = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    for _ in range(2):
        client.send_whole(request())
        assert client.receive_again(timeout) is None
        client.receive(timeout)
        client.next_cycle()
