"""Octets that arrive in pieces → text, and text → lines.

RFC 9110 §8.3.2 (charset).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class TextDecoder:
    """Takes pieces of octets, gives pieces of text; a character may be split between two of them."""

    def __init__(self, charset: str) -> None:
        """Begin; a charset that nobody knows counts as utf-8."""
        try:
            b"a".decode(charset, "replace")  # not every codec is one of text
        except LookupError:
            charset = "utf-8"
        self._decoder = codecs.getincrementaldecoder(charset)("replace")

    def decode(self, octets: bytes) -> str:
        """Decode a piece."""
        return self._decoder.decode(octets)

    def finish(self) -> str:
        """What a character that was cut off becomes, or ""."""
        return self._decoder.decode(b"", final=True)


class Lines:
    """Takes pieces of text, gives lines without their ends: LF, CR or CRLF, wherever a piece is cut.

    A long line costs time in its length, however small the pieces.
    """

    def __init__(self) -> None:
        self._begun: list[str] = []
        self._after_cr = False

    def split(self, text: str) -> Iterator[str]:
        """The lines that this piece ends."""
        if self._after_cr and text:
            self._after_cr = False
            if text[0] == "\n":  # the other half of a CRLF
                text = text[1:]
        start = 0
        for match in _LINE_END.finditer(text):
            self._begun.append(text[start : match.start()])
            start = match.end()
            line = "".join(self._begun)
            self._begun.clear()
            yield line
        if start < len(text):
            self._begun.append(text[start:])
        elif start:
            self._after_cr = text[-1] == "\r"

    def finish(self) -> Iterator[str]:
        """The last line, where no line end followed it."""
        if self._begun:
            yield "".join(self._begun)
            self._begun.clear()
