"""A server's side of persistence: octets of requests in, octets of responses out (9112 §9, 9110 §10.1.1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from perdure.core import (
    SERVER_LIMITS,
    Data,
    EndOfMessage,
    Interim,
    Limits,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    Role,
    ServerConnection,
    State,
    Terms,
    make_lines,
)
from perdure.core.terms import DEFAULT_TERMS
from tests.core.harness import every_way, read_requests, singly

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
KEEP_ALIVE_10 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
Answer = Callable[[ServerConnection, Request], bytes]


def target(server: ServerConnection, request: Request) -> bytes:
    """The answer of a server that says which target was asked for."""
    return server.send_whole(Response(200), request.target)


def streamed(server: ServerConnection, request: Request) -> bytes:
    """The answer of a server that does not know how long it will be."""
    return b"".join(
        server.send(event) for event in (Response(200, end=False), Data(b"hello"), EndOfMessage())
    )


def status(number: int, *pairs: tuple[bytes, bytes]) -> Answer:
    """The answer of a server that always sends this head, without content."""
    return lambda server, request: server.send_whole(Response(number, make_lines(pairs)))


def replies(
    octets: bytes,
    *,
    terms: Terms = DEFAULT_TERMS,
    role: Role = Role.SERVER,
    limits: Limits = SERVER_LIMITS,
    answer: Answer = target,
    eof: bool = False,
) -> tuple[bytes, Reason | None]:
    """What a server sends, and why it ended (None: it goes on), however the octets are cut."""
    seen = set()
    for pieces in every_way(octets):
        server, sent = ServerConnection(limits, terms, role), bytearray()
        read_requests(pieces, eof=eof, connection=server, answer=answer, sent=sent)
        seen.add((bytes(sent), server.reason))
    assert len(seen) == 1, f"what is sent depends on the cuts: {seen}"
    return seen.pop()


def begun(octets: bytes = GET, **settings: Terms | Limits | Role) -> ServerConnection:
    """A server that has read these octets at once."""
    server = ServerConnection(**settings)  # type: ignore[arg-type]  # each by its name
    server.receive(octets)
    return server


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n/"
OK_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n/"
OK_KEEP_ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n/"


# Who persists


@pytest.mark.row("R91", "R93", "S6")
def test_http_11_persists_without_a_word() -> None:
    assert replies(GET * 3) == (OK * 3, None)


@pytest.mark.row("R92", "R117", "R36")
@pytest.mark.parametrize(
    "lines",
    [
        b"Connection: close\r\n",
        b"Connection: keep-alive, Close\r\n",
        b"Connection: close, keep-alive\r\n",
        b"connection:\tCLOSE\t\r\n",
        b"Connection: keep-alive\r\nConnection: close\r\n",
        b"Connection: close\r\nConnection: keep-alive\r\n",
        b"Connection: ,, close ,\r\n",
    ],
)
def test_close_in_any_shape_ends_after_the_response_and_nothing_later_is_read(lines: bytes) -> None:
    octets = GET[:-2] + lines + b"\r\n" + GET
    assert replies(octets) == (OK_CLOSE, Reason.CLOSE_RECEIVED)


@pytest.mark.row("R92", "R123", "R174", "R181")
@pytest.mark.parametrize(
    "lines",
    [
        b"Connection: something-close\r\n",
        b'Connection: "close"\r\n',
        b"Connection:\r\n",
        b"Close: now\r\n",
        b"Keep-Alive: timeout=0, max=0\r\n",
        b"Proxy-Connection: close\r\n",
        b"X-Connection: close\r\n",
    ],
)
def test_what_is_no_close_option_ends_nothing(lines: bytes) -> None:
    assert replies(GET[:-2] + lines + b"\r\n" + GET) == (OK * 2, None)


@pytest.mark.row("R94", "R169", "S3")
@pytest.mark.parametrize("value", [b"keep-alive", b"Keep-Alive", b"foo ,KEEP-ALIVE,"])
def test_http_10_with_the_option_persists_and_is_told_so(value: bytes) -> None:
    octets = b"GET / HTTP/1.0\r\nConnection: %b\r\n\r\n" % value
    assert replies(octets * 2) == (OK_KEEP_ALIVE * 2, None)


@pytest.mark.row("R95", "R181", "R174", "S1")
@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Connection: keep-alive-not\r\n",
        b"Keep-Alive: timeout=300\r\n",
        b"Proxy-Connection: keep-alive\r\n",
        b"keep-alive: keep-alive\r\n",
    ],
)
def test_http_10_without_the_option_ends(lines: bytes) -> None:
    assert replies(b"GET / HTTP/1.0\r\n" + lines + b"\r\n" + GET) == (OK_CLOSE, Reason.HTTP_10)


@pytest.mark.row("R96", "R122")
def test_the_most_recent_message_decides() -> None:
    assert replies(GET + b"GET / HTTP/1.0\r\n\r\n" + GET) == (OK + OK_CLOSE, Reason.HTTP_10)
    assert replies(KEEP_ALIVE_10 + GET) == (OK_KEEP_ALIVE + OK, None)


@pytest.mark.row("R102", "R181", "S12")
@pytest.mark.parametrize("name", [b"Connection", b"Proxy-Connection"])
def test_proxy_ends_with_an_http_10_client_and_never_says_keep_alive(name: bytes) -> None:
    terms = Terms(keep_alive_timeout=75, max_requests=9)
    sent, reason = replies(
        b"GET / HTTP/1.0\r\n%b: keep-alive\r\n\r\n" % name + GET, role=Role.PROXY, terms=terms
    )
    assert sent == OK_CLOSE
    assert reason in (Reason.PROXY_10, Reason.HTTP_10)


@pytest.mark.row("S12")
def test_server_can_be_told_to_ignore_keep_alive_of_http_10() -> None:
    sent = replies(KEEP_ALIVE_10 + GET, terms=Terms(http_10_honoured=False))
    assert sent == (OK_CLOSE, Reason.HTTP_10_IGNORED)


@pytest.mark.row("R170", "R47")
def test_streamed_response_is_chunked_to_11_and_delimited_by_the_close_to_10() -> None:
    assert replies(GET, answer=streamed) == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        None,
    )
    assert replies(KEEP_ALIVE_10 + GET, answer=streamed) == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        Reason.CLOSE_DELIMITED,
    )


@pytest.mark.row("R98")
@pytest.mark.parametrize("number", [200, 204, 205, 206, 301, 304, 400, 401, 404, 421, 426, 500, 503])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
def test_server_that_does_not_persist_says_so_in_every_response(number: int, method: bytes) -> None:
    octets = GET.replace(b"GET", method)
    sent, reason = replies(octets + GET, terms=Terms(persist=False), answer=status(number))
    assert sent.count(b"HTTP/1.1 ") == sent.count(b"Connection: close\r\n") == 1
    assert reason is Reason.CLOSE_SENT


@pytest.mark.row("R118", "R115")
def test_application_may_ask_for_the_close_and_nothing_later_is_answered() -> None:
    sent = replies(GET * 3, answer=status(200, (b"Connection", b"Close, X-Hop"), (b"X-Hop", b"1")))
    assert sent == (
        b"HTTP/1.1 200 OK\r\nX-Hop: 1\r\nContent-Length: 0\r\nConnection: close, x-hop\r\n\r\n",
        Reason.CLOSE_SENT,
    )


@pytest.mark.row("R115", "R173")
def test_application_cannot_announce_what_is_not_so() -> None:
    pairs = ((b"Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=900"), (b"Proxy-Connection", b"close"))
    sent, reason = replies(GET, answer=status(200, *pairs))
    assert (sent, reason) == (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None)
    sent, reason = replies(b"GET / HTTP/1.0\r\n\r\n", answer=status(200, *pairs))
    assert sent == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


# Limits of our own


@pytest.mark.row("R177", "R115", "R173", "S4")
def test_max_counts_down_and_the_last_response_announces_the_close() -> None:
    hinted = OK_KEEP_ALIVE.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=5, max=%d\r\n\r\n")
    terms = Terms(keep_alive_timeout=5, max_requests=3)
    for request in (GET, KEEP_ALIVE_10):
        assert replies(request * 5, terms=terms) == (hinted % 2 + hinted % 1 + OK_CLOSE, Reason.MAX_REQUESTS)


@pytest.mark.row("R125")
def test_at_least_one_request_is_answered() -> None:
    assert replies(GET * 2, terms=Terms(max_requests=1)) == (OK_CLOSE, Reason.MAX_REQUESTS)


@pytest.mark.row("R115", "S16")
@pytest.mark.parametrize("limit", [Reason.DRAIN, Reason.MAX_AGE, Reason.PRESSURE])
def test_limit_reached_meanwhile_is_announced_by_the_response_under_way(limit: Reason) -> None:
    server = begun(GET + GET)
    server.limit = limit
    assert server.send_whole(Response(200), b"/") == OK_CLOSE
    assert server.reason is limit
    assert server.next_cycle() == []
    assert (server.own_state, server.reason) == (State.CLOSED, limit)


def test_limit_reached_after_the_head_waits_for_the_next_response() -> None:
    server = begun()
    server.send(Response(200, make_lines([(b"Content-Length", b"1")]), end=False))
    server.limit = Reason.DRAIN
    server.send(Data(b"/", True))
    assert server.persists
    server.next_cycle()
    server.receive(GET)
    assert server.send_whole(Response(200), b"/") == OK_CLOSE


# Content that is not read

POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.row("R100", "R161", "R70")
def test_content_left_unread_beyond_the_limit_announces_the_close() -> None:
    server = begun(POST + b"GET", limits=Limits(drain_body=5))
    assert server.unread_beyond(5)
    assert not server.unread_beyond(6)
    assert b"\r\nConnection: close\r\n" in server.send_whole(Response(404))
    assert server.reason is Reason.UNREAD_CONTENT


@pytest.mark.row("R100", "R70")
def test_content_within_the_limit_is_read_on_and_is_never_a_request() -> None:
    server = begun(POST + b"GET", limits=Limits(drain_body=6))
    assert b"Connection" not in server.send_whole(Response(404))
    assert server.persists
    with pytest.raises(LocalViolation, match="before both messages are complete"):
        server.next_cycle()
    server.receive(b" / HTT" + GET)
    assert [type(event) for event in server.next_cycle()] == [Request]


@pytest.mark.row("R100")
def test_content_that_was_read_leaves_nothing_unread() -> None:
    server = begun(POST + b"GET / HTT", limits=Limits(drain_body=0))
    assert not server.unread_beyond(0)
    server.send_whole(Response(404))
    assert server.persists


@pytest.mark.row("R153")
def test_content_larger_than_allowed_is_refused_and_the_close_announced() -> None:
    for octets in (POST, POST.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked") + b"9\r\n"):
        server = ServerConnection(Limits(max_body=8))
        with pytest.raises(RemoteViolation, match="at most 8 allowed") as caught:
            server.receive(octets)
        assert caught.value.status == 413
        assert b"\r\nConnection: close\r\n" in server.send_whole(Response(413))


# Expectations

EXPECT = POST[:-2] + b"Expect: 100-Continue\r\n\r\n"


@pytest.mark.row("R159", "R160")
def test_client_that_waits_gets_its_100_and_then_the_final_response() -> None:
    server = begun(EXPECT)
    waited = server.awaits_continue
    assert server.send(Interim(100)) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (waited, server.awaits_continue) == (True, False)
    server.receive(b"123456789")
    assert server.send_whole(Response(200)) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert server.persists


@pytest.mark.row("R161", "R100")
@pytest.mark.parametrize("end", [True, False], ids=["whole", "streamed"])
def test_final_response_to_a_client_that_waits_announces_the_close(end: bool) -> None:
    server = begun(EXPECT)
    assert server.unread_beyond(10**9)
    assert b"\r\nConnection: close\r\n" in server.send(Response(401, end=end))
    assert server.reason is Reason.UNREAD_CONTENT
    assert not server.awaits_continue


@pytest.mark.row("R161")
def test_client_that_did_not_wait_is_not_waited_for() -> None:
    for pieces in every_way(EXPECT + b"123456789"):
        server = ServerConnection()
        for piece in pieces:
            server.receive(piece)
        assert not server.awaits_continue
        assert server.peer_state is State.DONE


@pytest.mark.row("R158", "R164")
def test_http_10_client_waits_for_no_100_and_gets_no_interim_response() -> None:
    server = begun(EXPECT.replace(b"1.1", b"1.0"))
    assert not server.awaits_continue
    assert server.send(Interim(103)) == b""


@pytest.mark.row("R163")
@pytest.mark.parametrize("value", [b"foo", b"100-continue=1", b"x100-continue", b""])
def test_other_expectations_make_nobody_wait(value: bytes) -> None:
    assert not begun(EXPECT.replace(b"100-Continue", value)).awaits_continue


@pytest.mark.row("R159")
def test_expectation_without_content_makes_nobody_wait() -> None:
    assert not begun(EXPECT.replace(b"Length: 9", b"Length: 0")).awaits_continue
    assert not begun(GET[:-2] + b"Expect: 100-continue\r\n\r\n").awaits_continue


# Pipelining, and the ends of the stream


@pytest.mark.row("R103")
def test_pipelined_requests_are_answered_in_their_order() -> None:
    octets = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(5))
    sent, _ = replies(octets)
    assert sent == b"".join(OK[:-1].replace(b"1\r\n\r\n", b"2\r\n\r\n") + b"/%d" % n for n in range(5))


@pytest.mark.row("R121", "S16")
def test_half_closed_client_gets_every_answer_and_the_last_announces_the_end() -> None:
    assert replies(GET, eof=True) == (OK, Reason.PEER_CLOSED)  # it had been answered before
    server = begun(GET + GET)
    server.receive_eof()
    assert server.send_whole(Response(200), b"/") == OK
    assert [type(event) for event in server.next_cycle()] == [Request]
    assert server.send_whole(Response(200), b"/") == OK_CLOSE
    assert server.next_cycle() == []
    assert server.reason is Reason.PEER_CLOSED


@pytest.mark.row("R168", "S16")
@pytest.mark.parametrize("number", [400, 403, 407, 502, 504])
@pytest.mark.parametrize("role", [Role.PROXY, Role.SERVER])
def test_rejected_connect_ends_and_what_follows_is_no_request(number: int, role: Role) -> None:
    octets = b"CONNECT h:25 HTTP/1.1\r\nHost: h:25\r\nConnection: keep-alive\r\n\r\n" + GET
    sent, reason = replies(octets, role=role, answer=status(number))
    assert sent.endswith(b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert (sent.count(b"HTTP/1.1"), reason) == (1, Reason.CONNECT_REJECTED)


def test_octets_come_singly_to_a_server_that_has_ended() -> None:
    server = begun(GET[:-2] + b"Connection: close\r\n\r\n")
    server.send_whole(Response(200))
    server.next_cycle()
    assert [server.receive(octet) for octet in singly(GET)] == [[]] * len(GET)
