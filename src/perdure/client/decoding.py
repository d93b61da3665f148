"""Undo content codings: gzip, deflate, and where their libraries are installed br and zstd.

Several may have been applied one upon the other. However far the content expands, what is decoded comes
in pieces of about PIECE_OCTETS, and no more than that waits to be decoded: memory is bounded where content
is streamed, and the work is linear in its length. A coding unknown here leaves all of it to the caller.

RFC 9110 §8.4 (Content-Encoding), §12.5.3 (Accept-Encoding), RFC 1952 §2.2 (members of gzip), RFC 1950
(deflate), RFC 7932 (br), RFC 8878 and RFC 9659 (zstd, and its window).
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from perdure.client.errors import DecodingError
from perdure.core import FieldLine
from perdure.core.fields import split_list

brotli: Any = None
zstd: Any = None
with contextlib.suppress(ImportError):
    brotli = importlib.import_module("brotli")
with contextlib.suppress(ImportError):
    zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

PIECE_OCTETS: Final = 65536
MOST_CODINGS: Final = 5
"""More upon one another are refused: each may multiply the work by a thousand (curl: 5)."""
ZSTD_WINDOW_LOG: Final = 23
"""RFC 9659 §3: a decoder of the coding need not support windows beyond 8 MiB."""
_GZIP: Final = 16 + zlib.MAX_WBITS


class Decoder(Protocol):
    """Takes pieces of coded content, gives pieces of content."""

    def decode(self, octets: bytes) -> Iterator[bytes]:
        """Decode a piece. Raises DecodingError: it is not what Content-Encoding says."""

    def finish(self) -> None:
        """Check that nothing is missing. Raises DecodingError: the content ends too soon."""


class _Sliced:
    """A decoder that is given PIECE_OCTETS at most at once."""

    name = ""

    def decode(self, octets: bytes) -> Iterator[bytes]:
        """Decode a piece."""
        waiting = memoryview(octets)
        for start in range(0, len(waiting), PIECE_OCTETS):
            yield from self._decode(waiting[start : start + PIECE_OCTETS])

    def _decode(self, octets: bytes | memoryview) -> Iterator[bytes]:
        raise AssertionError("each coding says how")

    def _fault(self, error: object) -> DecodingError:
        return DecodingError(f"content is not {self.name}, as Content-Encoding says: {error}")

    def _cut(self) -> DecodingError:
        return DecodingError(f"content ends in the middle of {self.name}, as Content-Encoding says it is")


def _holds_back(stream: Any, piece: bytes) -> bool:
    """Whether zlib may keep output of input that it took in whole: it does where a piece is full."""
    return len(piece) == PIECE_OCTETS and not stream.eof


class GzipDecoder(_Sliced):
    """gzip, of one member or more."""

    name = "gzip"

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def _decode(self, octets: bytes | memoryview) -> Iterator[bytes]:
        piece = b""
        while octets or _holds_back(self._member, piece):
            if self._member.eof:  # 1952 §2.2: members simply follow one another
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._member.decompress(octets, PIECE_OCTETS)
            except zlib.error as error:
                raise self._fault(error) from error
            octets = self._member.unconsumed_tail or self._member.unused_data
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that nothing is missing."""
        if self._begun and not self._member.eof:
            raise self._cut()


class DeflateDecoder(_Sliced):
    """deflate: in its zlib wrapping, or bare, as some servers send it (RFC 9110 §8.4.1.2, its note)."""

    name = "deflate"

    def __init__(self) -> None:
        self._first = b""
        self._stream: Any = None

    def _decode(self, octets: bytes | memoryview) -> Iterator[bytes]:
        if self._stream is None:
            octets = self._first + bytes(octets)
            if len(octets) < 2:
                self._first = octets
                return
            # 1950 §2.2: the method is 8, and the first two octets are a multiple of 31.
            wrapped = octets[0] & 15 == 8 and (octets[0] << 8 | octets[1]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        stream, piece = self._stream, b""
        while octets or _holds_back(stream, piece):
            if stream.eof:
                raise self._fault("octets after its end")
            try:
                piece = stream.decompress(octets, PIECE_OCTETS)
            except zlib.error as error:
                raise self._fault(error) from error
            octets = stream.unconsumed_tail or stream.unused_data
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that nothing is missing."""
        if (self._first and self._stream is None) or (self._stream is not None and not self._stream.eof):
            raise self._cut()


class BrotliDecoder(_Sliced):
    """br."""

    name = "br"

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._begun = False

    def _decode(self, octets: bytes | memoryview) -> Iterator[bytes]:
        stream, waiting = self._stream, bytes(octets)
        self._begun = True
        try:
            while True:
                piece = stream.process(waiting, output_buffer_limit=PIECE_OCTETS)
                if piece:
                    yield piece
                elif stream.can_accept_more_data():  # of the input; output may have waited all the same
                    return
                waiting = b""
        except brotli.error as error:
            raise self._fault(error) from error

    def finish(self) -> None:
        """Check that nothing is missing."""
        if self._begun and not self._stream.is_finished():
            raise self._cut()


class ZstdDecoder(_Sliced):
    """zstd, of one frame or more."""

    name = "zstd"

    def __init__(self) -> None:
        self._options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
        self._frame = zstd.ZstdDecompressor(options=self._options)
        self._begun = False

    def _decode(self, octets: bytes | memoryview) -> Iterator[bytes]:
        waiting = bytes(octets)
        while waiting or not self._frame.needs_input:
            if self._frame.eof:
                waiting = waiting or self._frame.unused_data
                if not waiting:
                    return
                self._frame = zstd.ZstdDecompressor(options=self._options)
            self._begun = True
            try:
                piece = self._frame.decompress(waiting, PIECE_OCTETS)
            except zstd.ZstdError as error:
                raise self._fault(error) from error
            waiting = self._frame.unused_data if self._frame.eof else b""
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that nothing is missing."""
        if self._begun and not self._frame.eof:
            raise self._cut()


class Layers:
    """Codings upon one another; the last applied is undone first."""

    def __init__(self, decoders: Sequence[Decoder]) -> None:
        self._decoders = decoders

    def decode(self, octets: bytes) -> Iterator[bytes]:
        """Decode a piece."""
        return self._through(octets, len(self._decoders) - 1)

    def _through(self, octets: bytes, layer: int) -> Iterator[bytes]:
        for piece in self._decoders[layer].decode(octets):
            if layer:
                yield from self._through(piece, layer - 1)
            else:
                yield piece

    def finish(self) -> None:
        """Check that nothing is missing."""
        for decoder in self._decoders:
            decoder.finish()


def _bounds_output(module: Any) -> bool:
    """False of brotli before 1.2, and of other packages of that name: they give any amount at once."""
    return hasattr(getattr(module, "Decompressor", None), "can_accept_more_data")


DECODERS: Final[dict[bytes, Callable[[], Decoder]]] = {
    b"gzip": GzipDecoder,
    b"x-gzip": GzipDecoder,
    b"deflate": DeflateDecoder,
    **({b"br": BrotliDecoder} if _bounds_output(brotli) else {}),
    **({b"zstd": ZstdDecoder} if zstd is not None else {}),
}
ACCEPT_ENCODING: Final = b", ".join(name for name in DECODERS if name != b"x-gzip")
"""What requests say: exactly what can be undone here. RFC 9110 §12.5.3."""


def decoder_of(fields: Sequence[FieldLine]) -> Decoder | None:
    """What undoes the codings of a response; None where there are none, or one that is unknown here.

    Raises:
        DecodingError: there are more than MOST_CODINGS.

    RFC 9110 §8.4.
    """
    for line in fields:  # as a rule there is none: a third of the cost of the list below
        if line[1] == b"content-encoding":
            break
    else:
        return None
    values = [line[2] for line in fields if line[1] == b"content-encoding"]
    names = [name for name in split_list(values) if name != b"identity"]
    if not names or not all(name in DECODERS for name in names):
        return None
    if len(names) > MOST_CODINGS:
        raise DecodingError(
            f"{len(names)} content codings upon one another, at most {MOST_CODINGS} are undone"
        )
    decoders = [DECODERS[name]() for name in names]
    return decoders[0] if len(decoders) == 1 else Layers(decoders)


def decoded(fields: Sequence[FieldLine], content: bytes) -> bytes:
    """The content of a whole response, its codings undone. Raises DecodingError."""
    if not content:
        return content
    decoder = decoder_of(fields)
    if decoder is None:
        return content
    plain = b"".join(decoder.decode(content))
    decoder.finish()
    return plain
