"""Content codings undone, in bounded pieces."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.client.decoding import (
    ACCEPT_ENCODING,
    DECODERS,
    MOST_CODINGS,
    PIECE_OCTETS,
    GzipDecoder,
    decoded,
    decoder_of,
)
from perdure.client.errors import DecodingError
from perdure.core import FieldLine, make_lines

brotli: Any = pytest.importorskip("brotli")
zstd: Any = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def bare(octets: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(octets) + made.flush()


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]
each_coding = pytest.mark.parametrize(
    ("name", "pack"), PACKED, ids=lambda each: getattr(each, "__name__", each)
)


def coded(*values: str) -> list[FieldLine]:
    return make_lines([(b"Content-Encoding", value.encode()) for value in values])


def test_requests_accept_exactly_what_is_undone() -> None:
    assert ACCEPT_ENCODING == b"gzip, deflate, br, zstd"
    assert {*ACCEPT_ENCODING.split(b", "), b"x-gzip"} == set(DECODERS)


@each_coding
@given(octets=st.binary(max_size=300), cut=st.integers(1, 50))
def test_each_coding_is_undone_however_it_is_cut(
    name: str, pack: Callable[[bytes], bytes], octets: bytes, cut: int
) -> None:
    packed = pack(octets)
    decoder = decoder_of(coded(name))
    assert decoder is not None
    pieces = [piece for at in range(0, len(packed), cut) for piece in decoder.decode(packed[at : at + cut])]
    decoder.finish()
    assert b"".join(pieces) == octets == decoded(coded(name), packed)


@pytest.mark.slow
@each_coding
@pytest.mark.parametrize("whole", [PIECE_OCTETS, 2 * PIECE_OCTETS])
def test_content_of_about_whole_pieces_is_complete(
    name: str, pack: Callable[[bytes], bytes], whole: int
) -> None:
    for octets in range(whole - 3, whole + 300):
        packed = pack(bytes(octets))
        assert len(decoded(coded(name), packed)) == octets


@each_coding
def test_pieces_are_bounded_however_far_content_expands(name: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bytes(256 * PIECE_OCTETS))
    assert len(packed) < 256 * PIECE_OCTETS // 500
    decoder = decoder_of(coded(name))
    assert decoder is not None
    tracemalloc.start()
    try:
        lengths = [len(piece) for piece in decoder.decode(packed)]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == 256 * PIECE_OCTETS
    assert max(lengths) <= 2 * PIECE_OCTETS  # of br about as much, of the others exactly
    assert most < 16 * PIECE_OCTETS


@each_coding
def test_what_is_cut_short_or_something_else_is_an_error(name: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(random.Random(3).randbytes(1000))
    for content in (packed[:-3], b"\xffplain"):
        with pytest.raises(DecodingError, match=r"content (is not|ends)"):
            decoded(coded(name), content)


@pytest.mark.parametrize("values", [("br, gzip",), ("br", "identity, gzip")])
def test_codings_upon_one_another_are_undone_from_the_last_on(values: tuple[str, ...]) -> None:
    assert decoded(coded(*values), gzip.compress(brotli.compress(b"hello"))) == b"hello"


def test_a_bomb_in_a_bomb_comes_in_bounded_pieces_too() -> None:
    bomb = gzip.compress(gzip.compress(bytes(1024 * PIECE_OCTETS)))
    decoder = decoder_of(coded("gzip, gzip"))
    assert decoder is not None
    tracemalloc.start()
    try:
        total = sum(len(piece) for piece in decoder.decode(bomb))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 1024 * PIECE_OCTETS
    assert most < 16 * PIECE_OCTETS
    with pytest.raises(DecodingError, match="upon one another"):
        decoder_of(coded(", ".join(["gzip"] * (MOST_CODINGS + 1))))


@pytest.mark.slow
def test_a_brotli_without_a_bound_for_its_output_is_not_accepted(tmp_path: Path) -> None:
    """As before its 1.2; what is here is what such a module has."""
    (tmp_path / "brotli.py").write_text("class Decompressor:\n    def process(self, octets): ...\n")
    asks = (
        "import brotli; from perdure.client.decoding import ACCEPT_ENCODING as a; print(brotli.__file__, a)"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    told = subprocess.run(
        [sys.executable, "-c", asks], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True
    ).stdout
    assert os.fsencode(tmp_path) in told
    assert b"gzip, deflate, zstd" in told


@pytest.mark.parametrize("values", [("compress",), ("gzip, aes128gcm",), ("identity",), ()])
def test_what_is_unknown_is_left_to_the_caller(values: tuple[str, ...]) -> None:
    assert decoder_of(coded(*values)) is None
    assert decoded(coded(*values), b"as it came") == b"as it came"
    assert decoded(coded("gzip"), b"") == b""


def test_members_and_frames_follow_one_another() -> None:
    assert decoded(coded("gzip"), gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"
    assert decoded(coded("zstd"), zstd.compress(b"one ") + zstd.compress(b"two")) == b"one two"
    with pytest.raises(DecodingError, match="after its end"):
        decoded(coded("deflate"), zlib.compress(b"one") + b"two")


def test_a_window_of_zstd_beyond_8_mib_is_refused() -> None:
    """RFC 9659 §3."""
    options = {zstd.CompressionParameter.window_log: 24}
    made = zstd.ZstdCompressor(options=options)
    packed = made.compress(random.Random(5).randbytes(100)) + made.flush()
    with pytest.raises(DecodingError, match="zstd"):
        decoded(coded("zstd"), packed)


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
