"""Undo the gzip content coding; any other coding is left to the caller.

However far the content expands, pieces are at most PIECE_OCTETS, and so is what waits to be
decoded: memory is bounded where content is streamed, and the work is linear in its length.

RFC 9110 §8.4 (Content-Encoding), §8.4.1.3 (gzip), RFC 1952 §2.2 (several members).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from perdure.client.errors import DecodingError
from perdure.core import FieldLine

PIECE_OCTETS = 65536
_GZIP = 16 + zlib.MAX_WBITS
_NAMES = (b"gzip", b"x-gzip")


def is_gzip(fields: Sequence[FieldLine]) -> bool:
    """Whether gzip, alone, was applied to the content. RFC 9110 §8.4."""
    values = [line.value.lower() for line in fields if line.lowered == b"content-encoding"]
    return len(values) == 1 and values[0] in _NAMES


class GzipDecoder:
    """Takes pieces of gzip, gives pieces of content."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def decode(self, octets: bytes) -> Iterator[bytes]:
        """Decode a piece.

        Raises:
            DecodingError: it is not gzip.
        """
        waiting = memoryview(octets)
        for start in range(0, len(waiting), PIECE_OCTETS):
            yield from self._decode(waiting[start : start + PIECE_OCTETS])

    def _decode(self, octets: bytes | memoryview) -> Iterator[bytes]:
        while octets:
            if self._member.eof:  # 1952 §2.2: members simply follow one another
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._member.decompress(octets, PIECE_OCTETS)
            except zlib.error as error:
                raise DecodingError(f"content is not gzip, as Content-Encoding says: {error}") from error
            octets = self._member.unconsumed_tail or self._member.unused_data
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that nothing is missing.

        Raises:
            DecodingError: the content ends in the middle of a member.
        """
        if self._begun and not self._member.eof:
            raise DecodingError("content ends in the middle of gzip, as Content-Encoding says it is")


def decoded(fields: Sequence[FieldLine], content: bytes) -> bytes:
    """The content of a whole response, its gzip undone. Raises DecodingError."""
    if not content or not is_gzip(fields):
        return content
    decoder = GzipDecoder()
    plain = b"".join(decoder.decode(content))
    decoder.finish()
    return plain
