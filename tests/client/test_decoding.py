"""gzip undone, in bounded pieces."""

from __future__ import annotations

import gzip
import random
import tracemalloc

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


def test_little_more_than_the_piece_in_hand_is_kept_however_much_was_given() -> None:
    packed = gzip.compress(random.Random(7).randbytes(64 * PIECE_OCTETS), 1)
    tracemalloc.start()
    try:
        lengths = [len(piece) for piece in GzipDecoder().decode(packed)]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == 64 * PIECE_OCTETS
    assert most < 8 * PIECE_OCTETS, "a copy of what is left for every piece would be quadratic"
