"""Content that is kept for a while."""

from __future__ import annotations

import pytest

from perdure.core import ClientConnection, LocalViolation, Request, make_line
from perdure.core.framing import CHUNKED, framed_by_length
from perdure.intermediary.content import HELD_OCTETS, Upload

LENGTH_5 = Request(
    b"PUT", b"/", [make_line(b"Host", b"a"), make_line(b"Content-Length", b"5")],
    framing=framed_by_length(5), end=False,
)  # fmt: skip
UNKNOWN = Request(b"PUT", b"/", [make_line(b"Host", b"a")], framing=CHUNKED, end=False)


def is_too_much(kept: Upload) -> bool:
    return kept.too_much


def speaker(speaks_11: bool = True) -> ClientConnection:
    connection = ClientConnection()
    connection.peer_speaks_11 = speaks_11
    return connection


def test_complete_content_goes_in_one_piece_with_its_length() -> None:
    upload = Upload(False)
    upload.take(b"he", False)
    upload.take(b"llo", True)
    assert upload.first_octets(speaker(), UNKNOWN) == (
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    )


def test_content_under_way_goes_as_far_as_it_came() -> None:
    upload = Upload(False)
    upload.take(b"he", False)
    assert upload.first_octets(speaker(), LENGTH_5).endswith(b"Content-Length: 5\r\n\r\nhe")
    assert upload.first_octets(speaker(), UNKNOWN).endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")


def test_trailers_keep_the_chunked_coding() -> None:
    upload = Upload(False)
    upload.take(b"he", True)
    upload.trailers = [make_line(b"X-Sum", b"1")]
    assert upload.first_octets(speaker(), UNKNOWN).endswith(b"2\r\nhe\r\n0\r\nX-Sum: 1\r\n\r\n")


def test_unknown_length_is_not_for_an_origin_of_http_10() -> None:
    with pytest.raises(LocalViolation):
        Upload(True).first_octets(speaker(speaks_11=False), UNKNOWN)


def test_content_is_replayable_while_all_of_it_is_or_will_be_there() -> None:
    upload = Upload(False)
    assert upload.replayable(LENGTH_5)
    assert not upload.replayable(UNKNOWN)
    upload.take(b"hello", True)
    assert upload.replayable(UNKNOWN)
    upload.let_go()
    assert not upload.replayable(LENGTH_5)


def test_large_content_is_not_replayable() -> None:
    large = Request(b"PUT", b"/", LENGTH_5.fields, framing=framed_by_length(HELD_OCTETS + 1), end=False)
    upload = Upload(False)
    assert not upload.replayable(large)
    upload.take(bytes(HELD_OCTETS), False)
    assert not is_too_much(upload)
    upload.take(b"!", True)
    assert is_too_much(upload)
    assert not upload.replayable(UNKNOWN)
