"""A client's side of persistence: pairing, idle guard, limits, early responses (9112 §9, 9110 §15.2)."""

from __future__ import annotations

import pytest

from perdure.core import (
    CLIENT_LIMITS,
    HTTP_10,
    HTTP_11,
    ClientConnection,
    Data,
    EndOfMessage,
    Limits,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    State,
    Terms,
    make_lines,
)
from tests.core.harness import (
    responses_every_way,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INJECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def request(
    *pairs: tuple[bytes, bytes], method: bytes = b"GET", version: tuple[int, int] = HTTP_11
) -> Request:
    return Request(method, b"/", make_lines([(b"Host", b"x"), *pairs]), version)


def asked(*requests: Request, terms: Terms | None = None, limits: Limits = CLIENT_LIMITS) -> ClientConnection:
    """A client that has sent these, or one GET."""
    client = ClientConnection(limits, terms or Terms())
    for one in requests or (request(),):
        client.send_whole(one)
    return client


def after(octets: bytes, client: ClientConnection | None = None) -> ClientConnection:
    """A client that has read one response, and begun the next cycle."""
    client = client or asked()
    client.receive(octets)
    client.next_cycle()
    return client


def response(version: bytes, lines: bytes) -> bytes:
    return b"HTTP/%b 200 OK\r\nContent-Length: 0\r\n%b\r\n" % (version, lines)


# Who persists


@pytest.mark.row("R91", "R93", "R94", "R95", "R182", "R92", "R136")
@pytest.mark.parametrize(
    ("version", "lines", "persists"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: something-close\r\n", True),
        (b"1.1", b"Keep-Alive: timeout=0\r\nClose: now\r\nProxy-Connection: close\r\n", True),
        (b"1.1", b"Connection: keep-alive, Close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: ,CLOSE\r\n", False),
        (b"1.2", b"", True),
        (b"1.0", b"", False),
        (b"1.0", b"Keep-Alive: timeout=60\r\n", False),
        (b"1.0", b"Proxy-Connection: keep-alive\r\n", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_response_decides_whether_another_request_may_follow(
    version: bytes, lines: bytes, persists: bool
) -> None:
    assert responses_every_way(response(version, lines)).reason in (
        (Reason.PERSISTS_11, Reason.PERSISTS_10) if persists else (Reason.CLOSE_RECEIVED, Reason.HTTP_10)
    )
    client = after(response(version, lines))
    assert (client.persists, client.idle) == (persists, persists)


@pytest.mark.row("R99", "R116", "R119")
@pytest.mark.parametrize("octets", [response(b"1.0", b""), response(b"1.1", b"Connection: close\r\n")])
def test_nothing_more_is_sent_after_the_last_response_though_the_server_stays(octets: bytes) -> None:
    client = asked()
    client.receive(octets)
    for _ in range(2):
        with pytest.raises(LocalViolation):
            client.send_whole(request())
        if client.peer_state is State.DONE:
            client.next_cycle()
    assert (client.own_state, client.receive(INJECTED)) == (State.CLOSED, [])


@pytest.mark.row("R97", "R116")
def test_client_without_persistence_says_close_and_sends_no_more() -> None:
    client = ClientConnection(terms=Terms(persist=False))
    assert client.send_whole(request()) == b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with pytest.raises(LocalViolation, match=r"we sent the close option .* \(9112 §9\.6\)"):
        client.send_whole(request())
    assert after(OK, client).reason is Reason.CLOSE_SENT


@pytest.mark.row("R97", "R116")
def test_caller_may_ask_for_the_close_of_one_request() -> None:
    client = asked(request(), request((b"Connection", b"x, Close")))
    assert after(OK, client).persists
    assert after(OK, client).reason is Reason.CLOSE_SENT


@pytest.mark.row("S2", "R171", "R180")
@pytest.mark.parametrize(
    ("version", "persist", "lines"),
    [
        (HTTP_10, True, b"Connection: keep-alive\r\n"),
        (HTTP_10, False, b""),
        (HTTP_11, True, b""),
        (HTTP_11, False, b"Connection: close\r\n"),
    ],
)
def test_only_http_10_asks_for_keep_alive_and_nobody_sends_proxy_connection(
    version: tuple[int, int], persist: bool, lines: bytes
) -> None:
    client = ClientConnection(terms=Terms(persist=persist, keep_alive_timeout=9))
    pairs = [(b"Proxy-Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=9")]
    octets = client.send_whole(request(*pairs, version=version))
    assert octets == b"GET / HTTP/%d.%d\r\nHost: x\r\n%b\r\n" % (*version, lines)


@pytest.mark.row("S2", "R182")
@pytest.mark.parametrize(
    ("persist", "reason"), [(True, Reason.PERSISTS_11), (False, Reason.HTTP_10)], ids=["asked", "did not ask"]
)
def test_http_10_client_persists_only_if_it_asked(persist: bool, reason: Reason) -> None:
    client = asked(request(version=HTTP_10), terms=Terms(persist=persist))
    assert after(OK, client).reason is reason


@pytest.mark.row("S12")
def test_client_can_be_told_to_ignore_keep_alive_of_http_10() -> None:
    client = asked(terms=Terms(http_10_honoured=False))
    assert after(response(b"1.0", b"Connection: keep-alive\r\n"), client).reason is Reason.HTTP_10_IGNORED


@pytest.mark.row("R49")
def test_faulty_framing_of_a_response_ends_the_connection_after_it() -> None:
    octets = (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    outcome = responses_every_way(octets + INJECTED)
    assert (outcome.contents, outcome.reason) == ([b"ok"], Reason.FAULTY_FRAMING)


# Pairing


@pytest.mark.row("R89", "R51", "R165")
def test_responses_are_paired_with_pipelined_requests_in_order() -> None:
    octets = (
        b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n" + OK + b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nend\r\n0\r\n\r\n"
    )
    outcome = responses_every_way(octets, [b"GET", b"HEAD", b"GET"])
    assert [head.start[0] for head in outcome.heads] == [103, 200, 100, 200, 200]
    assert (outcome.contents, outcome.complete) == ([b"ok", b"end"], 3)
    assert outcome.reason is Reason.PERSISTS_11


@pytest.mark.row("R119", "R104")
def test_requests_after_a_received_close_stay_unanswered_and_are_counted() -> None:
    client = asked(request(), request(), request())
    client.receive(OK + response(b"1.1", b"Connection: close\r\n") + INJECTED)
    assert client.outstanding == 3
    assert [type(event) for event in client.next_cycle()] == [Response]
    assert client.next_cycle() == []
    assert (client.outstanding, client.reason) == (1, Reason.CLOSE_RECEIVED)


@pytest.mark.row("R104", "R111", "R183")
def test_close_between_pipelined_responses_leaves_the_rest_outstanding() -> None:
    client = after(OK, asked(request(), request(), request()))
    with pytest.raises(RemoteViolation, match=r"before its response \(9112 §8\)"):
        client.receive_eof()
    assert (client.outstanding, client.response_begun, client.reason) == (2, False, Reason.INCOMPLETE)


@pytest.mark.row("R116", "R115")
def test_limit_of_our_own_waits_for_what_was_pipelined_before_it_and_is_announced() -> None:
    client = asked(request(), request())
    client.limit = Reason.MAX_AGE
    assert after(OK, client).persists
    assert client.send_whole(request()) == b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with pytest.raises(LocalViolation, match="we sent the close option"):
        client.send_whole(request())
    assert after(OK, client).outstanding == 1
    assert after(OK, client).reason is Reason.MAX_AGE


@pytest.mark.row("R116", "R115")
def test_limit_of_our_own_is_announced_by_the_next_request() -> None:
    client = ClientConnection()
    client.limit = Reason.MAX_AGE
    assert client.send_whole(request()) == b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert after(OK, client).reason is Reason.MAX_AGE


@pytest.mark.row("R106")
def test_upload_may_go_on_while_earlier_responses_are_read() -> None:
    client = asked()
    client.send(Request(b"PUT", b"/", make_lines([(b"Host", b"x"), (b"Content-Length", b"3")]), end=False))
    assert after(OK, client).own_state is State.SENDING
    client.send(Data(b"abc", True))
    assert after(OK, client).idle


# Interim responses


@pytest.mark.row("R165")
def test_interim_responses_come_first_expected_or_not_and_say_nothing_of_persistence() -> None:
    octets = (
        b"HTTP/1.1 100 A\r\n\r\nHTTP/1.1 102 B\r\nConnection: close\r\n\r\nHTTP/1.0 199 C\r\nX: 1\r\n\r\n"
    )
    outcome = responses_every_way(octets + OK)
    assert outcome.starts == [(100, b"A"), (102, b"B"), (199, b"C"), (200, b"OK")]
    assert outcome.reason is Reason.PERSISTS_11


@pytest.mark.row("R165")
def test_flood_of_interim_responses_is_a_fault() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    limits = Limits(max_interim=3)
    assert responses_every_way(interim * 3 + OK, limits=limits).complete == 1
    outcome = responses_every_way(interim * 4 + OK, limits=limits)
    assert (outcome.status, outcome.reason) == (502, Reason.TOO_LARGE)
    client = asked(request(), request(), limits=limits)  # each response has its own count
    client.receive(interim * 3 + OK)
    client.next_cycle()
    assert len(client.receive(interim * 3 + OK)) == 5


# Content of our own, and answers that come before its end


def uploading(*pairs: tuple[bytes, bytes]) -> ClientConnection:
    client = ClientConnection()
    lines = make_lines([(b"Host", b"x"), (b"Content-Length", b"6"), *pairs])
    client.send(Request(b"POST", b"/", lines, end=False))
    client.send(Data(b"abc"))
    return client


@pytest.mark.row("R114")
def test_early_response_that_persists_lets_the_upload_go_on() -> None:
    client = uploading()
    client.receive(OK)
    with pytest.raises(LocalViolation, match="before both messages are complete"):
        client.next_cycle()
    assert client.send(Data(b"def", True)) == b"def"
    client.next_cycle()
    assert client.idle
    assert client.send_whole(request()).startswith(b"GET / ")


@pytest.mark.row("R113")
def test_early_response_that_closes_ends_the_upload() -> None:
    client = uploading()
    client.receive(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert (client.own_state, client.peer_state, client.persists) == (State.SENDING, State.DONE, False)
    assert client.next_cycle() == []
    assert (client.own_state, client.reason) == (State.CLOSED, Reason.CLOSE_RECEIVED)


@pytest.mark.row("R157", "R162")
def test_expectation_goes_out_with_the_head_and_content_follows_when_the_caller_says() -> None:
    client = ClientConnection()
    lines = make_lines([(b"Host", b"x"), (b"Content-Length", b"3"), (b"Expect", b"100-continue")])
    head = client.send(Request(b"POST", b"/", lines, end=False))
    assert head == b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    client.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.send(Data(b"abc", True)) == b"abc"


@pytest.mark.row("R156")
def test_100_is_not_expected_without_content() -> None:
    client = ClientConnection()
    with pytest.raises(LocalViolation, match=r"100-continue .* \(9110 §10\.1\.1\)"):
        client.send_whole(request((b"Expect", b"100-Continue")))
    assert client.send_whole(request()).startswith(b"GET")  # nothing of it was sent


@pytest.mark.row("R101")
def test_response_is_read_to_its_end_before_the_next_exchange() -> None:
    client = asked()
    client.receive(OK[:-1])
    with pytest.raises(LocalViolation, match="before both messages are complete"):
        client.next_cycle()
    client.receive(b"k")
    client.next_cycle()
    assert client.idle


@pytest.mark.row("R46")
def test_server_is_known_to_speak_11_once_it_did() -> None:
    assert not after(response(b"1.0", b"Connection: keep-alive\r\n")).peer_speaks_11
    client = after(OK)
    chunked = Request(b"POST", b"/", make_lines([(b"Host", b"x")]), end=False)
    assert b"Transfer-Encoding: chunked" in client.send(chunked)
    assert client.send(EndOfMessage()) == b"0\r\n\r\n"


@pytest.mark.row("R17")
@pytest.mark.parametrize("pairs", [[], [(b"Host", b"a"), (b"Host", b"b")]])
def test_http_11_request_has_one_host(pairs: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(LocalViolation, match="exactly 1 expected"):
        ClientConnection().send_whole(Request(b"GET", b"/", make_lines(pairs)))


@pytest.mark.row("R183", "R85", "R111")
def test_close_at_every_octet_is_incomplete_or_between_messages_never_a_wrong_response() -> None:
    for place in range(len(OK) + 1):
        client = asked()
        events = client.receive(OK[:place])
        if place == len(OK):
            client.receive_eof()
            assert client.next_cycle() == []
            assert client.reason is Reason.PEER_CLOSED
            continue
        with pytest.raises(RemoteViolation, match="9112 §8"):
            client.receive_eof()
        assert (client.reason, client.response_begun) == (Reason.INCOMPLETE, place > 0)
        assert not any(event.end for event in events)


def test_no_request_follows_a_close_of_the_server_among_pipelined_ones() -> None:
    client = asked(request(), request())
    client.receive(OK[:-1])
    client.receive(b"k" + OK)
    client.receive_eof()
    assert [type(event) for event in client.next_cycle()] == [Response, Data]
    with pytest.raises(LocalViolation, match="the peer closed it"):
        client.send_whole(request())
    assert client.next_cycle() == []
    assert client.reason is Reason.PEER_CLOSED


@pytest.mark.row("R111", "R183")
def test_response_has_begun_with_its_first_octet() -> None:
    begun = [(piece, asked()) for piece in (b"", b"H", b"HTTP/1.1 100 A\r\n\r\n", OK[:-1], OK)]
    for octets, client in begun:
        client.receive(octets)
        assert client.response_begun is bool(octets)
    client = asked()
    with pytest.raises(RemoteViolation):
        client.receive(b"rubbish\r\n\r\n")
    assert client.response_begun
