"""Rows R40 to R71 on whole connections: whether there is content, and how much (RFC 9112 §6)."""

from __future__ import annotations

import pytest

from perdure.core import (
    HTTP_10,
    HTTP_11,
    ClientConnection,
    Data,
    EndOfMessage,
    FramingKind,
    Interim,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    make_lines,
)
from tests.core.harness import HOST, Outcome, requests_every_way, responses_every_way

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
INJECTED = b"HTTP/1.1 200 Injected\r\nContent-Length: 4\r\n\r\nevil"


def answered(request: bytes, response: Response, content: bytes = b"") -> bytes:
    """What a server sends in answer to a request."""
    server = ServerConnection()
    server.receive(request)
    return server.send_whole(response, content)


def streamed(request: bytes, response: Response) -> tuple[bytes, ServerConnection]:
    """What a server sends whose content is handed over piece by piece: "hello"."""
    server = ServerConnection()
    server.receive(request)
    response.end = False
    octets = (
        server.send(response)
        + server.send(Data(b"hel"))
        + server.send(Data(b"lo"))
        + server.send(EndOfMessage())
    )
    return octets, server


def assert_refused(octets: bytes, status: int = 400) -> None:
    outcome = requests_every_way(octets + NEXT)
    assert (outcome.status, outcome.reason) == (status, Reason.FAULTY_FRAMING)
    assert outcome.complete == 0


@pytest.mark.row("R40", "R81")
@pytest.mark.parametrize("coding", [b"chunked", b"CHUNKED", b"Chunked", b"\tchunked "])
def test_chunked_content_is_read_on_both_sides(coding: bytes) -> None:
    field = b"Transfer-Encoding:" + coding + b"\r\n\r\n"
    chunks = b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    request = requests_every_way(POST + field + chunks + NEXT)
    assert (request.contents, request.complete) == ([b"hello"], 2)
    response = responses_every_way(OK + field + chunks + EMPTY, [b"GET", b"GET"])
    assert (response.contents, response.complete) == ([b"hello"], 2)


@pytest.mark.row("R41", "R43", "R50", "R62")
@pytest.mark.parametrize("coding", [b"chunked", b"gzip", b"gzip, chunked"])
def test_transfer_coding_of_the_caller_is_replaced_by_chunked_once(coding: bytes) -> None:
    octets, server = streamed(NEXT, Response(200, make_lines([(b"Transfer-Encoding", coding)])))
    assert octets == OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert server.reason is Reason.PERSISTS_11


@pytest.mark.row("R42", "R63")
def test_request_of_unknown_length_is_chunked_whatever_the_caller_says() -> None:
    client = ClientConnection()
    client.peer_speaks_11 = True
    lines = make_lines([*HOST, (b"Transfer-Encoding", b"gzip")])
    octets = client.send(Request(b"POST", b"/", lines, end=False)) + client.send(Data(b"hello", True))
    assert octets == POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.row("R44")
@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET /", 204), (b"HEAD /", 204), (b"CONNECT x:80", 200), (b"CONNECT x:80", 299)],
)
def test_no_framing_field_where_there_is_no_content(request_line: bytes, status: int) -> None:
    lines = make_lines([(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")])
    octets = answered(request_line + b" HTTP/1.1\r\nHost: x\r\n\r\n", Response(status, lines, b""))
    assert octets == b"HTTP/1.1 %d \r\n\r\n" % status


@pytest.mark.row("R44")
def test_no_framing_field_in_an_interim_response() -> None:
    server = ServerConnection()
    server.receive(NEXT)
    lines = make_lines([(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"Link", b"</a>")])
    assert server.send(Interim(103, lines)) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.mark.row("R45")
@pytest.mark.parametrize("coding", [b"foo, chunked", b"gzip, chunked", b"chunked-x, chunked"])
def test_unknown_transfer_coding_is_501(coding: bytes) -> None:
    assert_refused(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n", 501)


@pytest.mark.row("R46")
def test_request_is_chunked_only_once_the_server_was_seen_to_speak_11() -> None:
    client = ClientConnection()
    unknown = Request(b"POST", b"/", make_lines(HOST), end=False)
    with pytest.raises(LocalViolation, match="content of unknown length"):
        client.send(unknown)
    client.send_whole(Request(b"GET", b"/", make_lines(HOST)))
    client.receive(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
    assert not client.peer_speaks_11
    seen = ClientConnection()
    seen.send_whole(Request(b"GET", b"/", make_lines(HOST)))
    seen.receive(EMPTY)
    seen.next_cycle()
    assert b"Transfer-Encoding: chunked\r\n" in seen.send(unknown)


@pytest.mark.row("R47", "R12", "R69", "R170")
@pytest.mark.parametrize("option", [b"", b"Connection: keep-alive\r\n"])
def test_http_10_never_gets_chunks(option: bytes) -> None:
    request = b"GET / HTTP/1.0\r\n" + option + b"\r\n"
    octets, server = streamed(request, Response(200))
    assert octets == OK + b"Connection: close\r\n\r\nhello"
    assert not server.persists
    whole = answered(request, Response(200), b"hello")
    assert b"\r\nContent-Length: 5\r\n" in whole
    assert (b"Connection: keep-alive" in whole) is bool(option)


@pytest.mark.row("R48", "R53")
@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding:\r\n",
    ],
)
def test_both_framing_fields_are_refused_and_the_suffix_is_no_request(fields: bytes) -> None:
    assert_refused(POST + fields + b"\r\n0\r\n\r\n")
    outcome = responses_every_way(OK + fields + b"\r\n0\r\n\r\n" + INJECTED, eof=True)
    assert (outcome.status, outcome.heads) == (502, [])


@pytest.mark.row("R49")
@pytest.mark.parametrize("option", [b"", b"Connection: keep-alive\r\n"])
def test_transfer_coding_in_http_10_is_refused_from_a_client_and_ends_the_connection_of_a_server(
    option: bytes,
) -> None:
    coded = option + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert_refused(b"POST / HTTP/1.0\r\n" + coded)
    outcome = responses_every_way(b"HTTP/1.0 200 OK\r\n" + coded)
    assert (outcome.contents, outcome.complete, outcome.reason) == ([b"hello"], 1, Reason.FAULTY_FRAMING)
    outcome = responses_every_way(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", eof=True)
    assert (outcome.contents, outcome.complete, outcome.reason) == ([b"hello"], 1, Reason.FAULTY_FRAMING)


@pytest.mark.row("R51")
@pytest.mark.parametrize("fields", [b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n", b""])
@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", b"200"), (b"GET", b"304"), (b"GET", b"204"), (b"HEAD", b"404")]
)
def test_response_without_content_ends_at_its_blank_line(method: bytes, status: bytes, fields: bytes) -> None:
    octets = b"HTTP/1.1 " + status + b" \r\n" + fields + b"\r\n" + OK + b"Content-Length: 2\r\n\r\nok"
    outcome = responses_every_way(octets, [method, b"GET"])
    assert (outcome.complete, outcome.contents, outcome.reason) == (2, [b"ok"], Reason.PERSISTS_11)


@pytest.mark.row("R51")
def test_interim_response_ends_at_its_blank_line_whatever_it_says() -> None:
    interim = (
        b"HTTP/1.1 103 E\r\nContent-Length: 10\r\n\r\nHTTP/1.1 100 \r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    outcome = responses_every_way(interim + OK + b"Content-Length: 2\r\n\r\nok")
    assert [start[0] for start in outcome.starts] == [103, 100, 200]
    assert outcome.contents == [b"ok"]


@pytest.mark.row("R52")
@pytest.mark.parametrize("fields", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_framing_fields_of_an_accepted_connect_are_ignored(fields: bytes) -> None:
    outcome = responses_every_way(OK + fields + b"\r\n\x16\x03\x01 not HTTP", [b"CONNECT"])
    assert outcome.heads[0].kind is FramingKind.TUNNEL
    assert (outcome.contents, outcome.reason) == ([b"\x16\x03\x01 not HTTP"], Reason.TUNNEL)


@pytest.mark.row("R54", "R80")
@pytest.mark.parametrize(
    "coding",
    [
        b"chunked, gzip",
        b"gzip",
        b"identity",
        b"xchunked",
        b"chunked;q=1",
        b"",
        b"chunked, identity",
        b"cow",
        b"chunked chunked",
        b'"chunked"',
        b"chunked\r\nTransfer-Encoding: identity",
        b"c\xc2\xa0hunked",
    ],
)
def test_request_whose_last_coding_is_not_chunked_is_refused(coding: bytes) -> None:
    assert_refused(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")


@pytest.mark.row("R55")
def test_response_whose_last_coding_is_not_chunked_is_read_to_the_close() -> None:
    octets = OK + b"Transfer-Encoding: gzip\r\n\r\n" + EMPTY
    outcome = responses_every_way(octets, eof=True)
    assert (outcome.contents, outcome.reason) == ([EMPTY], Reason.CLOSE_DELIMITED)


BAD_LENGTHS = [b"+5", b"-1", b"0x5", b"5 5", b"5;", b"", b"5, 6", b"5,5", b"5, 5", b"36893488147419103233"]
BAD_LENGTHS += [b"\xef\xbc\x95", b"5_0", b"5.0", b"1" + b"0" * 30, b"five", b"5\r\nContent-Length: 6"]
BAD_LENGTHS += [b"5\r\nContent-Length: 5", b"5\r\nContent-Length:"]


@pytest.mark.row("R56", "R59", "R65")
@pytest.mark.parametrize("length", BAD_LENGTHS)
def test_invalid_length_of_a_request_is_refused(length: bytes) -> None:
    assert_refused(POST + b"Content-Length: " + length + b"\r\n\r\nhello")


@pytest.mark.row("R57", "R58", "R59", "R65")
@pytest.mark.parametrize("length", BAD_LENGTHS)
def test_invalid_length_of_a_response_ends_the_connection(length: bytes) -> None:
    outcome = responses_every_way(OK + b"Content-Length: " + length + b"\r\n\r\nhello", eof=True)
    assert (outcome.status, outcome.reason, outcome.heads) == (502, Reason.FAULTY_FRAMING, [])


@pytest.mark.row("R60")
@pytest.mark.parametrize("content", [b"", b"h", b"hell"])
def test_content_cut_short_is_incomplete_on_both_sides(content: bytes) -> None:
    head = b"Content-Length: 5\r\n\r\n" + content
    outcome = requests_every_way(POST + head, eof=True)
    assert (outcome.status, outcome.reason, outcome.complete) == (400, Reason.INCOMPLETE, 0)
    outcome = responses_every_way(OK + head, eof=True)
    assert (outcome.status, outcome.reason, outcome.complete) == (502, Reason.INCOMPLETE, 0)


@pytest.mark.row("R61")
def test_request_without_a_length_has_no_content() -> None:
    outcome = requests_every_way(POST + b"\r\n" + NEXT)
    assert (outcome.starts, outcome.contents) == ([(b"POST", b"/"), (b"GET", b"/next")], [])


@pytest.mark.row("R63")
def test_request_with_content_says_its_length() -> None:
    client = ClientConnection()
    assert client.send_whole(Request(b"POST", b"/", make_lines(HOST)), b"hello") == (
        POST + b"Content-Length: 5\r\n\r\nhello"
    )
    declared = Request(b"POST", b"/", make_lines([*HOST, (b"content-length", b"5")]), end=False)
    octets = client.send(declared) + client.send(Data(b"hel")) + client.send(Data(b"lo", True))
    assert octets == POST + b"content-length: 5\r\n\r\nhello"


@pytest.mark.row("R64", "R90")
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "surplus", [INJECTED, b"x", b"\r\n\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\x00"]
)
def test_octets_after_the_response_are_never_a_response(method: bytes, surplus: bytes) -> None:
    content = b"" if method == b"HEAD" else b"ok"
    outcome = responses_every_way(OK + b"Content-Length: 2\r\n\r\n" + content + surplus, [method])
    assert (outcome.complete, len(outcome.heads), outcome.contents) == (1, 1, [content] if content else [])
    assert outcome.reason is Reason.SURPLUS_OCTETS


@pytest.mark.row("R64")
def test_injected_response_is_not_delivered_to_the_next_request() -> None:
    client = ClientConnection()
    client.send_whole(Request(b"GET", b"/", make_lines(HOST)))
    client.receive(OK + b"Content-Length: 2\r\n\r\nok" + INJECTED)
    client.next_cycle()
    assert client.waiting_octets == 0
    with pytest.raises(LocalViolation, match="by a client that is closed"):
        client.send_whole(Request(b"GET", b"/next", make_lines(HOST)))
    assert client.receive(INJECTED) == []


@pytest.mark.row("R65")
@pytest.mark.parametrize("length", [2**31, 2**32, 2**63 - 1, 2**63, 10**19 - 1])
def test_huge_length_is_counted_without_loss(length: int) -> None:
    server = ServerConnection()
    (request, data) = server.receive(POST + b"Content-Length: %d\r\n\r\nhello" % length)
    assert isinstance(request, Request)
    assert request.framing == (FramingKind.LENGTH, length, False)
    assert not data.end
    with pytest.raises(RemoteViolation):
        server.receive_eof()


@pytest.mark.row("R66")
def test_wrong_length_of_the_caller_is_not_sent() -> None:
    for length in (b"6", b"05x", b"", b"5, 5"):
        server = ServerConnection()
        server.receive(NEXT)
        with pytest.raises(LocalViolation):
            server.send_whole(Response(200, make_lines([(b"Content-Length", length)])), b"hello")
        assert server.send_whole(Response(500)).startswith(b"HTTP/1.1 500 ")


@pytest.mark.row("R67", "R68")
def test_head_is_answered_with_the_length_of_get_and_without_content() -> None:
    get, head = NEXT, NEXT.replace(b"GET", b"HEAD")
    for lines in (make_lines([(b"Content-Length", b"5")]), []):
        whole = answered(get, Response(200, lines), b"hello")
        assert answered(head, Response(200, lines), b"hello") + b"hello" == whole
    octets, server = streamed(head, Response(200, make_lines([(b"Content-Length", b"5")])))
    assert octets == OK + b"Content-Length: 5\r\n\r\n"
    assert server.next_cycle() == []


@pytest.mark.row("R67", "R68")
def test_304_has_no_content_and_no_length_but_its_own() -> None:
    assert answered(NEXT, Response(304), b"hello") == b"HTTP/1.1 304 Not Modified\r\n\r\n"
    lines = make_lines([(b"Content-Length", b"9")])
    assert answered(NEXT, Response(304, lines)) == b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.row("R68")
def test_205_has_no_content() -> None:
    lines = make_lines([(b"Content-Length", b"5")])
    octets = answered(NEXT, Response(205, lines), b"hello")
    assert octets == b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.row("R70")
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"BREW"])
def test_content_of_any_method_is_content(method: bytes) -> None:
    head = method + b" / HTTP/1.1\r\nHost: x\r\n"

    def check(outcome: Outcome) -> None:
        assert outcome.starts == [(method, b"/"), (b"GET", b"/next")]
        assert outcome.contents == [NEXT[:5]]

    check(requests_every_way(head + b"Content-Length: 5\r\n\r\n" + NEXT[:5] + NEXT))
    check(
        requests_every_way(
            head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + NEXT[:5] + b"\r\n0\r\n\r\n" + NEXT
        )
    )


@pytest.mark.row("R71")
def test_trace_is_sent_without_content() -> None:
    with pytest.raises(LocalViolation, match="a TRACE request has no content"):
        ClientConnection().send_whole(Request(b"TRACE", b"/", make_lines(HOST)), b"hello")
    head = ClientConnection().send_whole(Request(b"TRACE", b"/", make_lines(HOST)))
    assert head == b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.row("R62", "R69")
@pytest.mark.parametrize("version", [HTTP_10, HTTP_11])
def test_known_length_is_always_said(version: tuple[int, int]) -> None:
    request = b"GET / HTTP/%d.%d\r\nHost: x\r\n\r\n" % version
    assert b"\r\nContent-Length: 5\r\n" in answered(request, Response(200), b"hello")
    assert b"\r\nContent-Length: 0\r\n" in answered(request, Response(404))
