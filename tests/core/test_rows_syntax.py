"""Rows R1 to R39 on whole connections: what decides where a head ends (RFC 9112 §2 to §5)."""

from __future__ import annotations

import pytest

from perdure.core import (
    HTTP_10,
    ClientConnection,
    FramingKind,
    Limits,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    State,
    make_lines,
)
from tests.core.harness import (
    HOST,
    cut,
    read_requests,
    read_responses,
    requests_every_way,
    responses_every_way,
    singly,
)

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BOTH = [(b"GET", b"/"), (b"GET", b"/next")]


def request_with(line: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"


def response_with(line: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line + b"\r\n\r\n"


def assert_refused(octets: bytes, status: int = 400, *, first: int = 0) -> None:
    """The octets are refused however they are cut, and nothing after them is a request."""
    outcome = requests_every_way(octets + NEXT)
    assert (outcome.status, outcome.complete) == (status, first)


@pytest.mark.row("R1")
def test_octets_beyond_ascii_neither_split_nor_join_fields() -> None:
    value = b"\xc0\x8a \xe5\x98\x8a\x85\xa0"
    outcome = requests_every_way(request_with(b"X: " + value) + NEXT)
    assert outcome.starts == BOTH
    assert outcome.heads[0].fields == (*HOST, (b"X", value))


@pytest.mark.row("R2")
@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
        b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_bare_line_feed_in_a_request_head_is_refused(octets: bytes) -> None:
    assert_refused(octets)


@pytest.mark.row("R2")
@pytest.mark.parametrize(
    "octets", [EMPTY.replace(b"\r\n", b"\n"), EMPTY.replace(b"OK\r", b"OK"), EMPTY[:-2] + b"\n"]
)
def test_bare_line_feed_in_a_response_head_is_refused(octets: bytes) -> None:
    outcome = responses_every_way(octets, eof=True)
    assert (outcome.status, outcome.heads) == (502, [])


@pytest.mark.row("R4")
@pytest.mark.parametrize(
    "line", [b"X: a\rTransfer-Encoding: chunked", b"X: a\r", b"\rX: a", b"X\r: a", b"X: a\r\r", b"X:\ra"]
)
def test_bare_carriage_return_in_a_head_is_refused(line: bytes) -> None:
    assert_refused(request_with(line))
    assert responses_every_way(response_with(line)).status == 502


@pytest.mark.row("R5")
def test_client_sends_nothing_between_its_requests() -> None:
    client = ClientConnection()
    first = client.send_whole(Request(b"POST", b"/", make_lines(HOST)), b"hello")
    second = client.send_whole(Request(b"GET", b"/", make_lines(HOST)))
    assert first.startswith(b"POST / HTTP/1.1\r\n")
    assert first.endswith(b"\r\n\r\nhello")
    assert second == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.row("R6")
@pytest.mark.parametrize("lines", [1, 2])
def test_empty_lines_before_and_between_requests_are_ignored(lines: int) -> None:
    assert requests_every_way(b"\r\n" * lines + GET + b"\r\n" * lines + NEXT).starts == BOTH


@pytest.mark.row("R6", "R9")
def test_more_empty_lines_are_refused() -> None:
    assert_refused(b"\r\n\r\n\r\n" + GET)
    assert requests_every_way(b"\r\n" * 4).status == 400
    assert_refused(GET + b"\r\n\r\n\r\n", first=1)


@pytest.mark.row("R8", "R28")
@pytest.mark.parametrize("space", [b" ", b"\t", b"  "])
def test_white_space_before_the_first_field_is_refused(space: bytes) -> None:
    assert_refused(b"GET / HTTP/1.1\r\n" + space + b"Host: x\r\n\r\n")
    assert_refused(b"GET / HTTP/1.1\r\n" + space + b"Host: evil\r\nHost: x\r\n\r\n")
    assert (
        responses_every_way(b"HTTP/1.1 200 OK\r\n" + space + b"X: y\r\nContent-Length: 0\r\n\r\n").status
        == 502
    )


@pytest.mark.row("R9", "R115")
@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET /\r\n\r\n", b"{}\r\n\r\n"]
)
def test_garbage_after_a_good_exchange_is_answered_with_400_and_close(garbage: bytes) -> None:
    server = ServerConnection()
    outcome = read_requests([GET + garbage + NEXT], connection=server)
    assert (outcome.starts, outcome.status, outcome.reason) == ([(b"GET", b"/")], 400, Reason.BAD_SYNTAX)
    answer = server.send_whole(Response(400))
    assert answer == b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert server.receive(NEXT) == []
    assert not server.persists


@pytest.mark.row("R10")
@pytest.mark.parametrize(
    ("version", "status"),
    [
        (b"http/1.1", 400),
        (b"HTTP/1.10", 400),
        (b"HTTP/01.1", 400),
        (b"HTTP/1.1 x", 400),
        (b"HTTP/1.", 400),
        (b"HTTP/1,1", 400),
        (b"HTTPS/1.1", 400),
        (b"HTTP/2.0", 505),
        (b"HTTP/0.9", 505),
        (b"HTTP/3.1", 505),
    ],
)
def test_version_is_exact(version: bytes, status: int) -> None:
    assert_refused(b"GET / " + version + b"\r\nHost: x\r\n\r\n", status)


@pytest.mark.row("R10")
def test_preface_of_http_2_is_refused_by_its_version() -> None:
    assert requests_every_way(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 505


@pytest.mark.row("R11", "R12", "R14")
def test_version_sent_is_always_our_own() -> None:
    server = ServerConnection()
    server.receive(b"GET / HTTP/1.0\r\n\r\n")
    answer = server.send_whole(Response(200, version=HTTP_10), b"hello")
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    client = ClientConnection()
    assert b" HTTP/1.1\r\n" in client.send_whole(Request(b"GET", b"/", make_lines(HOST)))


@pytest.mark.row("R13")
def test_higher_minor_version_is_served_as_11_and_persists() -> None:
    outcome = requests_every_way(b"GET / HTTP/1.2\r\nHost: x\r\n\r\n" + NEXT)
    assert outcome.starts == BOTH
    assert outcome.heads[0].version == (1, 2)
    answers = b"HTTP/1.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + EMPTY
    assert responses_every_way(answers, [b"GET", b"GET"]).complete == 2


@pytest.mark.row("R15")
def test_target_of_7900_octets_is_read_and_of_100_000_is_414() -> None:
    def request(octets: int) -> bytes:
        return b"GET /" + b"a" * (octets - 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n"

    for pieces in ([request(7900)], singly(request(7900)), cut(request(7900), 1, 4096, 7999)):
        assert read_requests(pieces).complete == 1
    long = request(100_000)
    for pieces in ([long], singly(long), cut(long, 65536), cut(long, 8192, 8193), cut(long, 99_999)):
        outcome = read_requests(pieces)
        assert (outcome.status, outcome.reason) == (414, Reason.TOO_LARGE)


@pytest.mark.row("R16")
@pytest.mark.parametrize(
    "line",
    [
        b"GET /a b HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET /",
        b"GET",
        b"GET HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b"G(T / HTTP/1.1",
        b"GET x HTTP/1.1",
        b"GET /#a HTTP/1.1",
    ],
)
def test_request_line_is_never_corrected(line: bytes) -> None:
    assert_refused(line + b"\r\nHost: x\r\n\r\n")


@pytest.mark.row("R17")
def test_client_refuses_to_send_a_request_without_one_host() -> None:
    for hosts in ((), ((b"Host", b"a"), (b"Host", b"a"))):
        client = ClientConnection()
        with pytest.raises(LocalViolation, match="Host fields, exactly 1 expected"):
            client.send_whole(Request(b"GET", b"/", make_lines(hosts)))
        assert client.idle
    head = ClientConnection().send_whole(Request(b"GET", b"/", make_lines([(b"Host", b"")])))
    assert head == b"GET / HTTP/1.1\r\nHost: \r\n\r\n"


@pytest.mark.row("R18")
@pytest.mark.parametrize(
    "hosts",
    [
        b"",
        b"Host: x\r\nHost: x\r\n",
        b"Host: x\r\nhost: y\r\n",
        b"Host: x y\r\n",
        b"Host: x/\r\n",
        b"Host: u@x\r\n",
        b"Host: x:y\r\n",
        b"Host: [::1\r\n",
        b"Host: x,y:z\r\n",
        b"Host: x\xe9\r\n",
        b"Host: <x>\r\n",
    ],
)
def test_host_that_is_missing_doubled_or_invalid_is_400(hosts: bytes) -> None:
    assert_refused(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
    assert_refused(b"GET http://x/ HTTP/1.1\r\n" + hosts + b"\r\n")


@pytest.mark.row("R20")
def test_absolute_form_is_taken() -> None:
    outcome = requests_every_way(b"GET http://a:8080/p?q HTTP/1.1\r\nHost: b\r\n\r\n")
    assert outcome.starts == [(b"GET", b"http://a:8080/p?q")]


@pytest.mark.row("R22")
@pytest.mark.parametrize("target", [b"h", b"h:", b"h:99999", b"h:0", b":80", b"/", b"http://h:80", b"h:80x"])
def test_connect_without_a_real_port_is_refused(target: bytes) -> None:
    outcome = requests_every_way(b"CONNECT " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n" + NEXT)
    assert (outcome.status, outcome.reason, outcome.complete) == (400, Reason.CONNECT_REJECTED, 0)


@pytest.mark.row("R24")
@pytest.mark.parametrize("line", [b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 200 \tnever: mind \xe9"])
def test_client_does_not_care_about_the_phrase(line: bytes) -> None:
    assert responses_every_way(line + b"\r\nContent-Length: 0\r\n\r\n").heads[0].start[0] == 200


@pytest.mark.row("R25", "R26")
@pytest.mark.parametrize(
    "line", [b"Content-Length : 5", b"Transfer-Encoding\t: chunked", b"X : y", b"Host : x"]
)
def test_white_space_before_the_colon_is_refused(line: bytes) -> None:
    assert_refused(request_with(line))
    assert responses_every_way(response_with(line)).status == 502


@pytest.mark.row("R28")
@pytest.mark.parametrize("fold", [b" ", b"\t"])
@pytest.mark.parametrize("line", [b"Transfer-Encoding:\r\n", b"X: a\r\n", b"Content-Length: 1\r\n"])
def test_folded_request_field_is_refused(line: bytes, fold: bytes) -> None:
    assert_refused(request_with(line + fold + b"chunked"))


@pytest.mark.row("R30")
def test_folded_response_field_is_read_with_a_space_and_obeyed() -> None:
    outcome = responses_every_way(response_with(b"Connection:\r\n\t close\r\nX: a\r\n b"))
    assert outcome.heads[0].fields[1:] == ((b"Connection", b"close"), (b"X", b"a b"))
    assert outcome.reason is Reason.CLOSE_RECEIVED


@pytest.mark.row("R31")
@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 0\x00",
        b"Connection: clo\x00se",
        b"X: \x00",
        b"X\x00: y",
        b"\x00: y",
        b"X: a\x7f",
        b"X: \x0b",
    ],
)
def test_nul_and_other_controls_in_a_field_are_refused(line: bytes) -> None:
    assert_refused(request_with(line))
    assert responses_every_way(response_with(line)).status == 502


@pytest.mark.row("R32")
def test_no_request_is_handed_out_before_its_blank_line() -> None:
    server = ServerConnection()
    assert [server.receive(octet) for octet in singly(GET[:-1])] == [[]] * (len(GET) - 1)
    assert server.peer_state is State.IDLE
    with pytest.raises(RemoteViolation) as caught:
        server.receive_eof()
    assert caught.value.reason is Reason.INCOMPLETE


@pytest.mark.row("R33")
@pytest.mark.parametrize(
    "fields",
    [b"X: " + b"a" * 100_000, b"\r\n".join([b"X: y"] * 100), b"\r\n".join([b"X: " + b"a" * 1000] * 70)],
    ids=["one long field", "a hundred and one fields", "70 kB of fields"],
)
def test_fields_beyond_the_limits_are_431_and_never_ignored(fields: bytes) -> None:
    octets = request_with(fields) + NEXT
    for pieces in ([octets], singly(octets), cut(octets, 500), cut(octets, 65536)):
        outcome = read_requests(pieces)
        assert (outcome.status, outcome.complete, outcome.reason) == (431, 0, Reason.TOO_LARGE)


@pytest.mark.row("R36")
def test_empty_list_members_change_nothing() -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ,chunked\r\nConnection: ,, close ,\r\n\r\n"
    outcome = requests_every_way(request + b"0\r\n\r\n" + NEXT)
    assert (outcome.starts, outcome.reason) == ([(b"POST", b"/")], Reason.CLOSE_RECEIVED)
    assert outcome.heads[0].kind is FramingKind.CHUNKED


@pytest.mark.row("R38")
def test_longest_heads_of_ours_are_read_by_ourselves() -> None:
    limits = Limits()
    fields = [(b"Host", b"x"), (b"X" * 200, b"v" * 7800), *[(b"N%d" % number, b"") for number in range(97)]]
    target = b"/" + b"t" * (limits.max_line - len(b"GET / HTTP/1.1"))
    request = ClientConnection().send_whole(Request(b"GET", target, make_lines(fields)))
    assert request.index(b"\r\n") == limits.max_line
    assert read_requests([request]).complete == read_requests(singly(request)).complete == 1
    server = ServerConnection()
    server.receive(GET)
    response = server.send_whole(Response(200, make_lines(fields), b"p" * 8000), b"hello")
    assert read_responses([response]).contents == read_responses(singly(response)).contents == [b"hello"]


@pytest.mark.row("R3", "R27", "R39")
@pytest.mark.parametrize(
    "evil", [b"a\r\nX: y", b"a\n b", b"a\r b", b"a\r\n b", b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"\x00"]
)
def test_nothing_a_caller_says_splits_a_head(evil: bytes) -> None:
    server = ServerConnection()
    server.receive(GET)
    for name, value in ((b"X", evil), (evil, b"x"), (b"Set-Cookie", evil)):
        with pytest.raises(LocalViolation):
            make_lines([(name, value)])
    with pytest.raises(LocalViolation):
        server.send_whole(Response(200, reason_phrase=evil))
    # Nothing was sent, so the exchange can still be saved.
    assert server.send_whole(Response(500)).count(b"\r\n") == 3
    with pytest.raises(LocalViolation):
        ClientConnection().send_whole(Request(b"GET", b"/" + evil, make_lines(HOST)))
    with pytest.raises(LocalViolation):
        ClientConnection().send_whole(Request(evil, b"/", make_lines(HOST)))
