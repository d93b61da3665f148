"""Rows R72 to R88 on whole connections: chunks, trailers, and messages cut short (RFC 9112 §7, §8)."""

from __future__ import annotations

import pytest

from perdure.core import (
    ClientConnection,
    Data,
    EndOfMessage,
    Limits,
    LocalViolation,
    Reason,
    RemoteViolation,
    Request,
    Response,
    ServerConnection,
    make_lines,
)
from tests.core.harness import (
    HOST,
    cut,
    read_requests,
    request_for,
    requests_every_way,
    responses_every_way,
    singly,
)

CODED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LAST = b"0\r\n\r\n"


def assert_refused(chunks: bytes, status: int = 400, reason: Reason = Reason.FAULTY_FRAMING) -> None:
    """A server and a client refuse these chunks, however they are cut; what follows is not read."""
    outcome = requests_every_way(CODED + chunks + LAST + NEXT)
    assert (outcome.status, outcome.reason, outcome.complete) == (status, reason, 0)
    outcome = responses_every_way(OK + chunks + LAST + EMPTY, [b"GET", b"GET"])
    assert (outcome.status, outcome.reason, outcome.complete) == (502, reason, 0)


def assert_read(chunks: bytes, content: bytes, trailers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """A server and a client read this content, and then the next message."""
    expected = [content] if content else []
    outcome = requests_every_way(CODED + chunks + NEXT)
    assert (outcome.contents, outcome.trailers, outcome.status) == (expected, [trailers, ()], None)
    outcome = responses_every_way(OK + chunks + EMPTY, [b"GET", b"GET"])
    assert (outcome.contents, outcome.trailers, outcome.status) == (expected, [trailers, ()], None)


@pytest.mark.row("R72")
@pytest.mark.parametrize("size", [b"FFFFFFFFFFFFFFFF5", b"10000000000000005", b"0" * 17, b"f" * 100])
def test_chunk_size_beyond_sixteen_digits_is_refused(size: bytes) -> None:
    assert_refused(size + b"\r\nhello\r\n")


@pytest.mark.row("R72")
@pytest.mark.parametrize(
    "size", [b"FFFFFFFFFFFFFFFF", b"8000000000000000", b"7fffffffffffffff", b"100000000", b"80000000"]
)
def test_huge_chunk_is_counted_without_loss(size: bytes) -> None:
    server = ServerConnection()
    _, data = server.receive(CODED + size + b"\r\nhello\r\n0\r\n\r\n" + NEXT)
    assert isinstance(data, Data)
    assert (data.octets, data.end) == (b"hello\r\n0\r\n\r\n" + NEXT, False)


@pytest.mark.row("R73")
@pytest.mark.parametrize(
    "size",
    [
        b"0x5",
        b"+5",
        b"-5",
        b"5_0",
        b" 5",
        b"\t5",
        b"",
        b"\xef\xbc\x95",
        b"g",
        b"5.",
        b"5h",
        b"\x005",
        b"5\x00",
    ],
)
def test_chunk_size_is_hexadecimal_digits_only(size: bytes) -> None:
    assert_refused(size + b"\r\nhello\r\n")


@pytest.mark.row("R74")
@pytest.mark.parametrize(
    "chunks",
    [
        b"5\nhello\r\n",
        b"5\r\nhello\n",
        b"5\nhello\n",
        b"0\n\r\n",
        b"0\n\n",
        b"\n5\r\nhello\r\n",
        b"5;a\nhello\r\n",
        b'5;a="\n"\r\nhello\r\n',
    ],
)
def test_bare_line_feed_ends_no_line_of_the_chunked_coding(chunks: bytes) -> None:
    assert_refused(chunks)


@pytest.mark.row("R74")
@pytest.mark.parametrize(
    "trailers", [b"0\r\n\n", b"0\r\nA: 1\n\r\n", b"0\r\nA: 1\r\n\n", b"0\r\n\nGET / HTTP/1.1\r\n\r\n"]
)
def test_bare_line_feed_ends_no_trailer(trailers: bytes) -> None:
    assert_refused(trailers, reason=Reason.BAD_SYNTAX)


@pytest.mark.row("R74")
@pytest.mark.parametrize("octets", [b"5\n", b"\n", b"5\r\nhello\n", b"5;a\n"])
def test_bare_line_feed_is_refused_at_once_and_not_when_time_is_up(octets: bytes) -> None:
    server = ServerConnection()
    server.receive(CODED)
    with pytest.raises(RemoteViolation):
        server.receive(octets)


@pytest.mark.row("R75")
@pytest.mark.parametrize(
    "chunks",
    [
        b"5\r\nhelloXX",
        b"4\r\nhello\r\n",
        b"6\r\nhello\r\n",
        b"5\r\nhello\r0\r\n",
        b"5\r\nhello\r\r\n",
        b"5\r\nhello",
        b"5\r\nhello \r\n",
    ],
)
def test_chunk_data_is_followed_by_exactly_one_line_end(chunks: bytes) -> None:
    assert_refused(chunks)


@pytest.mark.row("R76")
@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        (b"000\r\n\r\n", b""),
        (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello"),
        (b"A\r\n0123456789\r\n" + LAST, b"0123456789"),
        (b"a\r\n0123456789\r\n" + LAST, b"0123456789"),
        (b"5\r\n\r\n0\r\n\r\n" + LAST, b"\r\n0\r\n"),
    ],
)
def test_last_chunk_is_any_number_of_zeros(chunks: bytes, content: bytes) -> None:
    assert_read(chunks, content)


@pytest.mark.row("R77")
@pytest.mark.parametrize(
    "extension", [b';a=b;c="x;y"', b";a", b" ; a = b", b';a="\\""', b"; a\t", b" ", b';a="\xff"', b";a;a;a"]
)
def test_unknown_chunk_extension_is_ignored(extension: bytes) -> None:
    assert_read(b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n", b"hello")


@pytest.mark.row("R77")
@pytest.mark.parametrize(
    "extension", [b";", b";a=", b";a\r", b";\r\r", b';a="', b"; a b", b"x", b";a=b=c", b';a="\x00"', b";\xff"]
)
def test_malformed_chunk_extension_is_refused(extension: bytes) -> None:
    assert_refused(b"5" + extension + b"\r\nhello\r\n")


@pytest.mark.row("R77")
def test_chunk_extensions_are_limited_in_all() -> None:
    one = CODED + b"5;" + b"a" * 1_000_000 + b"\r\nhello\r\n" + LAST
    many = CODED + b"1;aaaaaaa\r\nx\r\n" * 513 + LAST
    for pieces in ([one], cut(one, 4000, 5000), [many], singly(many), cut(many, 3000)):
        outcome = read_requests(pieces)
        assert (outcome.status, outcome.complete) == (400, 0)
    most = CODED + b"1;aaaaaaa\r\nx\r\n" * 512 + LAST + NEXT
    for pieces in ([most], singly(most), cut(most, 5000)):
        assert read_requests(pieces).contents == [b"x" * 512]


def test_content_beyond_the_limit_is_413_by_its_size_alone() -> None:
    limits = Limits(max_body=5)
    assert requests_every_way(CODED + b"5\r\nhello\r\n" + LAST, limits=limits).complete == 1
    for octets in (CODED + b"6\r\n", CODED + b"5\r\nhello\r\n1\r\n", CODED + b"FFFFFFFFFFFFFFFF\r\n"):
        outcome = requests_every_way(octets, limits=limits)
        assert (outcome.status, outcome.reason) == (413, Reason.TOO_LARGE)
    declared = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
    assert requests_every_way(declared, limits=limits).status == 413
    assert requests_every_way(declared.replace(b"6", b"5") + b"hello", limits=limits).complete == 1


@pytest.mark.row("R78", "R84")
@pytest.mark.parametrize(
    "field",
    [
        (b"Content-Length", b"5"),
        (b"Transfer-Encoding", b"gzip"),
        (b"Host", b"evil"),
        (b"Connection", b"close"),
        (b"Keep-Alive", b"timeout=0"),
        (b"X-Checksum", b"1"),
    ],
)
def test_trailers_change_neither_framing_nor_persistence(field: tuple[bytes, bytes]) -> None:
    assert_read(b"5\r\nhello\r\n0\r\n" + b": ".join(field) + b"\r\n\r\n", b"hello", (field,))


@pytest.mark.row("R84")
def test_trailers_are_read_to_their_end_before_the_next_message() -> None:
    trailers = ((b"A", b"1"), (b"B", b"GET / HTTP/1.1"), (b"A", b""))
    section = b"".join(name + b": " + value + b"\r\n" for name, value in trailers)
    assert_read(b"0\r\n" + section + b"\r\n", b"", trailers)


@pytest.mark.row("R84")
@pytest.mark.parametrize(
    "line", [b" A: 1", b"A : 1", b"A", b": 1", b"A: \x00", b"A: 1\r\n folded", b"A: 1\rB: 2", b"\r"]
)
def test_malformed_trailer_is_refused(line: bytes) -> None:
    assert_refused(b"0\r\n" + line + b"\r\n\r\n", reason=Reason.BAD_SYNTAX)


@pytest.mark.row("R84")
@pytest.mark.parametrize(
    "section", [b"A: " + b"a" * 100_000 + b"\r\n", b"A: 1\r\n" * 257], ids=["a long line", "too many lines"]
)
def test_trailers_beyond_the_limits_are_refused(section: bytes) -> None:
    octets = CODED + b"0\r\n" + section + b"\r\n"
    for pieces in ([octets], singly(octets), cut(octets, 500), cut(octets, len(octets) - 1)):
        outcome = read_requests(pieces)
        assert (outcome.status, outcome.reason, outcome.complete) == (431, Reason.TOO_LARGE, 0)


@pytest.mark.row("R79")
def test_trailer_that_frames_routes_or_authenticates_is_not_sent() -> None:
    for name in (
        b"Content-Length",
        b"transfer-encoding",
        b"Host",
        b"Authorization",
        b"Connection",
        b"Trailer",
    ):
        server = ServerConnection()
        server.receive(NEXT)
        server.send(Response(200, end=False))
        with pytest.raises(LocalViolation, match="cannot be sent as a trailer"):
            server.send(EndOfMessage(make_lines([(name, b"x")])))
        assert server.reason is Reason.LOCAL_FAULT


@pytest.mark.row("R82", "R83")
def test_te_is_sent_with_its_option_and_without_chunked() -> None:
    lines = make_lines([*HOST, (b"TE", b"trailers")])
    octets = ClientConnection().send_whole(Request(b"GET", b"/", lines))
    assert octets == b"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: te\r\n\r\n"
    with pytest.raises(LocalViolation, match="TE lists chunked"):
        make_lines([(b"TE", b"chunked")])


FRAMED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.row("R85")
@pytest.mark.parametrize("whole", [FRAMED + b"hello", OK + b"5\r\nhello\r\n0\r\nA: 1\r\n\r\n"])
def test_response_cut_short_anywhere_is_incomplete(whole: bytes) -> None:
    assert responses_every_way(whole, eof=True).complete == 1
    for length in range(len(whole)):
        outcome = responses_every_way(whole[:length], eof=True)
        assert (outcome.status, outcome.reason, outcome.complete) == (502, Reason.INCOMPLETE, 0)


@pytest.mark.row("R85")
def test_close_delimited_response_cut_off_by_tls_is_incomplete() -> None:
    client = ClientConnection()
    client.send_whole(request_for(b"GET"))
    client.receive(b"HTTP/1.1 200 OK\r\n\r\nhello")
    with pytest.raises(RemoteViolation) as caught:
        client.receive_eof(clean=False)
    assert caught.value.reason is Reason.INCOMPLETE


@pytest.mark.row("R86")
def test_what_is_not_finished_never_looks_finished() -> None:
    server = ServerConnection()
    server.receive(NEXT)
    sent = server.send(Response(200, end=False)) + server.send(Data(b"hello")) + server.send(Data(b""))
    server.end(Reason.INCOMPLETE)
    assert sent == OK + b"5\r\nhello\r\n"
    assert responses_every_way(sent, eof=True).reason is Reason.INCOMPLETE
    with pytest.raises(LocalViolation):
        server.send(EndOfMessage())


@pytest.mark.row("R86")
def test_content_shorter_than_its_length_is_a_fault_of_ours_and_never_padded() -> None:
    server = ServerConnection()
    server.receive(NEXT)
    server.send(Response(200, make_lines([(b"Content-Length", b"5")]), end=False))
    server.send(Data(b"he"))
    with pytest.raises(LocalViolation, match="3 octets shorter"):
        server.send(EndOfMessage())
    assert server.reason is Reason.LOCAL_FAULT


@pytest.mark.row("R87")
@pytest.mark.parametrize("octets", [b"GE", NEXT[:-2], CODED, CODED + b"5\r\nhel", CODED + b"0\r\n"])
@pytest.mark.parametrize("status", [400, 408])
def test_incomplete_request_may_be_answered_and_says_close(octets: bytes, status: int) -> None:
    server = ServerConnection()
    server.receive(octets)
    with pytest.raises(RemoteViolation) as caught:
        server.receive_eof()
    assert (caught.value.status, caught.value.reason) == (400, Reason.INCOMPLETE)
    assert b"\r\nConnection: close\r\n" in server.send_whole(Response(status))


@pytest.mark.row("R88")
def test_408_in_answer_to_a_request_is_its_response_and_ends_the_connection() -> None:
    octets = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    outcome = responses_every_way(octets)
    assert (outcome.starts, outcome.reason) == ([(408, b"Request Timeout")], Reason.CLOSE_RECEIVED)
