"""Request content: what a caller hands over, as pieces to send.

Octets and text are known whole; a file gives its length by seeking; an iterator is read as it is
sent, so that content of any size takes constant memory. Content that can be produced again from
its start may be sent again after a stale reuse (`core.retry`).

RFC 9110 §6.4, RFC 9112 §6.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import IO, TypeAlias

import msgspec

from perdure.client.urls import form_encoded
from perdure.wire.sendfile import FileSlice, descriptor_of

PIECE_OCTETS = 65536
"""Octets are handed to the wire in pieces of this size, so that an early response is seen."""

Source: TypeAlias = bytes | bytearray | memoryview | str | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]
Form: TypeAlias = Mapping[str, object] | Iterable[tuple[str, object]]


class Content:
    """Content to send. Call `start`, then `pull` (or `pull_async` where `asynchronous`) until None.

    Attributes:
        whole: all of it where that is at hand, else None.
        length: octets where known, else None.
        replayable: True if `start` may be called again.
        asynchronous: True if only `pull_async` can produce it.
        media_type: for Content-Type; b"" where the caller has to say.
    """

    __slots__ = (
        "_file",
        "_iterator",
        "_position",
        "_source",
        "asynchronous",
        "length",
        "media_type",
        "replayable",
        "whole",
    )

    def __init__(self, source: Source | None, media_type: bytes = b"") -> None:
        """Look at the source; nothing is read from it yet.

        Raises:
            TypeError: for a source of another kind.
        """
        self.media_type = media_type
        self.asynchronous = False
        self.replayable = True
        self.whole: bytes | None = None
        self.length: int | None = None
        self._source: Iterable[bytes] | AsyncIterable[bytes] | None = None
        self._file: IO[bytes] | None = None
        self._position: int | None = None
        self._iterator: Iterator[bytes] | AsyncIterator[bytes] | None = None
        if source is None:
            self._be_whole(b"")
        elif isinstance(source, str):
            self._be_whole(source.encode())
        elif isinstance(source, bytes | bytearray | memoryview):
            self._be_whole(bytes(source))
        elif isinstance(source, list | tuple):
            self._be_whole(b"".join(source))
        elif isinstance(source, AsyncIterable):
            self.asynchronous = True
            self._source = source
            self.replayable = not isinstance(source, AsyncIterator)
        elif issubclass(type(source), io.TextIOBase):
            raise TypeError("content: expected a file of octets, opened with 'rb', got one of text")
        elif hasattr(source, "read"):
            self._be_file(source)  # type: ignore[arg-type]  # whatever reads is a file to us
        elif not isinstance(source, Mapping) and isinstance(source, Iterable):
            self._source = source
            self.replayable = not isinstance(source, Iterator)
        else:
            raise TypeError(
                f"content: expected octets, text, a file or an iterable, got {type(source).__name__}"
            )

    def _be_whole(self, octets: bytes) -> None:
        self.whole = octets
        self.length = len(octets)

    def _be_file(self, file: IO[bytes]) -> None:
        self._file = file
        self.replayable = bool(getattr(file, "seekable", lambda: False)())
        if self.replayable:
            self._position = file.tell()
            self.length = file.seek(0, io.SEEK_END) - self._position
            file.seek(self._position)

    def start(self) -> None:
        """Go to the beginning."""
        source = self._source
        if self.whole is not None:
            self._iterator = _pieces(self.whole)
        elif self._file is not None:
            if self._position is not None:
                self._file.seek(self._position)
            self._iterator = _pieces_of(self._file)
        elif isinstance(source, AsyncIterable):
            self._iterator = aiter(source)
        elif source is not None:
            self._iterator = iter(source)

    def pull(self) -> bytes | None:
        """Return the next piece, None at the end. Raises what the source raises."""
        if not isinstance(self._iterator, Iterator):
            raise TypeError("content: an asynchronous iterator needs an AsyncClient")
        return _octets(next(self._iterator, None))

    def pull_slice(self) -> FileSlice | bytes | None:
        """As `pull`, of a file on disk all that is left of it, unread."""
        file, length = self._file, self.length
        descriptor = None if file is None or length is None else descriptor_of(file)
        if file is None or length is None or descriptor is None or self._position is None:
            return self.pull()
        end = self._position + length
        begins = file.tell()
        file.seek(end)  # as if it had been read
        return FileSlice(descriptor, begins, end - begins) if begins < end else None

    async def pull_async(self) -> bytes | None:
        """Return the next piece, None at the end. Raises what the source raises."""
        if isinstance(self._iterator, AsyncIterator):
            return _octets(await anext(self._iterator, None))
        return self.pull()

    def become_whole(self, octets: bytes) -> None:
        """Be these octets from now on: all that the source had was gathered."""
        self.asynchronous = False
        self.replayable = True
        self._be_whole(octets)


NO_CONTENT = Content(None)


def content_of(content: Source | None, data: Form | None, json_value: object) -> Content:
    """Make content of what a caller gave: at most one of the three.

    Raises:
        TypeError: for more than one of them.
    """
    if (content is not None) + (data is not None) + (json_value is not None) > 1:
        raise TypeError("content: expected one of content, data and json, got more")
    if json_value is not None:
        return Content(msgspec.json.encode(json_value), b"application/json")
    if data is not None:
        return Content(form_encoded(data).encode("ascii"), b"application/x-www-form-urlencoded")
    return NO_CONTENT if content is None else Content(content)


def _pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE_OCTETS):
        yield piece


def _pieces(whole: bytes) -> Iterator[bytes]:
    for start in range(0, len(whole), PIECE_OCTETS):
        yield whole[start : start + PIECE_OCTETS]


def _octets(piece: object) -> bytes | None:
    if piece is None or isinstance(piece, bytes):
        return piece
    if isinstance(piece, bytearray | memoryview):
        return bytes(piece)
    if isinstance(piece, str):
        return piece.encode()
    raise TypeError(f"content: expected pieces of octets, got {type(piece).__name__}")
