"""gzip undone, in bounded pieces."""

from __future__ import annotations

import gzip

import pytest

from perdure.client.decoding import PIECE_OCTETS, GzipDecoder, decoded, is_gzip
from perdure.client.errors import DecodingError
from perdure.core import make_lines


@pytest.mark.parametrize(
    ("values", "applied"),
    [([b"gzip"], True), ([b"X-GZip"], True), ([b"br"], False), ([b"gzip", b"gzip"], False), ([], False)],
)
def test_only_gzip_alone_is_undone(values: list[bytes], applied: bool) -> None:
    assert is_gzip(make_lines([(b"Content-Encoding", value) for value in values])) is applied


def test_members_follow_one_another_and_octets_may_drip() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    decoder = GzipDecoder()
    pieces = [piece for octet in packed for piece in decoder.decode(bytes([octet]))]
    decoder.finish()
    assert b"".join(pieces) == b"one two"


def test_pieces_are_bounded_however_far_content_expands() -> None:
    packed = gzip.compress(bytes(64 * PIECE_OCTETS))
    assert len(packed) < PIECE_OCTETS
    assert max(map(len, GzipDecoder().decode(packed))) == PIECE_OCTETS


@pytest.mark.parametrize("content", [b"plain", gzip.compress(b"cut short")[:-3]])
def test_what_is_not_gzip_is_an_error(content: bytes) -> None:
    fields = make_lines([(b"Content-Encoding", b"gzip")])
    with pytest.raises(DecodingError):
        decoded(fields, content)
    assert decoded((), content) == content
