"""multipart/form-data: fields and files as one content, sent part by part.

Files are read as they are sent, so content of any size takes constant memory; the length is known where
that of every part is. The boundary is drawn at random, 128 bits of it: no content can hold it on purpose.

RFC 7578; RFC 2046 §5.1 (the octets); names are escaped as the HTML standard has it, "Multipart form data".
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import IO, Any, Final, TypeAlias

from perdure.client.content import PIECE_OCTETS, Content, Form, Source
from perdure.client.urls import form_pairs
from perdure.core.fields import make_line

FileSource: TypeAlias = (
    Source
    | tuple[str | None, Source]
    | tuple[str | None, Source, str | None]
    | tuple[str | None, Source, str | None, Mapping[str, str]]
)
"""Content, or (file name, content), with its media type, with more headers; without a name it is a field."""
Files: TypeAlias = Mapping[str, FileSource] | Iterable[tuple[str, FileSource]]
_ESCAPES: Final = str.maketrans({"\r": "%0D", "\n": "%0A", '"': "%22"})


class Part:
    """One part.

    Attributes:
        head: its header lines with the empty line that ends them.
        content: `Content`.
    """

    __slots__ = ("content", "head")

    def __init__(
        self,
        name: str,
        content: Content,
        filename: str | None,
        media_type: str | None,
        headers: Mapping[str, str],
    ) -> None:
        """Make a part.

        Raises:
            LocalViolation: a header cannot be sent.
        """
        disposition = f'form-data; name="{name.translate(_ESCAPES)}"'
        if filename is not None:
            disposition += f'; filename="{filename.translate(_ESCAPES)}"'
        lines = [b"Content-Disposition: " + disposition.encode() + b"\r\n"]
        if media_type is not None:
            lines.append(make_line(b"Content-Type", media_type.encode()).octets)
        lines += [make_line(key.encode(), value.encode()).octets for key, value in headers.items()]
        self.head = b"".join(lines) + b"\r\n"
        self.content = content


class Multipart(Content):
    """The parts of a form as one content. Attributes: as of `Content`."""

    __slots__ = ("_last", "_parts")

    def __init__(self, parts: Iterable[Part], boundary: str = "") -> None:
        """Join parts.

        Args:
            boundary: 1 to 70 letters and digits that are nowhere in the content; random unless given.
        """
        boundary = boundary or os.urandom(16).hex()
        super().__init__(None, b"multipart/form-data; boundary=" + boundary.encode("ascii"))
        delimiter = b"--" + boundary.encode("ascii") + b"\r\n"
        self._parts = [(delimiter + part.head, part.content) for part in parts]
        self._last = delimiter[:-2] + b"--\r\n"
        self.whole = None
        self.replayable = all(content.replayable for _, content in self._parts)
        self.asynchronous = any(content.asynchronous for _, content in self._parts)
        self.length = self._whole_length()
        if all(content.whole is not None for _, content in self._parts):
            pieces = [head + (content.whole or b"") + b"\r\n" for head, content in self._parts]
            self._be_whole(b"".join([*pieces, self._last]))

    def _whole_length(self) -> int | None:
        total = len(self._last)
        for head, content in self._parts:
            if content.length is None:
                return None
            total += len(head) + content.length + 2
        return total

    def start(self) -> None:
        """Go to the beginning."""
        if self.whole is not None:
            super().start()
        else:
            self._iterator = self._read_asynchronously() if self.asynchronous else self._read()

    def _read(self) -> Iterator[bytes]:
        held = b""
        for head, content in self._parts:
            held += head
            content.start()
            while (piece := content.pull()) is not None:
                held += piece
                if len(held) >= PIECE_OCTETS:  # little parts go together
                    yield held
                    held = b""
            held += b"\r\n"
        yield held + self._last

    async def _read_asynchronously(self) -> AsyncIterator[bytes]:
        held = b""
        for head, content in self._parts:
            held += head
            content.start()
            while (piece := await content.pull_async()) is not None:
                held += piece
                if len(held) >= PIECE_OCTETS:
                    yield held
                    held = b""
            held += b"\r\n"
        yield held + self._last


def multipart_of(data: Form | None, files: Files) -> Multipart:
    """Make the content of a form with files.

    Raises:
        TypeError: for a file of an unknown kind.
    """
    fields = [Part(name, Content(str(value)), None, None, {}) for name, value in form_pairs(data or ())]
    pairs = files.items() if isinstance(files, Mapping) else files
    return Multipart([*fields, *[_file_part(name, source) for name, source in pairs]])


def _file_part(name: str, source: FileSource) -> Part:
    given: tuple[Any, ...] = source if isinstance(source, tuple) else (_name_of(source, name), source)
    if not 2 <= len(given) <= 4:
        raise TypeError(
            "files: expected (name, content), (name, content, media type) or with headers as well"
        )
    filename, content, media_type, headers = (*given, None, None)[:4]
    if media_type is None and filename is not None:
        media_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return Part(name, Content(content), filename, media_type, headers or {})


def _name_of(source: Source | IO[bytes], name: str) -> str:
    """The name of a file on disk, without its folder; else the name of the field."""
    path = getattr(source, "name", None)
    return os.path.basename(path) if isinstance(path, str) and path else name
